"""Checks of batches of level 2."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from wireside.conformance.connection import RecordedConnection
from wireside.conformance.frames import (
    LAST_TYPES,
    LOG_TYPES,
    Frame,
    check_level_2,
    check_offsets,
    check_reached,
    head_of,
    text_of,
)
from wireside.conformance.kit import LONG_QUESTION, LONG_TOKENS, MANY_S, SHORT_TOKENS, Kit, check
from wireside.conformance.results import NotApplicable, Violation, shown

SECTION = "Batches"
MESSAGES = ("Say yes.", "Say no.")


def _answers(frames: Iterable[Frame], count: int) -> list[list[Frame]]:
    """Split the frames of a batch by answer. Raises ``Violation`` for frames without an order."""
    answers: list[list[Frame]] = [[] for _ in range(count)]
    at = -1
    for frame in frames:
        index = frame.get("index")
        if frame.type in ("start", *LAST_TYPES):
            if not isinstance(index, int) or not 0 <= index < count:
                raise Violation(f"`index` from 0 to {count - 1}", shown(frame.text))
            at = index
        if frame.type in LOG_TYPES and at < 0:
            raise Violation("`start` before the text of an answer", shown(frame.text))
        if at >= 0:
            answers[at].append(frame)
    return answers


def _ends(answers: Sequence[Sequence[Frame]]) -> list[Frame]:
    for number, frames in enumerate(answers):
        ends = [frame for frame in frames if frame.type in LAST_TYPES]
        if len(ends) != 1 or frames[-1] is not ends[0]:
            came = f"{len(ends)} of {len(frames)} frames"
            raise Violation(f"one last frame for message {number}, at its end", came)
    return [frames[-1] for frames in answers]


@check(
    "batch",
    section=SECTION,
    rule="Each message of a batch gets `start` with its `index`, its frames, `done` or `error`.",
)
async def batch(kit: Kit) -> None:
    """Ask two questions in a batch."""
    async with kit.connection() as connection:
        await connection.send(kit.batch(MESSAGES, id="b", max_tokens=SHORT_TOKENS))
        frames = await connection.receive_requests(["b"] * 2)
        if late := await connection.fence():
            raise Violation("two last frames", shown(late[0].text))
    answers = _answers(frames, 2)
    for end in _ends(answers):
        check_reached(end)
    streams = [frames[0].get("stream") for frames in answers]
    if len(set(streams)) != 2 or None in streams:
        raise Violation("a `start` with its own `stream` for each message", f"{streams}")
    for own in answers:
        check_offsets(own)


@check(
    "batch-cancel",
    section=SECTION,
    rule="`cancel` stops the answer in progress; messages after it end with `done`, `cancelled`.",
)
async def cancel(kit: Kit) -> None:
    """Cancel a batch at its first text."""
    async with kit.connection() as connection:
        await connection.send(kit.batch([LONG_QUESTION] * 3, id="b", max_tokens=LONG_TOKENS))
        frames = await connection.receive_until("chunk", "b")
        await connection.send({"type": "cancel", "id": "b"})
        began = time.monotonic()
        frames += await connection.receive_requests(["b"] * 3)
        seconds = time.monotonic() - began
    reasons = [end.get("reason") for end in _ends(_answers(frames, 3))]
    if reasons[-1] == "cancelled":
        return
    if seconds > MANY_S:
        raise Violation("`reason` cancelled for the last message", ", ".join(map(str, reasons)))
    raise NotApplicable("The model answered faster than `cancel` could be sent.")


@check(
    "batch-parallel",
    section="Parallel batches",
    rule="With `parallel`, each frame has its `index`, and one `batch_done` counts the messages.",
)
async def parallel(kit: Kit) -> None:
    """Ask three questions at once in a batch."""
    request = kit.batch([*MESSAGES, "Say maybe."], id="b", parallel=3, max_tokens=SHORT_TOKENS)
    async with kit.connection() as connection:
        await connection.send(request)
        frames = await _receive_batch(connection)
        if late := await connection.fence():
            raise Violation("no frame after `batch_done`", shown(late[0].text))
    *others, end = frames
    ends = _ends(_by_index(others, 3))
    failed = sum(frame.type == "error" for frame in ends)
    counts = {"done": 3 - failed, "failed": failed, "cancelled": 0}
    if {name: end.get(name) for name in counts} != counts:
        raise Violation(f"`batch_done` with {counts}", shown(end.text))


@check(
    "batch-cancel-one",
    section=SECTION,
    rule="`cancel` with `index` stops that message only, and the others go on.",
)
async def cancel_one(kit: Kit) -> None:
    """Cancel the first of two messages that are answered at once."""
    messages = [LONG_QUESTION, MESSAGES[0]]
    async with kit.connection() as connection:
        await connection.send(kit.batch(messages, id="b", parallel=2, max_tokens=LONG_TOKENS))
        frames: list[Frame] = []
        while not (frames and frames[-1].type == "chunk" and frames[-1].get("index") == 0):
            frames.append(await connection.receive("a `chunk` with `index` 0"))
        await connection.send({"type": "cancel", "id": "b", "index": 0})
        began = time.monotonic()
        frames += await _receive_batch(connection)
        seconds = time.monotonic() - began
    reasons = [end.get("reason") for end in _ends(_by_index(frames[:-1], 2))]
    if reasons[1] == "cancelled":
        raise Violation("an answer to the other message", ", ".join(map(str, reasons)))
    if reasons[0] == "cancelled":
        return
    if seconds > MANY_S:
        raise Violation("`reason` cancelled for message 0", ", ".join(map(str, reasons)))
    raise NotApplicable("The model answered faster than `cancel` could be sent.")


async def _receive_batch(connection: RecordedConnection) -> list[Frame]:
    """Return the frames of a batch with ``parallel``, up to its last one."""
    frames: list[Frame] = []
    while not frames or frames[-1].type != "batch_done":
        frames.append(await connection.receive("`batch_done`"))
        if frames[-1].type == "error" and frames[-1].get("index") is None:
            raise Violation("an answer to the batch", shown(frames[-1].text))
    check_level_2(frames[-1])
    return frames


def _by_index(frames: Iterable[Frame], count: int) -> list[list[Frame]]:
    answers: list[list[Frame]] = [[] for _ in range(count)]
    for frame in frames:
        index = frame.get("index")
        if frame.id != "b" or not isinstance(index, int) or not 0 <= index < count:
            raise Violation(f"`id` b and `index` from 0 to {count - 1}", shown(frame.text))
        answers[index].append(frame)
    return answers


@check(
    "batch-again",
    section=SECTION,
    rule="The same batch with the same `key` and `offsets` sends the missing text of each answer.",
)
async def again(kit: Kit) -> None:
    """Send a batch again on another connection, with its key and offsets."""
    request = kit.batch(MESSAGES, id="b", max_tokens=SHORT_TOKENS, key=kit.new_key())
    async with kit.connection() as connection:
        await connection.send(request)
        first = _answers(await connection.receive_requests(["b"] * 2), 2)
        connection.drop()
    _ends(first)
    offsets = [next((f.get("offset") for f in own if f.type in LOG_TYPES), 0) for own in first]
    async with kit.connection() as connection:
        await connection.send(request | {"offsets": offsets})
        second = _answers(await connection.receive_requests(["b"] * 2), 2)
    _ends(second)
    for old, new, offset in zip(first, second, offsets, strict=True):
        if old[0].get("stream") != new[0].get("stream"):
            raise Violation("the same `stream` again", shown(new[0].text))
        check_offsets(new, offset)
        if head_of(new, offset) != head_of(old):
            raise Violation(f"the text from {offset} to {head_of(old)}", shown(text_of(new)))


@check(
    "batch-resume",
    section=SECTION,
    rule="A stream of a batch can be resumed like any other; `resumed` has its `index`.",
)
async def resume(kit: Kit) -> None:
    """Resume the second answer of a batch."""
    async with kit.connection() as connection:
        await connection.send(kit.batch(MESSAGES, id="b", max_tokens=SHORT_TOKENS))
        answers = _answers(await connection.receive_requests(["b"] * 2), 2)
        _ends(answers)
        stream = answers[1][0].get("stream")
        await connection.send({"type": "resume", "id": "r", "stream": stream, "offset": 0})
        frames = await connection.receive_request("r")
    if frames[0].type != "resumed" or frames[0].get("index") != 1:
        raise Violation("`resumed` with `index` 1", shown(frames[0].text))
    if text_of(frames) != text_of(answers[1]):
        raise Violation(f"the text {shown(text_of(answers[1]))}", shown(text_of(frames)))
