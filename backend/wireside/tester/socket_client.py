"""A client of level 2 of ``/ws/ai-chat`` in memory: what a socket would carry, as objects."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from wireside.chat.service import ChatService
from wireside.limits.windows import SlidingWindow
from wireside.protocol.connection import Connection, ConnectionLimits
from wireside.session.session import Session


@asynccontextmanager
async def connected(service: ChatService) -> AsyncIterator[SocketClient]:
    """Connect to a chat service; the connection ends with the block."""
    client = SocketClient(service)
    try:
        yield client
    finally:
        await client.leave()


class SocketClient:
    """A connected client."""

    def __init__(self, service: ChatService) -> None:
        connection = Connection(ConnectionLimits(), SlidingWindow(10_000))
        self._session = Session(connection, service, self)
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writer = asyncio.create_task(self._session.write_frames(self._take, self._close))

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame."""
        self._session.receive_frame(json.dumps(frame), now=0.0)

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the frames that the server sends."""
        while True:
            yield await self._received.get()

    async def leave(self) -> None:
        """Close the connection."""
        self._session.handle_disconnect()
        self._writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._writer

    def count_error(self, code: str, *, is_of_answer: bool = False) -> None:
        """Count nothing: the frames show the error."""

    async def _take(self, frame: str) -> None:
        self._received.put_nowait(json.loads(frame))

    async def _close(self, code: int, reason: str) -> None:
        self._received.put_nowait({"type": "error", "message": f"closed: {code} {reason}"})
