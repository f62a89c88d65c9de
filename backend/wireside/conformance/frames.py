"""Rules for the frames of a server, without I/O: fields by level, and the frames of one answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wireside.conformance.results import Violation, shown
from wireside.errors import WiresideError
from wireside.protocol.frames import UnknownFrame, parse_server_frame

LEVEL_1_FIELDS: Final[dict[str, frozenset[str]]] = {
    "chunk": frozenset({"content"}),
    "done": frozenset(),
    "error": frozenset({"message"}),
    "pong": frozenset(),
}
"""The fields of level 1 besides ``type``: these and no others."""

LEVEL_2_FIELDS: Final[dict[str, frozenset[str]]] = {
    "chunk": frozenset({"id", "content", "offset"}),
    "done": frozenset({"id", "offset", "reason", "usage"}),
    "error": frozenset({"message", "code", "retryable"}),
    "pong": frozenset(),
    "start": frozenset({"id", "stream", "model"}),
    "resumed": frozenset({"id", "stream", "head", "state"}),
    "reasoning": frozenset({"id", "content", "offset"}),
    "tool": frozenset({"id", "offset", "name", "call", "state", "arguments"}),
    "part": frozenset({"id", "offset", "kind"}),
    "batch_done": frozenset({"id", "done", "failed", "cancelled"}),
}
"""The fields that a frame of level 2 must have; unknown ones are permitted."""

RETRYABLE: Final[dict[str, bool]] = {
    "bad_json": False,
    "bad_message": False,
    "unknown_type": False,
    "too_large": False,
    "invalid_attachment": False,
    "too_many": True,
    "rate_limited": True,
    "unauthorized": False,
    "already_answered": False,
    "unknown_model": False,
    "not_configured": False,
    "not_found": False,
    "expired": False,
    "bad_offset": False,
    "overloaded": True,
    "provider_auth": False,
    "provider_rate_limited": True,
    "provider_unavailable": True,
    "provider_timeout": True,
    "context_too_long": False,
    "content_filter": False,
    "internal": True,
}
"""Whether a request with this error code may succeed later; a property of the code."""

MAX_MESSAGE_CHARS: Final = 500
"""Characters of the message of an error, not counting an ellipsis."""

LAST_TYPES: Final = frozenset({"done", "error"})

LOG_TYPES: Final = frozenset({"chunk", "reasoning", "tool", "part"})
"""Types of the frames that cover positions of an answer."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A text frame of the server that is a JSON object."""

    text: str
    fields: dict[str, Any] = field(hash=False)

    @classmethod
    def parse(cls, text: str) -> Frame:
        """Parse a text frame. Raises ``Violation`` if it is not an object with a ``type``."""
        expected = "a JSON object with a string `type`"
        try:
            fields = json.loads(text)
            text.encode()
        except (ValueError, RecursionError):
            raise Violation(expected, shown(text)) from None
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            raise Violation(expected, shown(text))
        return cls(text, fields)

    @property
    def type(self) -> str:
        """The frame's ``type``."""
        return str(self.fields["type"])

    @property
    def id(self) -> Any:
        """The frame's ``id``; None without one."""
        return self.fields.get("id")

    @property
    def size_bytes(self) -> int:
        """Size of the frame in bytes of UTF-8."""
        return len(self.text.encode("utf-8", "surrogatepass"))

    def get(self, name: str) -> Any:
        """Return the value of a field; None without one."""
        return self.fields.get(name)


def check_level_1(frame: Frame) -> None:
    """Check that a frame has exactly the fields of level 1. Raises ``Violation``."""
    fields = LEVEL_1_FIELDS.get(frame.type)
    if fields is None:
        expected = f"a `type` of level 1: {', '.join(sorted(LEVEL_1_FIELDS))}"
        raise Violation(expected, shown(frame.text))
    if frame.fields.keys() != fields | {"type"}:
        names = ", ".join(sorted(fields)) or "no field besides `type`"
        raise Violation(f"`{frame.type}` with exactly: {names}", shown(frame.text))
    if not all(isinstance(frame.fields[name], str) for name in fields):
        raise Violation(f"strings in {', '.join(sorted(fields))}", shown(frame.text))


def check_level_2(frame: Frame) -> None:
    """Check that a frame has the fields of level 2, with their types. Raises ``Violation``."""
    try:
        parsed = parse_server_frame(frame.text)
    except WiresideError as error:
        raise Violation(f"a valid `{frame.type}` frame ({error})", shown(frame.text)) from None
    if isinstance(parsed, UnknownFrame):
        return  # of a newer server: clients ignore it
    required = LEVEL_2_FIELDS.get(frame.type, frozenset())
    if missing := sorted(name for name in required if frame.get(name) is None):
        raise Violation(f"`{frame.type}` with {', '.join(missing)}", shown(frame.text))
    if frame.type == "done":
        _check_usage(frame)


def _check_usage(frame: Frame) -> None:
    usage = frame.get("usage")
    expected = "`usage` with `input_tokens` and `output_tokens`, numbers or null"
    if not isinstance(usage, dict) or not {"input_tokens", "output_tokens"} <= usage.keys():
        raise Violation(expected, shown(frame.text))


def check_error(frame: Frame) -> None:
    """Check the error of level 2 against the table of codes. Raises ``Violation``."""
    if frame.type != "error":
        raise Violation("an `error` frame", shown(frame.text))
    check_level_2(frame)
    code, message = frame.get("code"), frame.get("message")
    known = RETRYABLE.get(code)
    if known is not None and frame.get("retryable") is not known:
        raise Violation(f"`retryable` {str(known).lower()} for {code}", shown(frame.text))
    if not message or len(message) > MAX_MESSAGE_CHARS + 1:
        raise Violation(
            f"a `message` of 1 to {MAX_MESSAGE_CHARS} characters", f"{len(message):,} characters"
        )
    if code == "rate_limited" and message != "Rate limit exceeded":
        raise Violation("the `message` “Rate limit exceeded”", shown(message))


def check_sizes(frames: Iterable[Frame], max_bytes: int) -> None:
    """Check that no frame is larger than requested. Raises ``Violation``."""
    for frame in frames:
        if frame.size_bytes > max_bytes:
            came = f"{frame.size_bytes:,} bytes: {shown(frame.text)}"
            raise Violation(f"frames of at most {max_bytes:,} bytes", came)


def text_of(frames: Iterable[Frame]) -> str:
    """Return the text of the chunks."""
    return "".join(str(frame.get("content")) for frame in frames if frame.type == "chunk")


def head_of(frames: Iterable[Frame], start: int = 0) -> int:
    """Return the position after the last frame that covers some; ``start`` without one."""
    offset = start
    for frame in frames:
        if frame.type in LOG_TYPES:
            offset = frame.get("offset")
    return offset


def check_answer(frames: Sequence[Frame], request_id: str | None) -> None:
    """Check that one ``done`` or ``error`` ends the frames of a request, once.

    Raises:
        Violation: it is missing, repeated, or not the last one; or a frame has another ``id``.
    """
    for frame in frames:
        if frame.id != request_id:
            expected = "no `id`" if request_id is None else f"`id` {request_id} in every frame"
            raise Violation(expected, shown(frame.text))
    ends = [index for index, frame in enumerate(frames) if frame.type in LAST_TYPES]
    if ends != [len(frames) - 1]:
        types = " ".join(frame.type for frame in frames[-6:])
        came = f"{len(ends)} of {len(frames)} frames are; the last ones: {types or 'none'}"
        raise Violation("exactly one `done` or `error`, as the last frame", came)


def length_of(frame: Frame) -> int:
    """Return how many positions of an answer a frame covers.

    Each code point of text counts one, and so does each ``tool`` and each ``part`` frame.
    """
    content = frame.get("content")
    if frame.type not in LOG_TYPES:
        return 0
    return len(content) if isinstance(content, str) else 1


def check_offsets(frames: Iterable[Frame], start: int = 0) -> None:
    """Check that the frames of an answer don't overlap, from ``start`` on.

    Positions without a frame are permitted: records of the server. Raises ``Violation``.
    """
    offset = start
    for frame in frames:
        if frame.type not in LOG_TYPES and frame.type != "done":
            continue
        least = offset + length_of(frame)
        offset = frame.get("offset")
        if not isinstance(offset, int) or offset < least:
            raise Violation(f"`offset` {least} or, behind records, more", shown(frame.text))


def check_reached(end: Frame) -> None:
    """Check that an answer ended by ``done``. Raises ``Violation``."""
    if end.type != "done":
        raise Violation("`done`", shown(end.text))
