"""Checks of messages that end the connection, and of how it ends."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from wireside.conformance.frames import check_error, check_level_1
from wireside.conformance.kit import Kit, check
from wireside.conformance.results import NotApplicable, Violation, shown

SECTION = "Closing"
MAX_MESSAGES: Final = 130
"""Frames that the checks of the rate limit send at most; the limit is 100 by default."""

LARGE_BYTES: Final = (1_048_577, 17 * 1_048_576)


@check(
    "close-normal",
    level=1,
    section=SECTION,
    rule="A client's close with 1000 is answered by a close frame.",
)
async def close_normal(kit: Kit) -> None:
    """Close the connection."""
    async with kit.connection() as connection:
        code = await connection.close()
    if code != 1000:
        raise Violation("a close frame with 1000", str(code or "no close frame"))


@check(
    "fragments",
    level=1,
    section="The `/ws/ai-chat` protocol",
    rule="A message may arrive in several fragments (RFC 6455), cut anywhere.",
)
async def fragments(kit: Kit) -> None:
    """Send a ping in fragments."""
    async with kit.connection(compression=None) as connection:
        await connection.send_message(['{"type"', ': "pi', 'ng"}'])
        frame = await connection.receive("`pong`")
        if frame.type != "pong":
            raise Violation("`pong`", shown(frame.text))


@check(
    "binary",
    level=1,
    section=SECTION,
    rule="A binary frame closes the connection with 1003.",
)
async def binary(kit: Kit) -> None:
    """Send a ping as a binary frame."""
    async with kit.connection() as connection:
        await connection.send(b'{"type": "ping"}')
        await connection.receive_close(1003)


@check(
    "not-utf-8",
    level=1,
    section=SECTION,
    rule="A text frame that is not UTF-8 closes the connection with 1007.",
)
async def not_utf_8(kit: Kit) -> None:
    """Send half of a character."""
    async with kit.connection() as connection:
        await connection.send_message(b'{"type": "ping", "x": "\xf0\x9f"}', is_text=True)
        await connection.receive_close(1007)


@check(
    "frame-too-large",
    level=1,
    section=SECTION,
    rule="A frame over the size limit (1 MiB) closes the connection with 1009.",
)
async def frame_too_large(kit: Kit) -> None:
    """Send a frame of more than 1 MiB; where that is accepted, one of 17 MiB."""
    for size in LARGE_BYTES:
        async with kit.connection(compression=None) as connection:
            with suppress(Violation):  # closed during the transfer: the code is what counts
                await connection.send('{"type": "ping", "x": "' + "x" * size + '"}')
            try:
                await connection.fence(level=1)
            except Violation:
                await connection.receive_close(1009)
                return
    raise Violation("close code 1009", f"an answer to a frame of {LARGE_BYTES[-1]:,} bytes")


@check(
    "rate-limit",
    level=1,
    section="Limits (all are settings)",
    rule="More than 100 messages per minute get `Rate limit exceeded`, then the close code 1008.",
)
async def rate_limit(kit: Kit) -> None:
    """Send pings until the limit is reached."""
    async with kit.connection() as connection:
        connection.tests_rate_limit = True
        for _ in range(MAX_MESSAGES):
            await connection.send({"type": "ping"})
            frame = await connection.receive("`pong` or `error`")
            check_level_1(frame)
            if frame.type == "error":
                break
        else:
            raise NotApplicable(f"The server accepts {MAX_MESSAGES} messages: it is a setting.")
        if frame.get("message") != "Rate limit exceeded":
            raise Violation("the `message` “Rate limit exceeded”", shown(frame.text))
        await connection.receive_close(1008)


@check(
    "rate-limit-level-2",
    section="Limits (all are settings)",
    rule="On level 2 that error has the `code` `rate_limited` and `retry_after` in seconds.",
)
async def rate_limit_level_2(kit: Kit) -> None:
    """Send refused batches, which count as many messages as they contain."""
    refused = {"type": "batch", "id": "a", "messages": [" "] * 20}
    async with kit.connection() as connection:
        connection.tests_rate_limit = True
        for _ in range(1 + MAX_MESSAGES // 20):
            await connection.send(refused)
            frame = await connection.receive("`error`")
            check_error(frame)
            if frame.get("code") == "rate_limited":
                break
        else:
            raise NotApplicable(f"The server accepts {MAX_MESSAGES} messages: it is a setting.")
        retry_after = frame.get("retry_after")
        if not isinstance(retry_after, int | float) or not 0 <= retry_after <= 3600:
            raise Violation("`retry_after` in seconds", shown(frame.text))
        await connection.receive_close(1008)
