"""Parts of a message: text, reasoning, tool calls, images, files and data.

A question and an answer are sequences of parts, in the order in which they were written. All values
are frozen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeGuard, assert_never, get_args

ToolState = Literal["requested", "running", "done", "failed"]
"""State of a tool call; a ``requested`` one is a model's request that nothing has run."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Visible text; Markdown in an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """The model's reasoning; shown collapsed, and never sent back to a model."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallPart:
    """A tool call with its result, which is None until it is available.

    ``call`` identifies it within its stream. ``arguments`` and ``result`` are JSON or plain text.
    """

    call: str
    name: str
    state: ToolState
    arguments: str = ""
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePart:
    """A reference to an image; ``name`` describes it.

    ``url`` may be a ``data:`` URL, or ``upload:`` with the id of a file that the server keeps.
    """

    url: str
    media_type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A reference to a file, by a URL as that of an image; ``size_bytes`` is None if unknown.

    ``text`` is its text in a request to a model, and never stored.
    """

    url: str
    media_type: str = ""
    name: str = ""
    size_bytes: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """Anything else: ``data`` is a JSON text whose shape ``kind`` names.

    ``id`` identifies it within its answer, so that later states replace it; "" if it has none.
    ``text`` represents it for readers that don't know the kind: exports, models and other clients.
    """

    kind: str
    data: str
    id: str = ""
    text: str = ""


STATE = ".state"
"""Kind of the part with the state of a handler."""

STEER = ".steer"
"""Kind of the hidden part of a question that ended a running answer, from which it goes on."""

INSTRUCTION = "instruction"
"""Kind of the part of a question with what the page added to it, such as "shorter"."""

EDITED = "edited"
"""Kind of the part that marks an answer whose text its owner has changed."""

SHARED_STATE = ".state.shared"
"""Kind of the part with a state that clients of AG-UI see."""

SUMMARY = "summary"
"""Kind of the part with a summary of the turns up to the one whose answer it belongs to."""

HIDDEN = "."
"""The beginning of the kinds of hidden parts."""

IMAGE_CHARS = 4_000
"""What an image counts in a context: about 1,000 tokens."""

Attachment = ImagePart | FilePart | DataPart
"""A part that is written whole, not piece by piece."""

Part = TextPart | ReasoningPart | ToolCallPart | Attachment


def text_parts(text: str) -> tuple[TextPart, ...]:
    """Return a text as the parts of a message; none for an empty text."""
    return (TextPart(text),) if text else ()


def text_of(parts: Iterable[Part]) -> str:
    """Return the text of the text parts, separated by blank lines."""
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    if len(texts) < 2:
        return "".join(texts)
    stripped = (text.strip("\n") for text in texts)
    return "\n\n".join(text for text in stripped if text)


def searched_text(parts: Iterable[Part]) -> str:
    """Return the text by which a message is found.

    That is its text, the titles of its sources, its questions with their answers, and the names of
    its images and files. What a step or a table has read would hide the answers among the finds.
    """
    parts = tuple(parts)
    texts = [text_of(parts)]
    for part in parts:
        match part:
            case ImagePart() | FilePart():
                texts.append(part.name)
            case DataPart(kind="source"):
                data = data_of(part)
                title = data.get("title") if isinstance(data, dict) else None
                texts.append(title if isinstance(title, str) else "")
            case DataPart(kind="question"):
                texts.append(part.text)
    return "\n\n".join(text for text in texts if text)


def chars_of(part: Part) -> int:
    """Return the number of characters that a part adds to a context; an image counts 4,000."""
    match part:
        case TextPart() | ReasoningPart():
            return len(part.text)
        case ToolCallPart():
            return len(part.name) + len(part.arguments) + len(part.result or "")
        case ImagePart():
            return IMAGE_CHARS
        case FilePart():
            return len(label_of(part)) + len(part.text)
        case DataPart():
            return len(label_of(part))
        case _:
            assert_never(part)


def size_of(part: Part) -> int:
    """Return the number of characters that a part takes in memory."""
    return sum(len(value) for value in asdict(part).values() if isinstance(value, str))


def with_text(parts: Iterable[Part], text: str) -> tuple[Part, ...]:
    """Return parts whose text is replaced; images, files and data follow it."""
    return (*text_parts(text), *(part for part in parts if not isinstance(part, TextPart)))


RASTER_DATA_URL: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
"""Matches a ``data:`` URL of an image in which nothing can run."""

UPLOAD: Final = "upload:"
"""Begins the ``url`` of a file that the server keeps; the file's id follows."""


def upload_of(part: Part) -> str | None:
    """Return the id of the kept file that a part refers to; None if it refers to none."""
    if isinstance(part, ImagePart | FilePart) and part.url.startswith(UPLOAD):
        return part.url.removeprefix(UPLOAD)
    return None


def has_files(parts: Iterable[Part]) -> bool:
    """Return whether any of the parts is an image or a file."""
    return any(isinstance(part, ImagePart | FilePart) for part in parts)


def is_hidden(part: Part) -> bool:
    """Whether a part is only for the server's own use, such as the state of a handler.

    Its kind begins with a dot. It is stored with the answer and never shown, sent, exported or
    imported: a file may be written by anyone.
    """
    return isinstance(part, DataPart) and part.kind.startswith(HIDDEN)


def is_note(part: Part) -> bool:
    """Whether a part says something about an answer and is not of its content."""
    return isinstance(part, DataPart) and part.kind in (EDITED, SUMMARY)


def states_of(parts: Iterable[Part]) -> dict[str, DataPart]:
    """Return the states that handlers left in an answer, by id."""
    kinds = (STATE, SHARED_STATE)
    return {part.id: part for part in parts if isinstance(part, DataPart) and part.kind in kinds}


def label_of(part: Attachment) -> str:
    """Return a text in place of a part, for readers of plain text: ``[image: a.png]``."""
    if isinstance(part, DataPart) and part.text:
        return part.text
    match part:
        case ImagePart():
            kind, name = "image", part.name
        case FilePart():
            kind, name = "file", part.name
        case DataPart():
            kind, name = "data", part.kind
    return f"[{kind}: {name}]" if name else f"[{kind}]"


def data_of(part: DataPart) -> Any:
    """Return the value of a part's JSON text; None if it is not JSON, as in an imported file."""
    try:
        return json.loads(part.data)
    except (ValueError, RecursionError):
        return None


# ---- JSON ----------------------------------------------------------------------------------------

_KINDS: dict[type[Part], str] = {
    TextPart: "text",
    ReasoningPart: "reasoning",
    ToolCallPart: "tool",
    ImagePart: "image",
    FilePart: "file",
    DataPart: "data",
}


def part_to_object(part: Part) -> dict[str, Any]:
    """Return a part as a JSON object; its ``type`` names the kind."""
    fields = asdict(part)
    if isinstance(part, FilePart):
        del fields["text"]
    return {"type": _KINDS[type(part)], **fields}


def part_from_object(value: Mapping[str, Any]) -> Part | None:
    """Return the part of a JSON object, which may be malformed; None if it is none."""

    def text(name: str) -> str:
        found = value.get(name)
        return found if isinstance(found, str) else ""

    match value.get("type"):
        case "text":
            return TextPart(text("text")) if text("text") else None
        case "reasoning":
            return ReasoningPart(text("text")) if text("text") else None
        case "tool":
            result = value.get("result")
            state = value.get("state")
            return ToolCallPart(
                call=text("call"),
                name=text("name"),
                state=state if _is_state(state) else "failed",
                arguments=text("arguments"),
                result=result if isinstance(result, str) else None,
            )
        case "image":
            return ImagePart(url=text("url"), media_type=text("media_type"), name=text("name"))
        case "file":
            size = value.get("size_bytes")
            return FilePart(
                url=text("url"),
                media_type=text("media_type"),
                name=text("name"),
                size_bytes=size if type(size) is int and size >= 0 else None,
            )
        case "data":
            return DataPart(kind=text("kind"), data=text("data"), id=text("id"), text=text("text"))
        case _:
            return None


def _is_state(value: object) -> TypeGuard[ToolState]:
    return isinstance(value, str) and value in get_args(ToolState)
