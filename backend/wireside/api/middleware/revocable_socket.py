"""A WebSocket that the server can close while the application serves it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from starlette.types import Message, Send

OVER: Final = 1008
"""Close code after a log-out or the revocation of a key."""


class RevocableSocket:
    """A WebSocket that the server can close while the application serves it.

    The protocol class reports the close to the application as a disconnect, so messages need no
    check on the way in.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_over = False
        self._closing: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        """Send a message of the application; drop it after the close."""
        if self._is_over:
            return
        sending = self._send(message)
        del message  # else it stays in memory while the socket is blocked
        await sending

    def revoke_access(self) -> None:
        """Close the connection; refuse it if its handshake is not answered yet."""
        self.close_socket(OVER, "signed out")

    def close_socket(self, code: int, reason: str) -> None:
        """Close the connection; what the application still sends is dropped."""
        if not self._is_over:
            self._is_over = True
            self._closing = asyncio.create_task(self._send_close(code, reason))

    async def wait_closed(self) -> None:
        """Wait until the close frame is sent, if there is one."""
        if self._closing is not None:
            await asyncio.wait([self._closing])

    async def _send_close(self, code: int, reason: str) -> None:
        with suppress(OSError, RuntimeError):  # already closed
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
