"""Checks of resuming and of keys: an answer outlives its connection, without loss or repetition."""

from __future__ import annotations

from wireside.conformance.frames import (
    LOG_TYPES,
    Frame,
    check_answer,
    check_error,
    check_level_2,
    check_offsets,
    check_reached,
    head_of,
    text_of,
)
from wireside.conformance.kit import Kit, ReceivedAnswer, check
from wireside.conformance.results import NotApplicable, Violation, shown

SECTION = "Resume"


async def _resume(kit: Kit, stream: str, offset: int, request_id: str = "r") -> list[Frame]:
    """Resume a stream on a new connection and return the frames to its end."""
    async with kit.connection() as connection:
        await connection.send(
            {"type": "resume", "id": request_id, "stream": stream, "offset": offset}
        )
        return await connection.receive_request(request_id)


def _check_resumed(frames: list[Frame], stream: str, offset: int) -> None:
    first = frames[0]
    if first.type != "resumed" or first.get("stream") != stream:
        raise Violation(f"`resumed` with `stream` {stream} first", shown(first.text))
    check_level_2(first)
    check_answer(frames, "r")
    check_offsets(frames, offset)


@check(
    "resume-finished",
    section=SECTION,
    rule="`resume` with an offset sends exactly the missing text, from any position of the answer.",
)
async def resume_finished(kit: Kit) -> None:
    """Resume a finished answer at its beginning, within it and at its end."""
    answer = await kit.written_answer(2)
    positions = [0, *(f.get("offset") for f in answer.frames if f.type in LOG_TYPES)]
    for offset in (positions[0], positions[len(positions) // 2], positions[-1]):
        frames = await _resume(kit, answer.stream, offset)
        _check_resumed(frames, answer.stream, offset)
        check_reached(frames[-1])
        expected = text_of(f for f in answer.frames if (f.get("offset") or 0) > offset)
        if text_of(frames) != expected:
            raise Violation(f"the text behind {offset}: {shown(expected)}", shown(text_of(frames)))


@check(
    "resume-within-frame",
    section=SECTION,
    rule="Each code point is a position: a resume within a frame sends the rest of its text.",
)
async def resume_within_frame(kit: Kit) -> None:
    """Resume behind the first code point of the last chunk."""
    answer = await kit.written_answer(2)
    chunk = [frame for frame in answer.frames if frame.type == "chunk"][-1]
    content = str(chunk.get("content"))
    offset = chunk.get("offset") - len(content) + 1
    frames = await _resume(kit, answer.stream, offset)
    _check_resumed(frames, answer.stream, offset)
    if text_of(frames) != content[1:]:
        raise Violation(f"the text {shown(content[1:])}", shown(text_of(frames)))


@check(
    "resumed-head",
    section="Server to client",
    rule="`resumed` names the `stream`, its `head` and its `state`.",
)
async def resumed_head(kit: Kit) -> None:
    """Resume a finished answer at its end."""
    answer = await kit.written_answer(2)
    frames = await _resume(kit, answer.stream, answer.head)
    first = frames[0]
    if (first.type, first.get("head"), first.get("state")) != ("resumed", answer.head, "finished"):
        raise Violation(f"`resumed` with `head` {answer.head}, finished", shown(first.text))


@check(
    "resume-live",
    section=SECTION,
    rule="When a connection drops, the generation continues, and `resume` sends the missing text.",
)
async def resume_live(kit: Kit) -> None:
    """Drop the connection at the first text and resume on another one."""
    async with kit.connection() as connection:
        await connection.send(kit.long("live"))
        before = await connection.receive_until("chunk", "live")
        stream = ReceivedAnswer(before, ()).stream
        connection.drop()
    offset = head_of(before)
    frames = await _resume(kit, stream, offset)
    _check_resumed(frames, stream, offset)
    end = frames[-1]
    check_reached(end)
    if end.get("reason") in ("cancelled", "interrupted"):
        raise Violation("an answer that goes on", shown(end.text))
    whole = text_of(await _resume(kit, stream, 0))
    if whole != text_of(before) + text_of(frames):
        came = f"{len(text_of(before)) + len(text_of(frames)):,} characters in two parts"
        raise Violation(f"the same {len(whole):,} characters as from 0", came)


@check(
    "resume-twice",
    section=SECTION,
    rule="A stream belongs to the server: several readers follow it at once.",
)
async def resume_twice(kit: Kit) -> None:
    """Resume a stream twice on one connection."""
    answer = await kit.written_answer(2)
    async with kit.connection() as connection:
        for one in ("a", "b"):
            await connection.send(
                {"type": "resume", "id": one, "stream": answer.stream, "offset": 0}
            )
        frames = await connection.receive_requests(["a", "b"])
    for one in ("a", "b"):
        own = [frame for frame in frames if frame.id == one]
        check_answer(own, one)
        if text_of(own) != answer.text:
            raise Violation(f"the text {shown(answer.text)}", shown(text_of(own)))


async def _expect_refusal(kit: Kit, stream: str, offset: int, code: str) -> None:
    frames = await _resume(kit, stream, offset)
    end = frames[-1]
    if len(frames) > 1 or end.type != "error":
        raise Violation(f"only `error` {code}", shown(frames[0].text))
    check_error(end)
    if end.get("code") != code:
        raise Violation(f"`code` {code}", shown(end.text))


@check(
    "resume-unknown",
    section=SECTION,
    rule="A stream that is unknown gets `error` `not_found`.",
)
async def resume_unknown(kit: Kit) -> None:
    """Resume a stream that does not exist."""
    await _expect_refusal(kit, "conformance-unknown-stream", 0, "not_found")


@check(
    "resume-beyond-end",
    section=SECTION,
    rule="An offset beyond the end of the answer gets `error` `bad_offset`.",
)
async def resume_beyond_end(kit: Kit) -> None:
    """Resume behind the end."""
    answer = await kit.written_answer(2)
    await _expect_refusal(kit, answer.stream, answer.head + 1, "bad_offset")


@check(
    "stream-names",
    section=SECTION,
    rule="Stream names are unguessable: 128 random bits, never the same.",
)
async def stream_names(kit: Kit) -> None:
    """Compare the names of two streams."""
    first = (await kit.answer(2)).stream
    async with kit.connection() as connection:
        await connection.send(kit.short("a"))
        second = ReceivedAnswer(await connection.receive_request("a"), ()).stream
    if first == second or min(len(first), len(second)) < 16:
        raise Violation("two different names of at least 16 characters", f"{first}, {second}")


# ---- keys ----------------------------------------------------------------------------------------


@check(
    "key-once",
    section="Idempotency",
    rule="The same request with the same `key` returns the same stream, never a second answer.",
)
async def key_once(kit: Kit) -> None:
    """Drop the connection after sending a question, and send it again with its key."""
    question = kit.short("first", key=kit.new_key())
    async with kit.connection() as connection:
        await connection.send(question)
        first = await connection.receive_request("first")
        connection.drop()
    async with kit.connection() as connection:
        await connection.send(question | {"id": "second"})
        second = await connection.receive_request("second")
    check_answer(second, "second")
    if ReceivedAnswer(first, ()).stream != ReceivedAnswer(second, ()).stream:
        raise Violation("`start` with the same `stream`", shown(second[0].text))
    if text_of(first) != text_of(second):
        raise Violation(f"the text {shown(text_of(first))}", shown(text_of(second)))


@check(
    "key-offset",
    section="Idempotency",
    rule="A repeated request with `offset` gets `start` again, then its text from there.",
)
async def key_offset(kit: Kit) -> None:
    """Send a question again with its key and an offset."""
    question = kit.short("first", key=kit.new_key())
    async with kit.connection() as connection:
        await connection.send(question)
        first = await connection.receive_request("first")
        offset = next((f.get("offset") for f in first if f.type in LOG_TYPES), None)
        if offset is None:
            raise NotApplicable("The model gave no text.")
        await connection.send(question | {"id": "second", "offset": offset})
        second = await connection.receive_request("second")
    check_answer(second, "second")
    check_offsets(second, offset)
    if head_of(second, offset) != head_of(first):
        raise Violation(f"the text from {offset} to {head_of(first)}", shown(text_of(second)))


@check(
    "key-other-message",
    section="Idempotency",
    rule="The key is combined with the content: another message makes another request.",
)
async def key_other_message(kit: Kit) -> None:
    """Use a key for two questions."""
    key = kit.new_key()
    async with kit.connection() as connection:
        await connection.send(kit.short("first", key=key))
        await connection.send(kit.short("second", key=key, message="Say yes."))
        frames = await connection.receive_requests(["first", "second"])
    names = {frame.get("stream") for frame in frames if frame.type == "start"}
    if len(names) != 2:
        raise Violation("two streams", f"{len(names)}: {', '.join(map(str, names))}")
