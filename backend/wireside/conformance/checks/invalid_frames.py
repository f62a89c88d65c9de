"""Checks of invalid frames: each gets an ``error``, and the connection stays open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wireside.conformance.frames import Frame, check_error, check_level_1
from wireside.conformance.kit import ConformanceCheck, Kit, check
from wireside.conformance.results import Violation, shown

SECTION = "Invalid frames"

TOO_LONG = "x" * 100_001


@dataclass(frozen=True, slots=True)
class Invalid:
    """An invalid frame.

    Attributes:
        name: name of the check.
        frame: the frame, as fields or as text.
        code: error code of level 2.
        names: the field that the error must name; "" for none.
        is_about: whether the error has the ``id`` of the frame.
    """

    name: str
    frame: Mapping[str, Any] | str
    code: str = "bad_message"
    names: str = ""
    is_about: bool = True

    @property
    def text(self) -> str:
        """The frame as text."""
        return self.frame if isinstance(self.frame, str) else json.dumps(self.frame)


def _chat(name: str, names: str, code: str = "bad_message", **fields: Any) -> Invalid:
    frame = {"type": "chat", "message": "Hi", **fields}
    return Invalid(name, frame, code, names)


def _batch(name: str, names: str, **fields: Any) -> Invalid:
    return Invalid(name, {"type": "batch", "messages": ["Hi"], **fields}, "bad_message", names)


_DEEP = "[" * 70 + "]" * 70

LEVEL_1 = (
    Invalid("not-json", '{"type": "chat"', "bad_json"),
    Invalid("not-an-object", "[1, 2]", "bad_json"),
    Invalid("nan", '{"type": "ping", "t": NaN}', "bad_json"),
    Invalid("infinite", '{"type": "ping", "t": 1e999}', "bad_json"),
    Invalid("lone-surrogate", r'{"type": "chat", "message": "\ud83d"}', "bad_json"),
    Invalid("duplicate-key", '{"type": "ping", "type": "ping"}', "bad_json"),
    Invalid("nested-too-deep", f'{{"type": "ping", "x": {_DEEP}}}', "bad_json"),
    Invalid("type-missing", {"message": "Hi"}, names="type"),
    Invalid("type-unknown", {"type": "conformance"}, "unknown_type", "conformance"),
    Invalid("message-missing", {"type": "chat"}, names="message"),
    _chat("message-null", "message", message=None),
    _chat("message-blank", "message", message=" \n"),
    _chat("message-not-a-string", "message", message=7),
    _chat("message-too-long", "message", "too_large", message=TOO_LONG),
    _chat("model-not-a-string", "model", model=["a"]),
    _batch("batch-empty", "messages", messages=[]),
    _batch("batch-of-21", "messages", messages=["Hi"] * 21),
    _batch("batch-not-a-list", "messages", messages="Hi"),
    _batch("batch-with-a-number", "messages", messages=["Hi", 7]),
)

_TURN = {"role": "user", "content": "Hi"}

LEVEL_2 = (
    Invalid(
        "id-too-long", {"type": "chat", "message": "Hi", "id": "x" * 65}, "bad_message", "id", False
    ),
    Invalid(
        "id-with-space", {"type": "chat", "message": "Hi", "id": "a b"}, "bad_message", "id", False
    ),
    Invalid(
        "id-not-a-string", {"type": "chat", "message": "Hi", "id": 7}, "bad_message", "id", False
    ),
    Invalid("type-unknown-with-id", {"type": "conformance"}, "unknown_type", "conformance"),
    _chat("chat-message-blank", "message", message=" "),
    _chat("chat-message-too-long", "message", "too_large", message=TOO_LONG),
    _chat("model-too-long", "model", model="x" * 201),
    _chat("key-empty", "key", key=""),
    _chat("key-too-long", "key", key="x" * 65),
    _chat("offset-negative", "offset", key="conformance", offset=-1),
    _chat("temperature-too-high", "temperature", temperature=2.5),
    _chat("temperature-not-a-number", "temperature", temperature="warm"),
    _chat("max-tokens-zero", "max_tokens", max_tokens=0),
    _chat("max-tokens-too-many", "max_tokens", max_tokens=1_000_001),
    _chat("system-not-a-string", "system", system=7),
    _chat("sanitize-not-a-boolean", "sanitize", sanitize="yes"),
    _chat("options-not-an-object", "options", options=[1]),
    _chat("attachments-not-a-list", "attachments", attachments="file"),
    _chat("conversation-too-long", "conversation", conversation="x" * 201),
    _chat("context-not-a-list", "messages", messages="Hi"),
    _chat("context-of-201", "messages", messages=[_TURN] * 201),
    _chat("context-role", "role", messages=[{"role": "robot", "content": "Hi"}]),
    _chat("context-blank", "content", messages=[{"role": "user", "content": " "}]),
    _chat("context-and-conversation", "messages", messages=[_TURN], conversation="new"),
    _chat("chat-frame-size", "max_frame_bytes", max_frame_bytes=10),
    _batch("batch-of-21-with-id", "messages", messages=["Hi"] * 21),
    _batch("parallel-zero", "parallel", parallel=0),
    _batch("parallel-nine", "parallel", parallel=9),
    _batch("parallel-and-conversation", "parallel", parallel=2, conversation="new"),
    _batch("offsets-too-many", "offsets", key="conformance", offsets=[0, 0]),
    Invalid("resume-without-stream", {"type": "resume", "offset": 0}, names="stream"),
    Invalid("resume-without-offset", {"type": "resume", "stream": "s"}, names="offset"),
    Invalid(
        "resume-offset-negative", {"type": "resume", "stream": "s", "offset": -1}, names="offset"
    ),
    Invalid(
        "answer-without-part", {"type": "answer", "conversation": "c", "value": 1}, names="part"
    ),
)

NOT_JSON = '{"type": "chat"'


def _check_names(frame: Frame, invalid: Invalid) -> None:
    if invalid.names not in str(frame.get("message")):
        raise Violation(f"a `message` that names {invalid.names}", shown(frame.text))


def _level_1_check(invalid: Invalid) -> ConformanceCheck:
    async def run(kit: Kit) -> None:
        async with kit.connection() as connection:
            await connection.send(invalid.text)
            frame = await connection.receive("`error`")
            if frame.type != "error":
                raise Violation("`error`", shown(frame.text))
            check_level_1(frame)
            _check_names(frame, invalid)
            await connection.expect_nothing(level=1)

    return _check_of(invalid, 1, run)


def _level_2_check(invalid: Invalid) -> ConformanceCheck:
    async def run(kit: Kit) -> None:
        frame = {"id": "invalid", **json.loads(invalid.text)}
        async with kit.connection() as connection:
            await connection.send(frame)
            error = await connection.receive("`error`")
            check_error(error)
            _check_names(error, invalid)
            if error.get("code") != invalid.code:
                raise Violation(f"`code` {invalid.code}", shown(error.text))
            expected = "invalid" if invalid.is_about else None
            if error.id != expected:
                raise Violation(f"`id` {expected or 'absent'}", shown(error.text))
            await connection.expect_nothing()

    return _check_of(invalid, 2, run)


def _check_of(invalid: Invalid, level: Literal[1, 2], run: Any) -> ConformanceCheck:
    named = f" that names {invalid.names}" if invalid.names else ""
    return ConformanceCheck(
        name=f"invalid-{invalid.name}",
        section=SECTION,
        rule=f"{shown(invalid.text)[:120]} gets an `error`{named}; the connection stays open.",
        level=level,
        run=run,
    )


INVALID_FRAMES = (*map(_level_1_check, LEVEL_1), *map(_level_2_check, LEVEL_2))


@check(
    "unknown-keys",
    level=1,
    section=SECTION,
    rule="Unknown keys are ignored, and a null counts as absent.",
)
async def unknown_keys(kit: Kit) -> None:
    """Send a ping with a key that does not exist, and with a null."""
    async with kit.connection() as connection:
        await connection.send({"type": "ping", "conformance": {"a": [1]}, "t": None})
        frame = await connection.receive("`pong`")
        if frame.fields != {"type": "pong"}:
            raise Violation('{"type":"pong"}', shown(frame.text))


@check(
    "surrogate-pair",
    level=1,
    section=SECTION,
    rule="A surrogate pair in escapes is a character like any other.",
)
async def surrogate_pair(kit: Kit) -> None:
    """Send an emoji in escapes."""
    async with kit.connection() as connection:
        await connection.send(r'{"type": "ping", "note": "\ud83c\udf0a"}')
        frame = await connection.receive("`pong`")
        if frame.type != "pong":
            raise Violation("`pong`", shown(frame.text))


@check(
    "unreadable-at-level-1",
    level=1,
    section="Errors",
    rule="A frame that can't be read is answered as on level 1 if the client has sent no `id`.",
)
async def unreadable_at_level_1(kit: Kit) -> None:
    """Send an unreadable frame first."""
    async with kit.connection() as connection:
        await connection.send(NOT_JSON)
        check_level_1(await connection.receive("`error`"))


@check(
    "unreadable-at-level-2",
    section="Errors",
    rule="A frame that can't be read is answered as on level 2 if the client has sent an `id`.",
)
async def unreadable_at_level_2(kit: Kit) -> None:
    """Send an unreadable frame after one with an id."""
    async with kit.connection() as connection:
        await connection.send({"type": "cancel", "id": "none"})
        await connection.send(NOT_JSON)
        frame = await connection.receive("`error`")
        check_error(frame)
        if frame.get("code") != "bad_json" or "id" in frame.fields:
            raise Violation("`code` bad_json, no `id`", shown(frame.text))


@check(
    "ping-t-invalid",
    section="Client to server",
    rule="`t` of a ping is a string or a number of at most 256 characters.",
)
async def ping_t_invalid(kit: Kit) -> None:
    """Send pings with other values."""
    async with kit.connection() as connection:
        for t in (True, ["a"], "x" * 257):
            await connection.send({"type": "ping", "t": t})
            frame = await connection.receive("`error`")
            if frame.type != "error":
                raise Violation(f"`error` for `t` {shown(t)[:40]}", shown(frame.text))


@check(
    "resume-without-id",
    section="Ids",
    rule="A `resume` without `id` is answered by an `error` with only a `message`.",
)
async def resume_without_id(kit: Kit) -> None:
    """Resume without an id."""
    async with kit.connection() as connection:
        await connection.send({"type": "resume", "stream": "s", "offset": 0})
        check_level_1(await connection.receive("`error`"))
