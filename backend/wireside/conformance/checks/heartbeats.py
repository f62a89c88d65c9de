"""Checks of pings and of the keepalives of client libraries."""

from __future__ import annotations

from wireside.conformance.frames import check_level_1
from wireside.conformance.kit import Kit, check
from wireside.conformance.results import Violation, shown

SECTION = "Heartbeats"


@check(
    "ping",
    level=1,
    section="Client to server",
    rule='`{"type": "ping"}` is answered by `{"type": "pong"}`.',
)
async def ping(kit: Kit) -> None:
    """Send a ping."""
    async with kit.connection() as connection:
        await connection.send({"type": "ping"})
        frame = await connection.receive("`pong`")
        if frame.type != "pong":
            raise Violation("`pong`", shown(frame.text))
        check_level_1(frame)


@check(
    "ping-echo",
    section="Client to server",
    rule="`t` of a ping, a string or a number, is echoed in the pong.",
)
async def ping_echo(kit: Kit) -> None:
    """Send pings with a text, a whole number and a fraction."""
    async with kit.connection() as connection:
        for t in ("now", "🌊", 17, 0.25, "x" * 256):
            await connection.send({"type": "ping", "t": t})
            frame = await connection.receive("`pong`")
            if frame.type != "pong" or frame.get("t") != t:
                raise Violation(f"`pong` with `t` {shown(t)}", shown(frame.text))


@check(
    "websocket-ping",
    level=1,
    section=SECTION,
    rule="A ping of the WebSocket is answered by a pong (RFC 6455).",
)
async def websocket_ping(kit: Kit) -> None:
    """Send a ping frame of the WebSocket."""
    async with kit.connection() as connection:
        await connection.ping_socket()


@check(
    "keepalive-texts",
    level=1,
    section=SECTION,
    rule='The text `ping` is answered by `pong`, `"ping"` by `"pong"`, `PING` by `PONG`.',
)
async def keepalive_texts(kit: Kit) -> None:
    """Send the texts that libraries send."""
    async with kit.connection() as connection:
        for text, reply in (("ping", "pong"), ('"ping"', '"pong"'), ("PING", "PONG")):
            await connection.send(text)
            came = await connection.receive_text(f"the text {reply}")
            if came != reply:
                raise Violation(f"the text {reply} for {text}", shown(came))


@check(
    "keepalive-frames",
    level=1,
    section=SECTION,
    rule='The texts `heartbeat` and `keepalive`, and frames of these types, get `{"type":"pong"}`.',
)
async def keepalive_frames(kit: Kit) -> None:
    """Send keepalives that expect a frame."""
    async with kit.connection() as connection:
        for word in ("heartbeat", "keepalive"):
            for text in (word, f'{{"type":"{word}"}}'):
                await connection.send(text)
                frame = await connection.receive("`pong`")
                if frame.fields != {"type": "pong"}:
                    raise Violation(f'{{"type":"pong"}} for {text}', shown(frame.text))


@check(
    "keepalive-silent",
    level=1,
    section=SECTION,
    rule='An empty frame, `pong` and `{"type":"pong"}` get no answer.',
)
async def keepalive_silent(kit: Kit) -> None:
    """Send keepalives that expect nothing."""
    async with kit.connection() as connection:
        for text in ("", "pong", '{"type":"pong"}'):
            await connection.send(text)
        await connection.expect_nothing(level=1)
