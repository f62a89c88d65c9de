"""The frames of clients as values; ``client_parser`` reads them.

Without ``id``, a frame belongs to level 1, and its other options have their defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import msgspec

from wireside.errors import WiresideError
from wireside.messages import Message
from wireside.protocol.frames.heartbeats import Heartbeat
from wireside.protocol.frames.server import Level

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFrame:
    """One question. ``id`` is None on level 1; the other options exist on level 2 only.

    ``messages`` are the turns before ``message``, for a question that is not stored. ``offset`` is
    the position to start the answer at; it is ignored without a ``key``. ``options`` is the JSON
    text of an object. With ``steer``, an answer that runs in ``conversation`` ends where it is, and
    the question goes on from there. With ``part``, this is a frame of type ``answer``: the id of a
    question of ``conversation``, and the answer to it as JSON text.
    """

    type: ClassVar[str] = "chat"
    message: str
    id: str | None = None
    model: str | None = None
    key: str | None = None
    conversation: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    attachments: tuple[str, ...] = ()
    steer: bool = False
    sanitize: bool = False
    offset: int = 0
    messages: tuple[Message, ...] = ()
    options: str = ""
    part: str | None = None
    answer: str = ""
    max_frame_bytes: int | None = None

    def encode(self) -> str:
        """Return the frame as text."""
        given = _given(self)
        if self.messages:
            given["messages"] = [{"role": m.role, "content": m.text} for m in self.messages]
        if self.options:
            given["options"] = msgspec.Raw(self.options.encode())
        if self.part is None:
            return _text("chat", given)
        given.pop("message", None)
        del given["answer"]
        return _text("answer", {**given, "value": msgspec.Raw(self.answer.encode())})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFrame:
    """Several questions, answered like as many ``chat`` frames one after another.

    ``offsets`` are the positions to start the answers at, in order; they are ignored without a
    ``key``. With ``parallel``, up to that many are answered at once, all frames have the index of
    their answer, and a ``BatchDoneFrame`` follows the last one.
    """

    type: ClassVar[str] = "batch"
    messages: tuple[str, ...]
    id: str | None = None
    model: str | None = None
    key: str | None = None
    conversation: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    sanitize: bool = False
    offsets: tuple[int, ...] = ()
    parallel: int | None = None
    max_frame_bytes: int | None = None

    def chats(self) -> list[ChatFrame]:
        """Return the equivalent ``chat`` frames in order."""
        return [
            ChatFrame(
                message=message,
                id=self.id,
                model=self.model,
                conversation=self.conversation,
                system=self.system,
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                sanitize=self.sanitize,
                offset=self.offsets[index] if index < len(self.offsets) else 0,
                max_frame_bytes=self.max_frame_bytes,
            )
            for index, message in enumerate(self.messages)
        ]

    def encode(self) -> str:
        """Return the frame as text."""
        return _text("batch", _given(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class PingFrame:
    """A keepalive. ``t`` is echoed."""

    type: ClassVar[str] = "ping"
    t: str | float | None = None

    def encode(self) -> str:
        """Return the frame as text."""
        return _text("ping", _given(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFrame:
    """Stop one request (level 2), or the running stream and all queued requests (level 1).

    ``index`` stops one message of a batch (level 2).
    """

    type: ClassVar[str] = "cancel"
    id: str | None = None
    index: int | None = None

    def encode(self) -> str:
        """Return the frame as text."""
        return _text("cancel", _given(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeFrame:
    """Send the content of a stream after ``offset``, under ``id`` on this connection."""

    type: ClassVar[str] = "resume"
    id: str
    stream: str
    offset: int
    max_frame_bytes: int | None = None

    def encode(self) -> str:
        """Return the frame as text."""
        return _text("resume", _given(self))


ClientFrame = ChatFrame | BatchFrame | PingFrame | CancelFrame | ResumeFrame | Heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFrame:
    """A frame that can't be served: the error, and the id of its request if it is known.

    ``level`` is None if the frame could not be read; ``messages`` is its cost against the rate
    limit.
    """

    type: ClassVar[str] = "refused"
    error: WiresideError
    id: str | None = None
    level: Level | None = None
    messages: int = 1


def _given(frame: ChatFrame | BatchFrame | PingFrame | CancelFrame | ResumeFrame) -> dict[str, Any]:
    """Return the fields of a frame that differ from their defaults."""
    values = ((field, getattr(frame, field.name)) for field in fields(frame))
    return {field.name: value for field, value in values if value != field.default}


def _text(kind: str, given: dict[str, Any]) -> str:
    return _encode({"type": kind, **given}).decode()
