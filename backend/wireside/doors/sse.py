"""Server-sent events as an HTTP response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from starlette.types import Receive, Scope, Send

PING_S: Final = 15.0
"""Seconds without an event after which a comment is sent, so that no proxy closes the response."""

PING: Final = b": ping\n\n"


class EventStream:
    """A response whose body is a stream of events, sent as fast as the client accepts them.

    Args:
        events: encoded events, several in each piece if they are there at once. It is closed when
            the client disconnects.
        headers: more header fields.
        ping_s: seconds without an event after which a comment is sent.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str] | None = None,
        ping_s: float = PING_S,
    ) -> None:
        self._events = events
        self._headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
            **(headers or {}),
        }
        self._ping_s = ping_s
        self._has_sent = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response until the events or the connection end."""
        fields = [(k.lower().encode(), v.encode("latin-1")) for k, v in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        writing = asyncio.create_task(self._write_events(send))
        watching = asyncio.create_task(wait_for_disconnect(receive))
        pinging = asyncio.create_task(self._write_pings(send))
        try:
            await asyncio.wait((writing, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, watching, pinging):
                task.cancel()
            await asyncio.wait((writing, watching, pinging))
        if not writing.cancelled() and (error := writing.exception()) is not None:
            raise error

    async def _write_events(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            async for data in events:
                self._has_sent = True
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _write_pings(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._ping_s)
            if not self._has_sent:
                await send({"type": "http.response.body", "body": PING, "more_body": True})
            self._has_sent = False


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
