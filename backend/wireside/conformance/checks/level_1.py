"""Checks of level 1, the protocol of the integration guide: requests without ``id``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wireside.conformance.frames import (
    LAST_TYPES,
    Frame,
    check_answer,
    check_level_1,
    check_reached,
    check_sizes,
    text_of,
)
from wireside.conformance.kit import LONG_QUESTION, Kit, check
from wireside.conformance.results import NotApplicable, Violation, shown

MAX_WAITING = 20
"""Requests of level 1 that are queued behind the one in progress."""

SCRIPT_QUESTION = "Repeat this and write nothing else: <script>alert(1)</script> <SCRIPT>"


@check(
    "chat",
    level=1,
    section="Server to client",
    rule="A `chat` is answered by `chunk` frames and one `done`.",
)
async def chat(kit: Kit) -> None:
    """Ask a question; the model must be able to answer, or most checks show nothing."""
    answer = await kit.answer(1)
    check_reached(answer.frames[-1])
    if not answer.text:
        raise Violation("some text in `chunk` frames", "an empty answer")


@check(
    "level-1-fields",
    level=1,
    section="The `/ws/ai-chat` protocol",
    rule="Level 1 has `chunk`, `done`, `error` and `pong`, with no other type and no other key.",
)
async def fields(kit: Kit) -> None:
    """Check the frames of an answer."""
    for frame in (await kit.answer(1)).frames:
        check_level_1(frame)


@check(
    "level-1-last-frame",
    level=1,
    section="Server to client",
    rule="Every request is answered by exactly one `done` or `error`, always last.",
)
async def last_frame(kit: Kit) -> None:
    """Check the end of an answer, and that nothing follows it."""
    answer = await kit.answer(1)
    check_answer(answer.frames, None)
    if answer.later:
        raise Violation("no frame after the last one", shown(answer.later[0].text))


@check(
    "level-1-frame-size",
    level=1,
    section="Slow readers",
    rule="No frame takes more than 8,000 bytes unless the client requests larger ones.",
)
async def frame_size(kit: Kit) -> None:
    """Check the frames of an answer."""
    check_sizes((await kit.answer(1)).frames, 8_000)


@check(
    "level-1-order",
    level=1,
    section="Order",
    rule="Requests of level 1 are queued: each is answered, by one last frame.",
)
async def order(kit: Kit) -> None:
    """Send three questions at once."""
    async with kit.connection() as connection:
        for _ in range(3):
            await connection.send(kit.question())
        frames = await connection.receive_requests([None] * 3)
        if late := await connection.fence(level=1):
            raise Violation("three last frames for three requests", shown(late[0].text))
    types = "".join("." if frame.type == "chunk" else "E" for frame in frames)
    if "EE" in types or types.startswith("E"):
        raise Violation("some text before each `done`", "two last frames in a row")


@check(
    "level-1-queue",
    level=1,
    section="Order",
    rule="At most 20 requests of level 1 are queued; more get `error`.",
)
async def queue(kit: Kit) -> None:
    """Send more questions than fit into the queue, then cancel."""
    count = MAX_WAITING + 4
    async with kit.connection() as connection:
        for _ in range(count):
            await connection.send(kit.question(LONG_QUESTION))
        await connection.send({"type": "cancel"})
        frames = await connection.receive_requests([None] * count)
        ends = [frame for frame in frames if frame.type in LAST_TYPES]
        if late := await connection.fence(level=1):
            raise Violation(f"{count} last frames for {count} requests", shown(late[0].text))
    if all(frame.type == "done" for frame in ends):
        first = next(index for index, frame in enumerate(frames) if frame.type == "done")
        if any(frame.type == "chunk" for frame in frames[first:]):
            raise NotApplicable("The model answered faster than the queue was filled.")
        raise Violation("`error` for requests behind 20 queued ones", f"{count} times `done`")
    errors = sum(frame.type == "error" for frame in ends)
    if errors > count - MAX_WAITING - 1:
        raise Violation(f"{MAX_WAITING} queued requests", f"{errors} of {count} were refused")


@check(
    "level-1-cancel",
    level=1,
    section="Ids",
    rule="`cancel` ends the stream in progress and the queued requests with one `done` each.",
)
async def cancel(kit: Kit) -> None:
    """Cancel an answer with two requests behind it."""
    async with kit.connection() as connection:
        for _ in range(3):
            await connection.send(kit.question(LONG_QUESTION))
        await connection.receive("a `chunk`")
        await connection.send({"type": "cancel"})
        before = await connection.fence(level=1)
        ended = sum(frame.type in LAST_TYPES for frame in before)
        rest = await connection.receive_requests([None] * max(0, 3 - ended))
        if late := await connection.fence(level=1):
            raise Violation("three last frames for three requests", shown(late[0].text))
    if text_after_end(rest):
        raise Violation("no answer to queued requests after `cancel`", shown(text_of(rest)))
    if ended == 3 and text_after_end(before):
        raise NotApplicable("The model answered faster than `cancel` could be sent.")


def text_after_end(frames: Sequence[Frame]) -> bool:
    """Return whether there is text behind a last frame."""
    ends = [index for index, frame in enumerate(frames) if frame.type in LAST_TYPES]
    return bool(ends) and any(frame.type == "chunk" for frame in frames[ends[0] :])


@check(
    "level-1-cancel-idle",
    level=1,
    section="Ids",
    rule="`cancel` without an open request has no effect and gets no answer.",
)
async def cancel_idle(kit: Kit) -> None:
    """Cancel nothing."""
    async with kit.connection() as connection:
        await connection.send({"type": "cancel"})
        await connection.expect_nothing(level=1)


@check(
    "level-1-batch",
    level=1,
    section="Client to server",
    rule="A `batch` is equivalent to that many `chat`s in sequence: a last frame for each message.",
)
async def batch(kit: Kit) -> None:
    """Ask two questions in one frame."""
    async with kit.connection() as connection:
        await connection.send(kit.batch(["Say yes.", "Say no."]))
        for frame in await connection.receive_requests([None] * 2):
            check_level_1(frame)
        if late := await connection.fence(level=1):
            raise Violation("two last frames for two messages", shown(late[0].text))


@check(
    "level-1-sanitised",
    level=1,
    section="Sanitising",
    rule="Content of level 1 never contains `<script` as markup, however the tag is split.",
)
async def sanitised(kit: Kit) -> None:
    """Make the model write the tag, if it follows the instruction."""
    async with kit.connection() as connection:
        await connection.send(kit.question(SCRIPT_QUESTION))
        text = text_of(await connection.receive_request())
    if found := re.search("<script", text, re.IGNORECASE | re.ASCII):
        raise Violation("`&lt;script`", shown(text[found.start() :]))
    if "&lt;script" not in text.lower():
        raise NotApplicable("The model did not write the tag.")
