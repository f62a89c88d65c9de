"""An echo server on the project's WebSocket layer, for the Autobahn cases.

Prints its port, and runs until its standard input ends. The limits that would fail the cases
(16 MiB messages, thousands of fragments and pings) are raised, and short messages are compressed
too (otherwise the suite mistakes some answers for text); the classes are the server's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

from starlette.types import Receive, Scope, Send

from wireside.server.http import HttpConnection
from wireside.server.limits import SocketConfig, SocketLimits
from wireside.server.run import DrainTimes, WiresideServer
from wireside.server.websocket import WebSocketConnection

LIMITS = SocketLimits(
    ping_interval_s=3600,  # the suite takes an unexpected ping for the end of a case
    stalled_s=3600,
    max_frame_bytes=64 * 1024 * 1024,
    control_frames_per_second=10_000_000,
    fragments_per_message=10_000_000,
    min_compressed_bytes=0,
)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each message back unchanged."""
    if scope["type"] == "lifespan":
        return await _live(receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        kind = "text" if message.get("text") is not None else "bytes"
        with contextlib.suppress(OSError):  # the peer disconnected; `receive` reports it too
            await send({"type": "websocket.send", kind: message[kind]})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def main() -> None:
    """Serve until standard input ends."""
    config = SocketConfig(
        echo,
        LIMITS,
        http=HttpConnection,
        ws=WebSocketConnection,
        lifespan="on",
        log_config=None,
        access_log=False,
        interface="asgi3",
    )
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        port = listener.getsockname()[1]
        server = WiresideServer(
            config, DrainTimes(answers_s=0.5), lambda _: print(port, flush=True)
        )
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await task


if __name__ == "__main__":
    asyncio.run(main())
