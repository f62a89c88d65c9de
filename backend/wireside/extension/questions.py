"""What a handler may ask the user: approval, a choice, a form, a text, or a file.

A question is a part of the answer. Its data has ``id``, ``type``, ``prompt``, the fields of its
type, and ``answer``, which is None while it is open.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from wireside.errors import BadMessage, InvalidAttachment
from wireside.files.media_types import IMAGES
from wireside.messages import PartDelta
from wireside.parts import UPLOAD, DataPart, FilePart, ImagePart, Part, data_of
from wireside.records import StoredFile

KIND = "question"

MAX_ANSWER_CHARS = 100_000

MAX_NUMBER = sys.float_info.max
"""Largest number in an answer; a whole number beyond it has no float."""


class Question(Protocol):
    """A question to the user. ``parse`` checks an answer and returns it as the handler gets it."""

    @property
    def prompt(self) -> str:
        """The question in words; Markdown."""
        ...

    def fields(self) -> dict[str, Any]:
        """Return ``type`` and the other fields of the part's data."""
        ...

    def parse(self, answer: Any) -> Any:
        """Return the answer for the handler. Raises ``BadMessage``."""
        ...


@dataclass(frozen=True, slots=True)
class Approve:
    """Asks for approval; the answer is a bool."""

    prompt: str
    yes: str = ""
    no: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of the part's data."""
        return {"type": "approve", "yes": self.yes, "no": self.no}

    def parse(self, answer: Any) -> bool:
        """Return the answer. Raises ``BadMessage``."""
        return parse_answer(self.fields(), answer) is True


@dataclass(frozen=True, slots=True)
class Choose:
    """Asks for one of several options, or for any number of them with ``multiple``.

    The answer is a value, or a list of values. Options are values, or labels by value.
    """

    prompt: str
    options: Sequence[str] | Mapping[str, str]
    multiple: bool = False

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("A choice needs options.")

    def fields(self) -> dict[str, Any]:
        """Return the fields of the part's data."""
        labels = self.options
        if not isinstance(labels, Mapping):
            labels = {option: option for option in labels}
        options = [{"value": value, "label": label} for value, label in labels.items()]
        return {"type": "choose", "options": options, "multiple": self.multiple}

    def parse(self, answer: Any) -> str | list[str]:
        """Return the answer. Raises ``BadMessage``."""
        values: list[str] = parse_answer(self.fields(), answer)
        return values if self.multiple else values[0]


FieldType = Literal["text", "number", "switch", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a form. ``value`` is the initial value; ``options`` are those of a choice."""

    name: str
    label: str = ""
    type: FieldType = "text"
    options: Sequence[str] = ()
    required: bool = True
    value: str | float | bool | None = None

    def to_object(self) -> dict[str, Any]:
        """Return the field as JSON."""
        return {
            "name": self.name,
            "label": self.label or self.name.replace("_", " ").capitalize(),
            "type": self.type,
            "options": [{"value": option, "label": option} for option in self.options],
            "required": self.required,
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class Form:
    """Asks for several values at once; the answer is a dict by field name."""

    prompt: str
    form_fields: Sequence[Field]

    def fields(self) -> dict[str, Any]:
        """Return the fields of the part's data."""
        return {"type": "form", "fields": [field.to_object() for field in self.form_fields]}

    def parse(self, answer: Any) -> dict[str, Any]:
        """Return the answer. Raises ``BadMessage``."""
        found: dict[str, Any] = parse_answer(self.fields(), answer)
        return found


@dataclass(frozen=True, slots=True)
class AskText:
    """Asks for a text."""

    prompt: str
    placeholder: str = ""
    multiline: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of the part's data."""
        return {"type": "text", "placeholder": self.placeholder, "multiline": self.multiline}

    def parse(self, answer: Any) -> str:
        """Return the answer. Raises ``BadMessage``."""
        return str(parse_answer(self.fields(), answer))


@dataclass(frozen=True, slots=True)
class AskFile:
    """Asks for a file; the answer is an image or a file, as in ``Turn.files``.

    ``media_types`` are those that fit, such as ``"text/csv"`` or ``"image/*"``; empty: all that the
    server accepts.
    """

    prompt: str
    media_types: Sequence[str] = ()

    def fields(self) -> dict[str, Any]:
        """Return the fields of the part's data."""
        return {"type": "file", "media_types": list(self.media_types)}

    def parse(self, answer: Any) -> ImagePart | FilePart:
        """Return the answer, without its content. Raises ``BadMessage``."""
        if isinstance(answer, ImagePart | FilePart):  # of a test that calls the handler directly
            return answer
        return _file_part(parse_answer(self.fields(), answer))


def question_part(question: Question, *, part_id: str, answer: Any = None) -> PartDelta:
    """Return a question, open or with its answer, as a part of an answer."""
    data = {"id": part_id, "prompt": question.prompt, **question.fields(), "answer": answer}
    return _part(data)


def answered(part: DataPart, answer: Any) -> PartDelta:
    """Return an open question with its answer. Raises ``BadMessage``."""
    data = data_of(part)
    if not isinstance(data, dict) or not isinstance(data.get("prompt"), str):
        raise BadMessage("answer: this question can't be read.")
    return _part({**data, "id": part.id, "answer": parse_answer(data, answer)})


def wants_file(question: DataPart) -> bool:
    """Return whether the answer to a question is a file."""
    data = data_of(question)
    return isinstance(data, dict) and data.get("type") == "file"


def file_answer(question: DataPart, file: StoredFile) -> dict[str, Any]:
    """Return a file as the answer to a question. Raises ``InvalidAttachment``."""
    wanted = [one for one in data_of(question).get("media_types") or () if isinstance(one, str)]
    if wanted and not any(_is_of(file.media_type, one) for one in wanted):
        raise InvalidAttachment(
            f"{file.name} does not answer this question, which wants {', '.join(wanted)}."
        )
    return {
        "id": file.id,
        "name": file.name,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
    }


def answered_files(parts: Sequence[Part]) -> list[ImagePart | FilePart]:
    """Return the files with which the questions of an answer were answered, without contents."""
    found: list[ImagePart | FilePart] = []
    for part in parts:
        if isinstance(part, DataPart) and part.kind == KIND and wants_file(part):
            answer = data_of(part).get("answer")
            if _is_file(answer):
                found.append(_file_part(answer))
    return found


def open_question(parts: Sequence[Part]) -> DataPart | None:
    """Return the last open question among the parts of an answer."""
    for part in reversed(parts):
        if isinstance(part, DataPart) and part.kind == KIND:
            data = data_of(part)
            is_open = isinstance(data, dict) and data.get("answer") is None
            return part if is_open else None
    return None


def parse_answer(question: Mapping[str, Any], answer: Any) -> Any:
    """Check an answer against the data of its question; return it as it is stored.

    Raises:
        BadMessage: the answer does not fit; the text names the field.
    """
    match question.get("type"):
        case "approve":
            return _of_type(answer, bool, "true or false")
        case "choose":
            return _choice(question, answer)
        case "text":
            return _text(answer, "answer")
        case "form":
            return _form(question, answer)
        case "file":
            if not _is_file(answer):
                raise BadMessage("answer: this question wants the id of an upload.")
            return answer
        case _:
            raise BadMessage("answer: this version does not know the type of this question.")


# ---- internals -----------------------------------------------------------------------------------


def _part(data: Mapping[str, Any]) -> PartDelta:
    answer = data["answer"]
    said = "" if answer is None else f"\n\n→ {_in_words(data, answer)}"
    text = f"{data['prompt']}{said}"
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return PartDelta(DataPart(kind=KIND, data=content, id=str(data.get("id")), text=text))


def _in_words(question: Mapping[str, Any], answer: Any) -> str:
    match question.get("type"):
        case "approve":
            return (question.get("yes") or "Yes") if answer else (question.get("no") or "No")
        case "choose":
            return ", ".join(map(str, answer))
        case "form":
            return ", ".join(f"{name}: {value}" for name, value in answer.items())
        case "file":
            return str(answer["name"])
        case _:
            return str(answer)


def _is_of(media_type: str, wanted: str) -> bool:
    """Return whether a media type is the wanted one, which may be ``"image/*"``."""
    return media_type == wanted or (wanted.endswith("/*") and media_type.startswith(wanted[:-1]))


def _is_file(answer: Any) -> bool:
    return (
        isinstance(answer, dict)
        and all(isinstance(answer.get(name), str) for name in ("id", "name", "media_type"))
        and isinstance(answer.get("size_bytes"), int)
    )


def _file_part(answer: Mapping[str, Any]) -> ImagePart | FilePart:
    url, media_type, name = f"{UPLOAD}{answer['id']}", answer["media_type"], answer["name"]
    if media_type in IMAGES:
        return ImagePart(url=url, media_type=media_type, name=name)
    return FilePart(url=url, media_type=media_type, name=name, size_bytes=answer["size_bytes"])


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list, which an imported file may have written."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _values(holder: Mapping[str, Any]) -> list[Any]:
    """Return the values of the options of a choice."""
    return [option.get("value") for option in _objects(holder.get("options"))]


def _of_type(answer: Any, kind: type, wanted: str) -> Any:
    if type(answer) is not kind:
        raise BadMessage(f"answer: this question wants {wanted}.")
    return answer


def _text(answer: Any, name: str) -> str:
    if not isinstance(answer, str) or not answer.strip():
        raise BadMessage(f"{name}: a text is missing.")
    if len(answer) > MAX_ANSWER_CHARS:
        raise BadMessage(f"{name}: at most {MAX_ANSWER_CHARS:,} characters fit.")
    return answer


def _choice(question: Mapping[str, Any], answer: Any) -> list[str]:
    chosen = answer if isinstance(answer, list) else [answer]
    values = _values(question)
    if any(value not in values for value in chosen):
        raise BadMessage("answer: choose from the question's options.")
    if not chosen or (len(chosen) > 1 and not question.get("multiple")):
        raise BadMessage("answer: choose one of the question's options.")
    return [value for value in values if value in chosen]


def _form(question: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise BadMessage("answer: this question wants an object with the fields of its form.")
    found: dict[str, Any] = {}
    for field in _objects(question.get("fields")):
        name = str(field.get("name"))
        value = answer.get(name)
        if value is None or value == "":
            if field.get("required") and field.get("type") != "switch":
                raise BadMessage(f"answer.{name}: this field is required.")
            found[name] = False if field.get("type") == "switch" else None
            continue
        found[name] = _field_value(field, value)
    return found


def _field_value(field: Mapping[str, Any], value: Any) -> Any:
    name = f"answer.{field.get('name')}"
    match field.get("type"):
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not -MAX_NUMBER <= value <= MAX_NUMBER:
                raise BadMessage(f"{name}: this field wants a number.")
            return value
        case "switch":
            if not isinstance(value, bool):
                raise BadMessage(f"{name}: this field wants true or false.")
            return value
        case "choice":
            if value not in _values(field):
                raise BadMessage(f"{name}: choose one of its options.")
            return value
        case _:
            return _text(value, name)
