"""Checks of the answers of level 2: fields, offsets, last frames, sizes, errors."""

from __future__ import annotations

import time

from wireside.conformance.frames import (
    Frame,
    check_answer,
    check_error,
    check_level_2,
    check_offsets,
    check_reached,
    check_sizes,
    length_of,
    text_of,
)
from wireside.conformance.kit import MANY_FRAMES, MANY_S, Kit, ReceivedAnswer, check
from wireside.conformance.results import NotApplicable, Violation, shown

REASONS = {"stop", "length", "cancelled", "content_filter", "interrupted", "asking"}


@check(
    "level-2-chat",
    section="Server to client",
    rule="A `chat` with `id` is answered by `start`, then its text, then `done`.",
)
async def chat(kit: Kit) -> None:
    """Ask a question."""
    answer = await kit.answer(2)
    check_reached(answer.frames[-1])
    if not answer.stream or not answer.text:
        raise Violation("`start`, some text, `done`", "an empty answer")


@check(
    "level-2-fields",
    section="Server to client",
    rule="Each frame of level 2 has the fields of its type.",
)
async def fields(kit: Kit) -> None:
    """Check the frames of an answer."""
    for frame in (await kit.answer(2)).frames:
        check_level_2(frame)


@check(
    "id-in-every-frame",
    section="The `/ws/ai-chat` protocol",
    rule="Every frame about a request carries its `id`; one `done` or `error` is the last one.",
)
async def id_in_every_frame(kit: Kit) -> None:
    """Check the ids and the end of an answer."""
    answer = await kit.answer(2)
    check_answer(answer.frames, "answer")
    if answer.later:
        raise Violation("no frame after the last one", shown(answer.later[0].text))


@check(
    "offsets",
    section="Offset",
    rule="`offset` is the position after its frame; frames don't overlap, and no text is left out.",
)
async def offsets(kit: Kit) -> None:
    """Add up the lengths of the frames, and resume where the first and the last text begin."""
    answer = await kit.written_answer(2)
    check_offsets(answer.frames)
    chunks = [frame for frame in answer.frames if frame.type == "chunk"]
    for frame in (chunks[0], chunks[-1]):
        await _check_position(kit, answer, frame)


async def _check_position(kit: Kit, answer: ReceivedAnswer, chunk: Frame) -> None:
    """Check that a resume where a chunk begins sends it and what follows."""
    offset = chunk.get("offset") - length_of(chunk)
    request = {"type": "resume", "id": "r", "stream": answer.stream, "offset": offset}
    async with kit.connection() as connection:
        await connection.send(request)
        text = text_of(await connection.receive_request("r"))
    expected = text_of(answer.frames[answer.frames.index(chunk) :])
    if text != expected:
        raise Violation(f"the text behind {offset}: {shown(expected)}", shown(text))


@check(
    "offsets-code-points",
    section="Offset",
    rule="Each Unicode code point counts one, also outside of the basic plane.",
)
async def offsets_code_points(kit: Kit) -> None:
    """Resume where a chunk with an emoji begins."""
    answer = await kit.written_answer(2)
    for frame in answer.frames:
        if frame.type == "chunk" and any(ord(char) > 0xFFFF for char in frame.get("content")):
            return await _check_position(kit, answer, frame)
    raise NotApplicable("The model wrote no character outside of the basic plane.")


@check(
    "reason-and-usage",
    section="Server to client",
    rule="`done` has a `reason` and `usage`, with numbers or null.",
)
async def reason_and_usage(kit: Kit) -> None:
    """Check the last frame of an answer."""
    end = (await kit.answer(2)).frames[-1]
    check_reached(end)
    check_level_2(end)
    if end.get("reason") not in REASONS:
        raise Violation(f"a `reason` of {', '.join(sorted(REASONS))}", shown(end.text))


@check(
    "level-2-frame-size",
    section="Slow readers",
    rule="No frame takes more than 8,000 bytes unless the client requests larger ones.",
)
async def frame_size(kit: Kit) -> None:
    """Check the frames of an answer."""
    check_sizes((await kit.answer(2)).frames, 8_000)


@check(
    "frame-size-of-request",
    section="Slow readers",
    rule="`max_frame_bytes` of a `chat` bounds the frames of its answer.",
)
async def frame_size_of_request(kit: Kit) -> None:
    """Request small frames, and give the server time to collect text."""
    async with kit.connection() as connection:
        await connection.send(kit.long("small", max_frame_bytes=1_024))
        frames = await connection.receive_request("small")
        check_sizes(frames, 1_024)
        check_offsets(frames)


@check(
    "frame-size-of-connection",
    section="Slow readers",
    rule="`?max_frame_bytes=N` bounds the frames of the whole connection, level 1 too.",
)
async def frame_size_of_connection(kit: Kit) -> None:
    """Request small frames in the address."""
    async with kit.connection("?max_frame_bytes=1024") as connection:
        await connection.send(kit.question())
        await connection.send(kit.short("a"))
        check_sizes(await connection.receive_requests([None, "a"]), 1_024)


@check(
    "level-2-errors",
    section="Errors",
    rule="An error has `message`, `code` and `retryable`, which is a property of the code.",
)
async def errors(kit: Kit) -> None:
    """Provoke errors of several codes."""
    async with kit.connection() as connection:
        for frame in (
            {"type": "chat", "id": "a"},
            {"type": "conformance", "id": "b"},
            {"type": "resume", "id": "c", "stream": "conformance", "offset": 0},
            {"type": "chat", "id": "d", "message": "Hi", "conversation": "conformance"},
        ):
            await connection.send(frame)
            check_error(await connection.receive("`error`"))


@check(
    "model-unknown",
    section="Errors",
    rule="A model that the server does not offer gets `unknown_model`, unless another one answers.",
)
async def model_unknown(kit: Kit) -> None:
    """Ask a model that does not exist."""
    async with kit.connection() as connection:
        await connection.send(kit.short("a", model="conformance-unknown-model"))
        frames = await connection.receive_request("a")
        end = frames[-1]
        if end.type == "done":
            raise NotApplicable("The server answers with another model.")
        check_error(end)
        if end.get("code") != "unknown_model":
            raise Violation("`code` unknown_model", shown(end.text))


@check(
    "sanitize-on-request",
    section="Sanitising",
    rule="`sanitize` makes `<` of `<script` an entity; offsets count the raw text.",
)
async def sanitize_on_request(kit: Kit) -> None:
    """Ask with ``sanitize``."""
    async with kit.connection() as connection:
        question = "Repeat this and write nothing else: <script>alert(1)</script>"
        await connection.send(kit.short("a", message=question, sanitize=True))
        frames = await connection.receive_request("a")
        later = await connection.fence()
    text = ReceivedAnswer(frames, later).text
    if "<script" in text.lower():
        raise Violation("`&lt;script`", shown(text))
    if "&lt;script" not in text.lower():
        raise NotApplicable("The model did not write the tag.")
    if frames[-1].get("offset") < len(text.replace("&lt;", "<")):
        raise Violation("an `offset` that counts the raw text", shown(frames[-1].text))


@check(
    "sees-while-answering",
    section="Slow readers",
    rule="The server receives while it answers: a ping gets its pong before the answer has ended.",
)
async def sees_while_answering(kit: Kit) -> None:
    """Send a ping during a long answer."""
    async with kit.connection() as connection:
        await connection.send(kit.long("a"))
        await connection.receive_until("chunk", "a")
        await connection.send({"type": "ping", "t": "while"})
        began = time.monotonic()
        frames = [await connection.receive("`pong`")]
        while frames[-1].type not in ("pong", "done", "error"):
            frames.append(await connection.receive("`pong`"))
        is_late = len(frames) > MANY_FRAMES and time.monotonic() - began > MANY_S
        await connection.send({"type": "cancel", "id": "a"})
        if is_late:  # a model at full speed may have written all before the ping arrived
            came = f"the end of the answer, {len(frames)} frames later"
            raise Violation("`pong` between the frames of the answer", came)
        if frames[-1].type != "pong":
            raise NotApplicable("The model answered faster than a ping could be sent.")
