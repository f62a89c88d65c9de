"""All frames of ``/ws/ai-chat``: parses those of the client, encodes those of the server.

A frame without ``id`` belongs to level 1, that of the integration guide; one with ``id`` to level
2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

import msgspec

from wireside.errors import BadJson, BadMessage, TooLarge, UnknownType, WiresideError
from wireside.messages import FinishReason, Message, Role, ToolState, Usage
from wireside.protocol.strict_json import parse_object

MAX_BATCH = 20
"""Messages of one ``batch``."""

MAX_CONTEXT = 200
"""Messages in the context of one ``chat``."""

CONTEXT_CHARS = 5
"""Characters of that context, as a multiple of the limit for one message."""

MIN_FRAME_BYTES = 1_024
"""Smallest ``max_frame_bytes`` that a client can request."""
DEFAULT_FRAME_BYTES = 8_000
"""Bytes of a frame to a client. 8 KiB is the smallest limit among common client libraries."""
MAX_FRAME_BYTES = 1_048_576
"""Largest ``max_frame_bytes`` that a client can request."""

MAX_ECHO_CHARS = 256
"""Characters of ``t`` in a ping.

A client that never reads would otherwise queue a pong of a megabyte for each ping.
"""

Level = Literal[1, 2]

StreamState = Literal["live", "finished", "interrupted"]

MAX_NAME_CHARS = 200
"""Characters of the name of a model, conversation or stream.

A queued request keeps these names in memory.
"""

_ID = re.compile(r"[A-Za-z0-9_\-.:]{1,64}", re.ASCII)


# ---- client to server --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One question. ``id`` is None on level 1; the other options exist on level 2 only."""

    message: str
    id: str | None = None
    model: str | None = None
    key: str | None = None
    conversation: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    attachments: tuple[str, ...] = ()
    sanitize: bool = False
    offset: int = 0
    messages: tuple[Message, ...] = ()
    """The turns before ``message``, for a question that is not stored."""
    max_frame_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several questions, answered like as many ``chat`` frames one after another.

    ``offsets`` are the positions to start the answers at, in order; they are ignored without a
    ``key``.
    """

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
    max_frame_bytes: int | None = None

    def chats(self) -> list[Chat]:
        """Return the equivalent ``chat`` frames in order."""
        return [
            Chat(
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


@dataclass(frozen=True, slots=True)
class Ping:
    """A keepalive. ``t`` is echoed."""

    t: str | float | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A keepalive that is not a frame of this protocol: the default of a client library.

    ``reply`` is the text to respond with; None if no response is expected.
    """

    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop one request (level 2), or the running stream and all queued requests (level 1)."""

    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Send the content of a stream after ``offset``, under ``id`` on this connection."""

    id: str
    stream: str
    offset: int
    max_frame_bytes: int | None = None


ClientFrame = Chat | Batch | Ping | Cancel | Resume | Heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A frame that can't be served: the error, and the id of its request if it is known.

    ``level`` is None if the frame could not be read; ``messages`` is its cost against the rate
    limit.
    """

    error: WiresideError
    id: str | None = None
    level: Level | None = None
    messages: int = 1


_PONG = '{"type":"pong"}'

_HEARTBEATS: Final[dict[str, str | None]] = {
    "": None,
    "ping": "pong",
    "PING": "PONG",
    "Ping": "Pong",
    "__ping__": "__pong__",
    '"ping"': '"pong"',
    "pong": None,
    "PONG": None,
    "Pong": None,
    "__pong__": None,
    '"pong"': None,
    **dict.fromkeys(
        (
            word
            for name in ("heartbeat", "Heartbeat", "HEARTBEAT", "keepalive", "keep-alive")
            for word in (name, f'"{name}"')
        ),
        _PONG,
    ),
}
"""Keepalive texts of client libraries, and the replies that the libraries expect.

``ping`` and ``pong`` are the defaults of react-use-websocket and of VueUse.
"""

_HEARTBEAT_CHARS: Final = 64
_SIGNS_OF_LIFE: Final = frozenset({"heartbeat", "keepalive", "keep-alive", "keep_alive"})


def _heartbeat(text: str) -> Heartbeat | None:
    """Return the heartbeat for a keepalive text; None for anything else."""
    if len(text) > _HEARTBEAT_CHARS:
        return None
    word = text.strip("\ufeff \t\r\n")
    return Heartbeat(_HEARTBEATS[word]) if word in _HEARTBEATS else None


def parse(text: str, *, max_message_chars: int) -> ClientFrame | Refused:
    """Parse one text frame. Never raises: errors are returned as ``Refused``."""
    if heartbeat := _heartbeat(text):
        return heartbeat
    try:
        fields = parse_object(text)
    except BadJson as error:
        return Refused(error=_bare(error))
    try:
        return _parse_fields(_Fields(fields, max_message_chars))
    except WiresideError as error:
        level: Level = 1 if fields.get("id") is None else 2
        return Refused(
            error=_bare(error), id=_usable_id(fields), level=level, messages=_count(fields)
        )


def _bare(error: WiresideError) -> WiresideError:
    """Detach an error's traceback and causes, and return the error.

    The traceback references the text, up to a megabyte. A caller that keeps the error in a variable
    would create a reference cycle with it, which only the garbage collector frees.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _parse_fields(fields: _Fields) -> ClientFrame:
    kind = fields.get("type", str, required=True)
    match kind:
        case "chat":
            return _parse_chat(fields)
        case "batch":
            return _parse_batch(fields)
        case "ping":
            return _parse_ping(fields)
        case "cancel":
            return Cancel(id=fields.id())
        case "resume":
            return Resume(
                id=fields.id(required=True),
                stream=fields.name("stream", required=True),
                offset=fields.offset(required=True),
                max_frame_bytes=fields.frame_bytes(),
            )
        case "pong":
            return Heartbeat()  # from clients that treat our frames as pings
        case name if name.lower() in _SIGNS_OF_LIFE:
            return Heartbeat(_PONG)
        case _:
            raise UnknownType(
                f"type: {_shown(kind)} is unknown; use chat, batch, ping, cancel or resume."
            )


def _parse_ping(fields: _Fields) -> Ping:
    t = cast("str | float | None", fields.get("t", (str, int, float)))
    if (isinstance(t, str) and len(t) > MAX_ECHO_CHARS) or (
        isinstance(t, int) and abs(t) >= 10**MAX_ECHO_CHARS  # 1e300 is short as a float
    ):
        raise BadMessage(f"t: it must have at most {MAX_ECHO_CHARS} characters.")
    return Ping(t=t)


def _parse_chat(fields: _Fields) -> Chat:
    request_id = fields.id()
    chat = Chat(
        message=fields.message("message", fields.get("message", str, required=True)),
        model=fields.name("model"),
    )
    if request_id is None:
        return chat
    key, offset = fields.key(), fields.offset()
    return replace(
        chat,
        id=request_id,
        key=key,
        conversation=fields.name("conversation"),
        system=fields.text("system"),
        temperature=fields.number("temperature", low=0, high=2),
        max_tokens=fields.count("max_tokens"),
        attachments=fields.strings("attachments"),
        sanitize=bool(fields.get("sanitize", bool)),
        # an offset is valid only in an answer that the key refers to
        offset=0 if key is None else offset,
        messages=_parse_context(fields),
        max_frame_bytes=fields.frame_bytes(),
    )


def checked_frame_bytes(value: int) -> int:
    """Return a size of frames that clients can request.

    Raises:
        BadMessage: it is out of range.
    """
    if not MIN_FRAME_BYTES <= value <= MAX_FRAME_BYTES:
        raise BadMessage(
            f"max_frame_bytes: expected a whole number from {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES}."
        )
    return value


_ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant")


def _parse_context(fields: _Fields) -> tuple[Message, ...]:
    """Parse ``messages`` of a ``chat``: the turns before its question."""
    items: list[Any] = fields.get("messages", list) or []
    if not items:
        return ()
    if fields.name("conversation") is not None:
        raise BadMessage(
            "messages: not together with conversation, whose stored turns are the context."
        )
    if len(items) > MAX_CONTEXT:
        raise BadMessage(f"messages: at most {MAX_CONTEXT} fit, got {len(items)}.")
    messages = tuple(_parse_turn(f"messages[{index}]", item) for index, item in enumerate(items))
    fields.check_context(sum(len(message.text) for message in messages))
    return messages


def _parse_turn(name: str, item: object) -> Message:
    if not isinstance(item, dict):
        raise BadMessage(f"{name}: expected an object with role and content.")
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise BadMessage(f"{name}.role: expected system, user or assistant.")
    if not isinstance(content, str):
        raise BadMessage(f"{name}.content: expected a string.")
    if not content.strip():
        raise BadMessage(f"{name}.content: is blank.")
    return Message(cast("Role", role), content)


def _parse_batch(fields: _Fields) -> Batch:
    request_id = fields.id()
    messages = fields.strings("messages", required=True)
    if not 1 <= len(messages) <= MAX_BATCH:
        raise BadMessage(f"messages: expected 1 to {MAX_BATCH} strings, got {len(messages)}.")
    batch = Batch(
        messages=tuple(fields.message(f"messages[{i}]", m) for i, m in enumerate(messages)),
        id=request_id,
        model=fields.name("model"),
    )
    if request_id is None:
        return batch
    key, offsets = fields.key(), fields.offsets("offsets", at_most=len(messages))
    return replace(
        batch,
        key=key,
        conversation=fields.name("conversation"),
        system=fields.text("system"),
        temperature=fields.number("temperature", low=0, high=2),
        max_tokens=fields.count("max_tokens"),
        sanitize=bool(fields.get("sanitize", bool)),
        offsets=() if key is None else offsets,
        max_frame_bytes=fields.frame_bytes(),
    )


_NAMES: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


class _Fields:
    """Typed access to the fields of one frame; null counts as absent."""

    def __init__(self, fields: dict[str, Any], max_message_chars: int) -> None:
        self._fields = fields
        self._max_message_chars = max_message_chars

    def get(self, name: str, kind: type | tuple[type, ...], *, required: bool = False) -> Any:
        value = self._fields.get(name)
        if value is None:
            if required:
                raise BadMessage(f"{name}: is missing.")
            return None
        # bool is a subclass of int in Python, but not a number in JSON
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BadMessage(f"{name}: expected {_kind_name(kind)}.")
        return value

    def id(self, *, required: bool = False) -> Any:
        value = self.get("id", str, required=required)
        if value is not None and not _ID.fullmatch(value):
            raise BadMessage("id: expected 1 to 64 characters of A-Z a-z 0-9 _ - . :")
        return value

    def key(self) -> str | None:
        value: str | None = self.get("key", str)
        if value is not None and not 1 <= len(value) <= 64:
            raise BadMessage("key: expected 1 to 64 characters.")
        return value

    def name(self, name: str, *, required: bool = False) -> Any:
        value = self.get(name, str, required=required)
        if value is not None and len(value) > MAX_NAME_CHARS:
            raise BadMessage(f"{name}: expected at most {MAX_NAME_CHARS} characters.")
        return value

    def message(self, name: str, text: str) -> str:
        if not text.strip():
            raise BadMessage(f"{name}: is blank.")
        return self._bounded(name, text)

    def text(self, name: str) -> str | None:
        value: str | None = self.get(name, str)
        return None if value is None else self._bounded(name, value)

    def _bounded(self, name: str, text: str) -> str:
        if len(text) > self._max_message_chars:
            raise TooLarge(
                f"{name}: has {len(text):,} characters; at most {self._max_message_chars:,} fit."
            )
        return text

    def strings(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        values: list[Any] = self.get(name, list, required=required) or []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise BadMessage(f"{name}[{index}]: expected a string.")
        return tuple(values)

    def number(self, name: str, *, low: float, high: float) -> float | None:
        value: float | None = self.get(name, (int, float))
        if value is not None and not low <= value <= high:
            raise BadMessage(f"{name}: expected a number from {low} to {high}.")
        return value

    def count(self, name: str) -> int | None:
        value: int | None = self.get(name, int)
        if value is not None and not 1 <= value <= 1_000_000:
            raise BadMessage(f"{name}: expected a whole number from 1 to 1000000.")
        return value

    def check_context(self, chars: int) -> None:
        limit = CONTEXT_CHARS * self._max_message_chars
        if chars > limit:
            raise TooLarge(f"messages: have {chars:,} characters; at most {limit:,} fit.")

    def frame_bytes(self) -> int | None:
        value: int | None = self.get("max_frame_bytes", int)
        return None if value is None else checked_frame_bytes(value)

    def offset(self, *, required: bool = False) -> int:
        value: int | None = self.get("offset", int, required=required)
        return _offset("offset", value) if value is not None else 0

    def offsets(self, name: str, *, at_most: int) -> tuple[int, ...]:
        values: list[Any] = self.get(name, list) or []
        if len(values) > at_most:
            raise BadMessage(f"{name}: expected at most one for each message.")
        return tuple(_offset(f"{name}[{index}]", value) for index, value in enumerate(values))


def _offset(name: str, value: object) -> int:
    # 2**53: the integers that all JavaScript clients can represent
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BadMessage(f"{name}: expected a whole number, not negative.")
    return value


def _kind_name(kind: type | tuple[type, ...]) -> str:
    if isinstance(kind, tuple):
        return "a string or a number" if str in kind else "a number"
    return _NAMES.get(kind, "a whole number")


def _usable_id(fields: dict[str, Any]) -> str | None:
    value = fields.get("id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _count(fields: dict[str, Any]) -> int:
    """Return the cost of a frame in messages: a batch costs all of its, even if it is refused."""
    messages = fields.get("messages") if fields.get("type") == "batch" else None
    return max(1, len(messages)) if isinstance(messages, list) else 1


def _shown(text: str) -> str:
    return repr(text[:40] + "…" if len(text) > 40 else text)


# ---- server to client --------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode


def _frame(kind: str, request_id: str | None, /, **fields: object) -> str:
    """Encode one frame, without the fields that are None."""
    head = {"type": kind} if request_id is None else {"type": kind, "id": request_id}
    return _encode(head | {k: v for k, v in fields.items() if v is not None}).decode()


def chunk(request_id: str | None, content: str, offset: int) -> str:
    """Encode a piece of text. This is the hot path, so the JSON is assembled by hand."""
    text = _encode(content).decode()
    if request_id is None:
        return f'{{"type":"chunk","content":{text}}}'
    return f'{{"type":"chunk","id":"{request_id}","content":{text},"offset":{offset}}}'


CHUNK_BYTES: Final = 180
"""Largest size of a ``chunk`` or ``reasoning`` frame without its text, in bytes."""

CHAR_BYTES: Final = 6
"""Largest size of a character in JSON, in bytes: ``\\u0000``."""


def _size(text: str) -> int:
    """Return the size of a text within a JSON string, in bytes."""
    return len(_encode(text)) - 2


def prefix(text: str, max_bytes: int, *, escapes: bool = False) -> str:
    """Return nearly the longest prefix of ``text`` that fits ``max_bytes`` in a JSON string.

    ``escapes`` reserves space for the characters that the sanitiser adds.
    """
    part = text[:max_bytes]
    while part:
        size = _size(part) + (3 * part.count("<") if escapes else 0)
        if size <= max_bytes:
            break
        part = part[: min(len(part) - 1, len(part) * max_bytes // size)]
    return part


def split_text(text: str, max_bytes: int, *, escapes: bool = False) -> Iterator[str]:
    """Split ``text`` at code points into parts of at most ``max_bytes`` each in a JSON string.

    ``escapes`` reserves space for the characters that the sanitiser holds back and adds.
    """
    if escapes:
        max_bytes -= 16
    start = 0
    while start < len(text):
        part = prefix(text[start : start + max_bytes], max_bytes, escapes=escapes) or text[start]
        yield part
        start += len(part)


def reasoning(request_id: str, content: str, offset: int) -> str:
    """Encode a piece of the model's reasoning; level 2 only."""
    return _frame("reasoning", request_id, content=content, offset=offset)


def tool(
    request_id: str,
    offset: int,
    *,
    name: str,
    call: str,
    state: ToolState,
    arguments: str,
    result: str | None,
    max_bytes: int = MAX_FRAME_BYTES,
) -> str:
    """Encode a state of a tool call; level 2 only.

    Arguments and result that exceed ``max_bytes`` are cut and the frame is marked as ``truncated``,
    as a state can't be split over two frames.
    """

    def encode(arguments: str, result: str | None, truncated: bool | None = None) -> str:
        return _frame(
            "tool",
            request_id,
            offset=offset,
            name=name[:MAX_NAME_CHARS],
            call=call[:MAX_NAME_CHARS],
            state=state,
            arguments=arguments,
            result=result,
            truncated=truncated,
        )

    frame = encode(arguments, result)
    if len(frame) * 4 > max_bytes and len(frame.encode()) > max_bytes:
        room = max(0, max_bytes - len(encode("", result and "", truncated=True).encode()))
        taken = prefix(arguments, room if result is None else room // 2)
        left = room - _size(taken)
        frame = encode(taken, None if result is None else prefix(result, left), truncated=True)
    return frame


def start(
    request_id: str,
    *,
    stream: str,
    model: str,
    conversation: str | None = None,
    index: int | None = None,
) -> str:
    """Encode the acknowledgement of a level 2 request.

    It names the stream, for ``resume``, and the conversation that stores the answer.
    """
    return _frame(
        "start", request_id, stream=stream, model=model, conversation=conversation, index=index
    )


def resumed(
    request_id: str,
    *,
    stream: str,
    head: int,
    state: StreamState,
    index: int | None = None,
) -> str:
    """Encode the response to ``resume``; the missing frames follow.

    ``index`` is the answer's position in its batch.
    """
    return _frame("resumed", request_id, stream=stream, head=head, state=state, index=index)


def done(
    request_id: str | None,
    *,
    offset: int,
    reason: FinishReason,
    usage: Usage,
    index: int | None = None,
) -> str:
    """Encode the end of an answer. ``usage`` holds nulls if the model reports none."""
    if request_id is None:
        return '{"type":"done"}'
    tokens = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    return _frame("done", request_id, offset=offset, reason=reason, usage=tokens, index=index)


MAX_SENTENCE_CHARS: Final = 500
"""Characters of an error's sentence; a model service may send pages of text."""


def error(
    request_id: str | None, failure: WiresideError, *, level: Level, index: int | None = None
) -> str:
    """Encode the error of a request, or of a frame that could not be read.

    It is the request's last frame. ``index`` is the message's in its batch.
    """
    message = str(failure)
    if len(message) > MAX_SENTENCE_CHARS:
        message = message[:MAX_SENTENCE_CHARS] + "…"
    if level == 1:
        return _frame("error", None, message=message)
    return _frame(
        "error",
        request_id,
        message=message,
        code=failure.code,
        retryable=failure.retryable,
        retry_after=failure.retry_after,
        index=index,
    )


def pong(t: str | float | None) -> str:
    """Encode the response to ``ping``."""
    return _frame("pong", None, t=t)
