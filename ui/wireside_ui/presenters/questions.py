"""Questions of an answer to the user: their data as the page shows it, and the user's answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import render
from wireside_ui.presenters.json_values import clean, number_in, text_in

MAX_PROMPT_CHARS = 20_000
MAX_LABEL_CHARS = 300
MAX_VALUE_CHARS = 10_000
MAX_ANSWER_CHARS = 100_000
MAX_OPTIONS = 200
MAX_FIELDS = 50
MAX_ID_CHARS = 200

Answer = bool | str | list[str] | dict[str, str | float | bool | None]
"""The answer to a question: of ``approve``, ``text`` or ``file`` (the id), ``choose``, ``form``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """An answer that the user gives in the page. Both ids are untrusted."""

    row_id: str
    part_id: str
    """Id of the question's part within the answer of the turn."""
    value: Answer


def question_in(data: Mapping[str, Any], markup: Markup) -> dict[str, Any] | None:
    """Return the data of a question; None if it has no known type.

    ``prompt`` is sanitised HTML, and ``answer`` is None while the question is open.
    """
    kind = data.get("type")
    shown: dict[str, Any] = {
        "id": text_in(data.get("id"), MAX_ID_CHARS),
        "type": kind,
        "prompt": render(text_in(data.get("prompt"), MAX_PROMPT_CHARS), markup),
        "answer": _answer_in(data.get("answer")),
    }
    match kind:
        case "approve":
            return shown | {name: text_in(data.get(name), MAX_LABEL_CHARS) for name in _CHOICES}
        case "choose":
            options = _options_in(data.get("options"))
            return shown | {"options": options, "multiple": data.get("multiple") is True}
        case "form":
            return shown | {"fields": _fields_in(data.get("fields"))}
        case "text":
            placeholder = text_in(data.get("placeholder"), MAX_LABEL_CHARS)
            return shown | {
                "placeholder": placeholder,
                "multiline": data.get("multiline") is True,
            }
        case "file":
            types = data.get("media_types")
            accepted = types[:MAX_OPTIONS] if isinstance(types, list) else ()
            return shown | {"media_types": [one for one in accepted if _is_value(one)]}
        case _:
            return None


def answer_from(args: Any) -> GivenAnswer | None:
    """Return the answer of an event from the browser; None if it is malformed."""
    if not isinstance(args, dict):
        return None
    row_id, part_id, value = args.get("id"), args.get("part"), _answer_in(args.get("value"))
    if not _is_id(row_id) or not _is_id(part_id) or value is None:
        return None
    return GivenAnswer(row_id=row_id, part_id=part_id, value=value)


_CHOICES = ("yes", "no")


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS


def _answer_in(value: Any) -> Answer | None:
    match value:
        case bool():
            return value
        case str() if len(value) <= MAX_ANSWER_CHARS:
            return value
        case list() if len(value) <= MAX_OPTIONS and all(_is_value(one) for one in value):
            return value
        case dict() if len(value) <= MAX_FIELDS:
            fields = clean(value, 2)
            is_plain = all(
                len(name) <= MAX_LABEL_CHARS and (_is_value(one) or _is_plain(one))
                for name, one in fields.items()
            )
            return fields if is_plain else None
        case _:
            return None


def _is_value(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_VALUE_CHARS


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool) or number_in(value) is not None


def _options_in(value: Any) -> list[dict[str, str]]:
    """Return options; a text stands for an option that is labelled by its value."""
    options = []
    for one in value[:MAX_OPTIONS] if isinstance(value, list) else ():
        given = {"value": one} if isinstance(one, str) else one
        if not isinstance(given, dict) or not _is_value(given.get("value")):
            continue
        label = text_in(given.get("label"), MAX_LABEL_CHARS)
        label = label or text_in(given["value"], MAX_LABEL_CHARS)
        options.append({"value": given["value"], "label": label})
    return options


def _fields_in(value: Any) -> list[dict[str, Any]]:
    fields = []
    for one in value[:MAX_FIELDS] if isinstance(value, list) else ():
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            continue
        kind = one.get("type")
        given = clean(one.get("value"), 0)
        fields.append(
            {
                "name": one["name"][:MAX_LABEL_CHARS],
                "label": text_in(one.get("label"), MAX_LABEL_CHARS) or one["name"],
                "type": kind if kind in ("number", "switch", "choice") else "text",
                "options": _options_in(one.get("options")),
                "required": one.get("required") is True,
                "value": given if _is_value(given) or _is_plain(given) else None,
            }
        )
    return fields
