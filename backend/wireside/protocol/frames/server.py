"""The frames of the server as values; ``server_parser`` reads them, for clients.

Without ``id``, a frame belongs to level 1 and has only the fields of that level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import msgspec
from msgspec import Struct

from wireside.errors import WiresideError
from wireside.messages import Usage
from wireside.protocol.frames.limits import MAX_SENTENCE_CHARS
from wireside.protocol.frames.sizes import prefix, text_bytes

Level = Literal[1, 2]

StreamState = Literal["live", "finished", "interrupted"]

_encode = msgspec.json.Encoder().encode


class _Frame(
    Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    gc=False,  # without references to other frames there are no cycles
):
    """A JSON frame. Fields that have their default are absent from the text."""

    def encode(self) -> str:
        """Return the frame as text."""
        return _encode(self).decode()

    @property
    def type(self) -> str:
        """The frame's ``type``."""
        return str(self.__struct_config__.tag)


class ChunkFrame(_Frame, frozen=True, kw_only=True, tag="chunk"):
    """A piece of the answer's text; ``offset`` is the position after it (level 2).

    ``index`` is the position in a batch with ``parallel``, in this frame and those below.
    """

    id: str | None = None
    content: str
    offset: int | None = None
    index: int | None = None


class ReasoningFrame(_Frame, frozen=True, kw_only=True, tag="reasoning"):
    """A piece of the model's reasoning (level 2)."""

    id: str
    content: str
    offset: int
    index: int | None = None


class ToolFrame(_Frame, frozen=True, kw_only=True, tag="tool"):
    """A state of a tool call (level 2): a ``messages.ToolState``, or one of a newer server.

    ``truncated`` says that arguments or result were cut.
    """

    id: str
    offset: int
    name: str
    call: str
    state: str
    arguments: str
    result: str | None = None
    truncated: bool = False
    index: int | None = None

    def cut_to(self, max_bytes: int) -> ToolFrame:
        """Return the frame with arguments and result cut so that it fits into ``max_bytes``.

        A state can't be split over two frames.
        """
        if len(_encode(self)) <= max_bytes:
            return self
        arguments, result = self.arguments, self.result
        empty = msgspec.structs.replace(self, arguments="", result=result and "", truncated=True)
        room = max(0, max_bytes - len(_encode(empty)))
        arguments = prefix(arguments, room if result is None else room // 2)
        if result is not None:
            result = prefix(result, room - text_bytes(arguments))
        return msgspec.structs.replace(empty, arguments=arguments, result=result)


class PartFrame(_Frame, frozen=True, kw_only=True, tag="part"):
    """A state of a part that is written whole: an image, a file, a step, a source … (level 2).

    ``kind`` names the shape of ``data``, an object. A frame replaces the earlier one of the same
    answer with the same ``part``, unless that is "". ``text`` represents the part for clients that
    don't know its kind. ``truncated`` says that ``data`` was too large for a frame and is absent.
    """

    id: str
    offset: int
    kind: str
    part: str = ""
    text: str = ""
    data: Any = None
    truncated: bool = False
    index: int | None = None

    def cut_to(self, max_bytes: int) -> PartFrame:
        """Return the frame without its data, and with less of its text, if it is too large."""
        if len(_encode(self)) <= max_bytes:
            return self
        empty = msgspec.structs.replace(self, data=None, text="", truncated=True)
        room = max(0, max_bytes - len(_encode(empty)) - len(',"text":""'))
        return msgspec.structs.replace(empty, text=prefix(self.text, room))


class StartFrame(_Frame, frozen=True, kw_only=True, tag="start"):
    """Acknowledges a level 2 request.

    It names the stream, for ``resume``, and the conversation that stores the answer. ``index`` is
    the position in a batch.
    """

    id: str
    stream: str
    model: str
    conversation: str | None = None
    index: int | None = None


class ResumedFrame(_Frame, frozen=True, kw_only=True, tag="resumed"):
    """Acknowledges a ``resume``; the missing frames follow.

    ``state`` is a ``StreamState``, or one of a newer server. ``index`` is the answer's position in
    its batch.
    """

    id: str
    stream: str
    head: int
    state: str
    index: int | None = None


class DoneFrame(_Frame, frozen=True, kw_only=True, tag="done"):
    """The end of an answer. On level 1 it has no fields.

    ``reason`` is a ``messages.FinishReason``, or one of a newer server. ``usage`` holds nulls if
    the model reports none. ``saved`` is False if the store failed, so that the answer is only in
    the server's memory.
    """

    id: str | None = None
    offset: int | None = None
    reason: str | None = None
    usage: Usage | None = None
    index: int | None = None
    saved: bool = True


class ErrorFrame(_Frame, frozen=True, kw_only=True, tag="error"):
    """The error of a request, or of a frame that could not be read.

    It is the request's last frame. On level 1 it has only a message. ``retry_after`` is in seconds.
    """

    id: str | None = None
    message: str
    code: str | None = None
    retryable: bool | None = None
    retry_after: float | None = None
    index: int | None = None

    @classmethod
    def of(
        cls,
        error: WiresideError,
        *,
        level: Level,
        id: str | None = None,  # noqa: A002 (the field's name)
        index: int | None = None,
    ) -> Self:
        """Return the frame that reports ``error``."""
        message = str(error)
        if len(message) > MAX_SENTENCE_CHARS:
            message = message[:MAX_SENTENCE_CHARS] + "…"
        if level == 1:
            return cls(message=message)
        return cls(
            id=id,
            message=message,
            code=error.code,
            retryable=error.retryable,
            retry_after=error.retry_after,
            index=index,
        )


class BatchDoneFrame(_Frame, frozen=True, kw_only=True, tag="batch_done"):
    """The end of a batch with ``parallel``, after the last frames of all its messages.

    ``done``, ``failed`` and ``cancelled`` count the messages by how their answers ended; together
    they are all messages of the batch.
    """

    id: str
    done: int
    failed: int
    cancelled: int


class PongFrame(_Frame, frozen=True, kw_only=True, tag="pong"):
    """The response to a ping, with its ``t``."""

    t: str | int | float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveReply:
    """The response to a client library's keepalive: a text that is not a frame."""

    type: ClassVar[str] = "pong"
    text: str

    def encode(self) -> str:
        """Return the frame as text."""
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownFrame:
    """A frame of a type that this version does not know. Clients ignore it."""

    type: str
    text: str

    def encode(self) -> str:
        """Return the frame as text."""
        return self.text


JsonFrame = (
    ChunkFrame
    | ReasoningFrame
    | ToolFrame
    | PartFrame
    | StartFrame
    | ResumedFrame
    | DoneFrame
    | ErrorFrame
    | BatchDoneFrame
    | PongFrame
)

ServerFrame = JsonFrame | KeepaliveReply | UnknownFrame


def encode_chunk(
    request_id: str | None, content: str, offset: int, index: int | None = None
) -> str:
    """Return the text of a ``ChunkFrame``; ``offset`` and ``index`` are ignored on level 1.

    This is the hot path: no value is made, and the JSON is assembled by hand. An id needs no
    escapes.
    """
    text = _encode(content).decode()
    if request_id is None:
        return f'{{"type":"chunk","content":{text}}}'
    if index is None:
        return f'{{"type":"chunk","id":"{request_id}","content":{text},"offset":{offset}}}'
    return (
        f'{{"type":"chunk","id":"{request_id}","content":{text},"offset":{offset},"index":{index}}}'
    )
