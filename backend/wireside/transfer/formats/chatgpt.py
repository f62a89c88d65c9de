"""Reads conversations of ChatGPT's export.

A conversation is a tree of messages: ``mapping`` holds the nodes by id, each with ``parent``,
``children`` and ``message``, which may be null. A question that was answered again has several
messages after it, an answer is a chain of assistant and tool messages, and some messages are not
shown.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from typing import Any

import msgspec

from wireside.chat.library import MAX_TITLE_CHARS
from wireside.errors import BadMessage
from wireside.messages import End, FinishReason, ToolDelta
from wireside.records import Imported, Segment
from wireside.transfer.formats.parts import EntryCollector, fenced_code, file_marks, reason_of
from wireside.transfer.import_limits import MAX_NAME_CHARS
from wireside.transfer.turn_tree import (
    FileMessage,
    ImportContext,
    build_imported,
    build_nodes,
    find_ends,
    shown_end,
)
from wireside.transfer.untyped import dict_or_empty, list_or_empty, single_line, string_or_empty

_Message = FileMessage[dict[str, Any]]


def read_chatgpt(value: dict[str, Any], context: ImportContext) -> Imported:
    """Build a conversation of ChatGPT's format. Raises ``BadMessage``, ``TooMuch``."""
    mapping = value.get("mapping")
    if not isinstance(mapping, dict):
        raise BadMessage("mapping: an object.")
    created_at = context.time_or_fallback(value.get("create_time"), context.now)
    shown, nearest = _shown_messages(mapping, created_at, context)
    model = single_line(value.get("default_model_slug"), MAX_NAME_CHARS)
    left_out = sum(_parts_left_out(here.message) for here in shown)

    def answer_segment(chain: list[_Message]) -> Segment | None:
        return _segment_of_parts(chain, model, context.new_id())

    nodes = build_nodes(
        messages=shown,
        question=lambda here: _text_of_content(here.message),
        answer=answer_segment,
        context=context,
    )
    if not nodes:
        raise BadMessage("mapping: at least one message.")
    title = single_line(value.get("title"), MAX_TITLE_CHARS)
    return build_imported(
        nodes,
        shown_end(nearest.get(string_or_empty(value.get("current_node")))),
        context,
        title=title,
        title_source="model" if title else "words",
        created_at=created_at,
        updated_at=context.time_or_fallback(value.get("update_time"), created_at),
        is_pinned=value.get("is_starred") is True,
        is_archived=value.get("is_archived") is True,
        left_out=left_out,
    )


def _shown_messages(
    mapping: dict[str, Any], fallback: float, context: ImportContext
) -> tuple[list[_Message], dict[str, _Message | None]]:
    """Return the shown messages, parents first, and the nearest shown message of each node.

    The nearest one of a node that is reachable from a root is the last shown message on the path to
    it, itself included.
    """
    follow = _children_by_node(mapping)
    shown: list[_Message] = []
    nearest: dict[str, _Message | None] = {}
    stack: list[tuple[str, _Message | None]] = [
        (key, None) for key in reversed(follow.pop(None, []))
    ]
    while stack:
        key, above = stack.pop()
        message = mapping[key].get("message") if isinstance(mapping[key], dict) else None
        if isinstance(message, dict) and _is_shown_message(message):
            time = context.time_or_fallback(
                message.get("create_time"), above.time if above else fallback
            )
            here = FileMessage(
                key=key,
                above=above,
                is_question=_role_of_message(message) == "user",
                message=message,
                time=time,
            )
            if above is not None and not here.is_question:
                above.after = here
            shown.append(here)
            above = here
        nearest[key] = above
        stack += [(child, above) for child in reversed(follow.get(key, ()))]
    find_ends(shown)
    return shown, nearest


def _children_by_node(mapping: dict[str, Any]) -> dict[str | None, list[str]]:
    """Return the children of each node; the key None has the roots."""
    parents: dict[str, str | None] = {}
    for key, node in mapping.items():
        parent = node.get("parent") if isinstance(node, dict) else None
        parents[key] = parent if isinstance(parent, str) and parent in mapping else None
    for key, node in mapping.items():  # older files omit some parents
        for child in list_or_empty(node.get("children")) if isinstance(node, dict) else ():
            if isinstance(child, str) and child in parents and parents[child] is None:
                parents[child] = key if child != key else None
    follow: dict[str | None, list[str]] = {}
    for key, parent in parents.items():
        follow.setdefault(parent, []).append(key)
    return follow


def _segment_of_parts(chain: list[_Message], model: str, stream: str) -> Segment | None:
    """Return the parts of an answer as one segment."""
    if not chain:
        return None
    answer = EntryCollector()
    open_calls: deque[ToolDelta] = deque()
    calls = 0
    for here in chain:
        message = here.message
        metadata = dict_or_empty(message.get("metadata"))
        model = single_line(metadata.get("model_slug"), MAX_NAME_CHARS) or model
        content = dict_or_empty(message.get("content"))
        recipient = single_line(message.get("recipient"), MAX_NAME_CHARS) or "all"
        if _role_of_message(message) == "tool":
            name = (
                single_line(dict_or_empty(message.get("author")).get("name"), MAX_NAME_CHARS)
                or "tool"
            )
            if open_calls:
                call = open_calls.popleft()
            else:
                calls += 1
                call = ToolDelta(f"call-{calls}", name, "running")
            answer.append_entry(replace(call, state="done", result=_text_of_content(message)))
        elif content.get("content_type") == "thoughts":
            answer.append_reasoning(_reasoning_text(content))
        elif recipient != "all":
            calls += 1
            call = ToolDelta(f"call-{calls}", recipient, "running", _text_of_content(message))
            open_calls.append(call)
            answer.append_entry(call)
        else:
            answer.append_text(_text_of_content(message))
    for call in open_calls:
        answer.append_entry(replace(call, state="requested"))
    return Segment(
        stream=stream,
        model=model,
        entries=tuple(answer.entries),
        end=End(_reason_of(chain[-1].message)),
        created_at=chain[0].time,
    )


def _is_shown_message(message: dict[str, Any]) -> bool:
    if _role_of_message(message) not in ("user", "assistant", "tool") or message.get("weight") == 0:
        return False
    if dict_or_empty(message.get("metadata")).get("is_visually_hidden_from_conversation") is True:
        return False
    kind = dict_or_empty(message.get("content")).get("content_type")
    return kind not in ("user_editable_context", "model_editable_context", "reasoning_recap")


def _role_of_message(message: dict[str, Any]) -> str:
    return string_or_empty(dict_or_empty(message.get("author")).get("role"))


def _text_of_content(message: dict[str, Any]) -> str:
    """Return the text of a message; content that text can't represent is named in brackets."""
    content = dict_or_empty(message.get("content"))
    parts = [_text_of_part(part) for part in list_or_empty(content.get("parts"))]
    if not any(parts):
        parts = _other_text(content)
    metadata = dict_or_empty(message.get("metadata"))
    if not any(part.startswith(("[image", "[file", "[audio")) for part in parts):
        parts += file_marks(list_or_empty(metadata.get("attachments")))
    text = "\n\n".join(part for part in parts if part)
    if content.get("content_type") == "code" and message.get("recipient") in (None, "all"):
        return fenced_code(text) if text else ""
    return _without_marks(text, list_or_empty(metadata.get("content_references")))


def _other_text(content: dict[str, Any]) -> list[str]:
    """Return the texts of a content without parts: quotes, web pages, program output."""
    names = ("title", "url", "text", "result", "output_str", "snippet", "summary", "content")
    found = [string_or_empty(content.get(name)) for name in names]
    kind = string_or_empty(content.get("content_type"))
    if not any(found) and ("screenshot" in content or "image" in kind):
        return ["[image]"]
    return list(dict.fromkeys(text for text in found if text))


def _parts_left_out(message: dict[str, Any]) -> int:
    """Return 1 if a message has content of which nothing is kept, else 0."""
    content = dict_or_empty(message.get("content"))
    empty: tuple[object, ...] = (None, "", [], {}, False)
    known = ("content_type", "language", "response_format_name", "source_analysis_msg_id")
    has_content = any(value not in empty for name, value in content.items() if name not in known)
    if content.get("content_type") == "thoughts" or list_or_empty(content.get("parts")) == [""]:
        return 0
    return int(has_content and not _text_of_content(message))


def _reason_of(message: dict[str, Any]) -> FinishReason:
    details = dict_or_empty(dict_or_empty(message.get("metadata")).get("finish_details"))
    if details.get("type") is not None:
        return reason_of(details.get("type"))
    is_partial = message.get("status") in ("in_progress", "finished_partial_completion")
    return "interrupted" if is_partial else "stop"


_MARK = re.compile("\ue200([^\ue200\ue201]*)\ue201")
"""Marks in private-use characters, which ChatGPT's page renders.

A mark does not contain a second start character: otherwise a text of nothing but start characters
would be scanned again from each of them.
"""

_OLD_CITATION = re.compile("【[^【】]{0,200}†[^【】]{0,200}】")

_REFERENCE = re.compile(r"turn\d+[a-z_]+\d+$|file[-_]\w+$|\d+$")
"""Matches a field of a mark that is a reference, as opposed to visible text."""

_POINTERS = frozenset(
    {"cite", "filecite", "navlist", "i", "image_group", "image", "video", "finance", "forecast"}
    | {"sports", "schedule", "standing", "products", "product", "map", "business", "memory"}
)
"""Kinds of marks that contain only references: citations, pictures, widgets."""


def _without_marks(text: str, references: list[Any]) -> str:
    """Return a text as its reader saw it: marks show their name, citations their source."""
    if "\ue200" not in text and "【" not in text:
        return text
    shown: dict[str, str] = {}
    for one in references:
        reference = dict_or_empty(one)
        if mark := string_or_empty(reference.get("matched_text")):
            alt = reference.get("alt")
            shown[mark] = string_or_empty(alt) if isinstance(alt, str) else ""

    def replacement(match: re.Match[str]) -> str:
        kind, *fields = match[1].split("\ue202")
        named = next((name for field in fields if (name := _visible_text(field))), "")
        if kind in _POINTERS or not named:
            return shown.get(match[0], "")
        return shown.get(match[0]) or named

    text = _MARK.sub(replacement, text)
    return _OLD_CITATION.sub(lambda match: shown.get(match[0], ""), text)


def _visible_text(field: str) -> str:
    """Return the visible text of a mark's field: a text, or the name in ``["kind", "name", …]``."""
    if field.startswith(("[", "{")):
        try:
            value = msgspec.json.decode(field)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return ""
        if isinstance(value, dict):
            return string_or_empty(value.get("name")) or string_or_empty(value.get("title"))
        texts = [one for one in list_or_empty(value) if isinstance(one, str)]
        return texts[1] if len(texts) > 1 else texts[0] if texts else ""
    return "" if _REFERENCE.match(field) else field


def _text_of_part(part: object) -> str:
    if isinstance(part, str):
        return string_or_empty(part)
    piece = dict_or_empty(part)
    kind = single_line(piece.get("content_type"), MAX_NAME_CHARS)
    if text := string_or_empty(piece.get("text")):
        return text
    if not kind:
        return ""
    name = "image" if "image" in kind else "audio" if "audio" in kind else "file"
    return f"[{name}]"


def _reasoning_text(content: dict[str, Any]) -> str:
    found = []
    for thought in list_or_empty(content.get("thoughts")):
        pieces = (
            string_or_empty(dict_or_empty(thought).get(name)) for name in ("summary", "content")
        )
        found.append("\n".join(piece for piece in pieces if piece))
    return "\n\n".join(piece for piece in found if piece)
