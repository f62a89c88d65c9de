"""Checks of requests that run side by side: ids, cancel, mixed levels, the limit of streams."""

from __future__ import annotations

import time
from collections.abc import Iterable

from wireside.conformance.frames import (
    LAST_TYPES,
    Frame,
    check_answer,
    check_error,
    check_level_1,
    check_offsets,
    check_reached,
)
from wireside.conformance.kit import MANY_FRAMES, MANY_S, Kit, check
from wireside.conformance.results import NotApplicable, Violation, shown

MAX_STREAMS = 8
"""Requests of level 2 that a connection may have open."""

ODD_ID = "A-z_0.9:" * 8
"""An id of 64 characters with all that are permitted besides letters and digits."""


def frames_of(frames: Iterable[Frame], request_id: str | None) -> list[Frame]:
    """Return the frames about one request."""
    return [frame for frame in frames if frame.id == request_id]


@check(
    "ids-permitted",
    section="The `/ws/ai-chat` protocol",
    rule="An `id` has 1 to 64 characters of `A-Z a-z 0-9 _ - . :`.",
)
async def ids_permitted(kit: Kit) -> None:
    """Ask with a long id of all kinds of characters."""
    async with kit.connection() as connection:
        await connection.send(kit.short(ODD_ID))
        check_answer(await connection.receive_request(ODD_ID), ODD_ID)


@check(
    "ids-reusable",
    section="Ids",
    rule="An `id` may be used again once its request has received its last frame.",
)
async def ids_reusable(kit: Kit) -> None:
    """Ask twice with the same id."""
    async with kit.connection() as connection:
        for _ in range(2):
            await connection.send(kit.short("again"))
            check_reached((await connection.receive_request("again"))[-1])


@check(
    "id-in-use",
    section="Invalid frames",
    rule="An `id` that is in use gets an `error` without `id`; the open request goes on.",
)
async def id_in_use(kit: Kit) -> None:
    """Ask with the id of an open request."""
    async with kit.connection() as connection:
        await connection.send(kit.long("busy"))
        await connection.send(kit.short("busy"))
        frames: list[Frame] = []
        while not any(frame.type in LAST_TYPES for frame in frames):
            frames.append(await connection.receive("an `error` without `id`"))
        end = frames[-1]
        if end.id == "busy":
            await _need_overlap(frames)
        check_error(end)
        if end.get("code") != "bad_message" or "id" in end.fields:
            raise Violation("`error` bad_message without `id`", shown(end.text))
        await connection.send({"type": "cancel", "id": "busy"})
        frames = [*frames[:-1], *await connection.receive_request("busy")]
        check_answer(frames, "busy")


async def _need_overlap(frames: list[Frame]) -> None:
    """Raise ``NotApplicable`` if the first request had ended when the second one arrived."""
    end = frames[-1]
    if end.type == "error":
        raise Violation("`error` without `id`: with it, the open request ends", shown(end.text))
    if sum(frame.type == "start" for frame in frames) > 1:
        raise Violation("`error` without `id`", "a second answer with the same `id`")
    raise NotApplicable("The model answered before the second request arrived.")


@check(
    "multiplexed",
    section="Order",
    rule="Requests of level 2 run concurrently; each has its own frames, complete and in order.",
)
async def multiplexed(kit: Kit) -> None:
    """Ask three questions at once."""
    ids = ["a", "b", "c"]
    async with kit.connection() as connection:
        for one in ids:
            await connection.send(kit.short(one))
        frames = await connection.receive_requests(ids)
    for one in ids:
        own = frames_of(frames, one)
        check_answer(own, one)
        check_offsets(own)
    if stray := [frame for frame in frames if frame.id not in ids]:
        raise Violation("frames with the `id` of a request", shown(stray[0].text))


@check(
    "mixed-levels",
    section="The `/ws/ai-chat` protocol",
    rule="One connection may mix the levels, request by request.",
)
async def mixed_levels(kit: Kit) -> None:
    """Ask on both levels at once."""
    async with kit.connection() as connection:
        await connection.send(kit.question())
        await connection.send(kit.short("two"))
        frames = await connection.receive_requests([None, "two"])
    plain = frames_of(frames, None)
    for frame in plain:
        check_level_1(frame)
    check_answer(plain, None)
    check_answer(frames_of(frames, "two"), "two")


@check(
    "streams-limit",
    section="Limits (all are settings)",
    rule="More than 8 open requests of a connection get `too_many`.",
)
async def streams_limit(kit: Kit) -> None:
    """Open more requests than allowed, then cancel them."""
    ids = [f"s{number}" for number in range(MAX_STREAMS + 2)]
    async with kit.connection() as connection:
        for one in ids:
            await connection.send(kit.long(one))
        for one in ids:
            await connection.send({"type": "cancel", "id": one})
        frames = await connection.receive_requests(ids)
        if late := await connection.fence():
            raise Violation("one last frame for each request", shown(late[0].text))
    errors = [frame for frame in frames if frame.type == "error"]
    if not errors:
        first = next(index for index, frame in enumerate(frames) if frame.type == "done")
        if any(frame.type == "start" for frame in frames[first:]):
            raise NotApplicable("The model answered faster than the requests were sent.")
        raise Violation("`error` too_many for the ninth request", f"{len(ids)} answers")
    for error in errors:
        check_error(error)
        if error.get("code") != "too_many" or error.id not in ids:
            raise Violation("`code` too_many with the `id` of the request", shown(error.text))
    if len(errors) > len(ids) - MAX_STREAMS:
        raise Violation(f"{MAX_STREAMS} open requests", f"{len(errors)} refused of {len(ids)}")


@check(
    "cancel",
    section="Ids",
    rule="`cancel` ends a request with its one `done`, `reason` `cancelled`.",
)
async def cancel(kit: Kit) -> None:
    """Cancel a long answer at its first text."""
    async with kit.connection() as connection:
        await connection.send(kit.long("stop"))
        frames = await connection.receive_until("chunk", "stop")
        await connection.send({"type": "cancel", "id": "stop"})
        began = time.monotonic()
        rest = await connection.receive_request("stop")
        seconds = time.monotonic() - began
        if late := await connection.fence():
            raise Violation("no frame after `done`", shown(late[0].text))
    check_answer([*frames, *rest], "stop")
    check_offsets([*frames, *rest])
    end = rest[-1]
    check_reached(end)
    if end.get("reason") == "cancelled":
        return
    if len(rest) > MANY_FRAMES and seconds > MANY_S:
        came = f"{shown(end.text)}, {len(rest)} frames later"
        raise Violation("`done` with `reason` cancelled", came)
    raise NotApplicable("The model answered faster than `cancel` could be sent.")


@check(
    "cancel-unknown",
    section="Ids",
    rule="`cancel` of an `id` that is not open has no effect and gets no answer.",
)
async def cancel_unknown(kit: Kit) -> None:
    """Cancel a request that does not exist."""
    async with kit.connection() as connection:
        await connection.send({"type": "cancel", "id": "nothing"})
        await connection.expect_nothing()
