"""Parses the frames of clients strictly, with errors that name the field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from wireside.errors import BadJson, BadMessage, UnknownType, WiresideError
from wireside.messages import Message, Role
from wireside.protocol.frames.client import (
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ClientFrame,
    PingFrame,
    RefusedFrame,
    ResumeFrame,
)
from wireside.protocol.frames.fields import ID, Fields
from wireside.protocol.frames.heartbeats import KEEPALIVE_TYPES, Heartbeat, heartbeat_in
from wireside.protocol.frames.limits import MAX_BATCH, MAX_CONTEXT, MAX_ECHO_CHARS, MAX_PARALLEL
from wireside.protocol.frames.server import Level, PongFrame
from wireside.protocol.strict_json import parse_object


def parse_client_frame(text: str, *, max_message_chars: int) -> ClientFrame | RefusedFrame:
    """Parse one text frame. Never raises: errors are returned as ``RefusedFrame``."""
    if (heartbeat := heartbeat_in(text)) is not None:
        return heartbeat
    try:
        fields = parse_object(text)
    except BadJson as error:
        return RefusedFrame(error=_bare(error))
    try:
        return _parse_fields(Fields(fields, max_message_chars))
    except WiresideError as error:
        level: Level = 1 if fields.get("id") is None else 2
        return RefusedFrame(
            error=_bare(error), id=_usable_id(fields), level=level, messages=_count(fields)
        )


def _bare(error: WiresideError) -> WiresideError:
    """Detach an error's traceback and causes, and return the error.

    The traceback references the text, up to a megabyte. A caller that keeps the error in a variable
    would create a reference cycle with it, which only the garbage collector frees.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _parse_fields(fields: Fields) -> ClientFrame:
    kind = fields.get("type", str, required=True)
    match kind:
        case "chat":
            return _parse_chat(fields)
        case "batch":
            return _parse_batch(fields)
        case "answer":
            return _parse_answer(fields)
        case "ping":
            return _parse_ping(fields)
        case "cancel":
            return _parse_cancel(fields)
        case "resume":
            return ResumeFrame(
                id=fields.id(required=True),
                stream=fields.name("stream", required=True),
                offset=fields.offset(required=True),
                max_frame_bytes=fields.frame_bytes(),
            )
        case "pong":
            return Heartbeat()  # from clients that treat our frames as pings
        case name if name.lower() in KEEPALIVE_TYPES:
            return Heartbeat(reply=PongFrame())
        case _:
            raise UnknownType(
                f"type: {_shown(kind)} is unknown; use chat, answer, batch, ping, cancel or resume."
            )


def _parse_cancel(fields: Fields) -> CancelFrame:
    request_id = fields.id()
    if request_id is None:
        return CancelFrame()
    return CancelFrame(id=request_id, index=fields.whole("index", low=0, high=MAX_BATCH - 1))


def _parse_ping(fields: Fields) -> PingFrame:
    t = cast("str | float | None", fields.get("t", (str, int, float)))
    if (isinstance(t, str) and len(t) > MAX_ECHO_CHARS) or (
        isinstance(t, int) and abs(t) >= 10**MAX_ECHO_CHARS  # 1e300 is short as a float
    ):
        raise BadMessage(f"t: it must have at most {MAX_ECHO_CHARS} characters.")
    return PingFrame(t=t)


def _parse_chat(fields: Fields) -> ChatFrame:
    request_id = fields.id()
    attachments = () if request_id is None else fields.attachments()
    message = fields.get("message", str, required=True)
    chat = ChatFrame(
        message=fields.message("message", message, may_be_blank=bool(attachments)),
        model=fields.name("model"),
    )
    if request_id is None:
        return chat
    key, offset = fields.key(), fields.offset()
    conversation, steer = fields.name("conversation"), bool(fields.get("steer", bool))
    return replace(
        chat,
        id=request_id,
        key=key,
        conversation=conversation,
        steer=steer,
        system=fields.text("system"),
        temperature=fields.number("temperature", low=0, high=2),
        max_tokens=fields.count("max_tokens"),
        attachments=attachments,
        sanitize=bool(fields.get("sanitize", bool)),
        # an offset is valid only in an answer that the key refers to
        offset=0 if key is None else offset,
        messages=_parse_context(fields),
        options=fields.json_object("options"),
        max_frame_bytes=fields.frame_bytes(),
    )


def _parse_answer(fields: Fields) -> ChatFrame:
    """Parse the answer to a question, which is handled as a request of the conversation."""
    return ChatFrame(
        message="",
        id=fields.id(required=True),
        conversation=fields.name("conversation", required=True),
        part=fields.name("part", required=True),
        answer=fields.json_value("value"),
        max_frame_bytes=fields.frame_bytes(),
    )


_ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant")


def _parse_context(fields: Fields) -> tuple[Message, ...]:
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
    return Message.of_text(cast("Role", role), content)


def _parse_batch(fields: Fields) -> BatchFrame:
    request_id = fields.id()
    messages = fields.strings("messages", required=True)
    if not 1 <= len(messages) <= MAX_BATCH:
        raise BadMessage(f"messages: expected 1 to {MAX_BATCH} strings, got {len(messages)}.")
    batch = BatchFrame(
        messages=tuple(fields.message(f"messages[{i}]", m) for i, m in enumerate(messages)),
        id=request_id,
        model=fields.name("model"),
    )
    if request_id is None:
        return batch
    key, offsets = fields.key(), fields.offsets("offsets", at_most=len(messages))
    conversation = fields.name("conversation")
    parallel = fields.whole("parallel", low=1, high=MAX_PARALLEL)
    if conversation is not None and parallel is not None and parallel > 1:
        raise BadMessage(
            "parallel: not together with conversation, whose questions are answered one after"
            " another."
        )
    return replace(
        batch,
        key=key,
        conversation=conversation,
        parallel=parallel,
        system=fields.text("system"),
        temperature=fields.number("temperature", low=0, high=2),
        max_tokens=fields.count("max_tokens"),
        sanitize=bool(fields.get("sanitize", bool)),
        offsets=() if key is None else offsets,
        max_frame_bytes=fields.frame_bytes(),
    )


def _usable_id(fields: dict[str, Any]) -> str | None:
    value = fields.get("id")
    return value if isinstance(value, str) and ID.fullmatch(value) else None


def _count(fields: dict[str, Any]) -> int:
    """Return the cost of a frame in messages: a batch costs all of its, even if it is refused."""
    messages = fields.get("messages") if fields.get("type") == "batch" else None
    return max(1, len(messages)) if isinstance(messages, list) else 1


def _shown(text: str) -> str:
    return repr(text[:40] + "…" if len(text) > 40 else text)
