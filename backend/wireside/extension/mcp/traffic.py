"""Limits on what a server sends: messages and bytes per second, and the size of a message.

A server that sends more is read more slowly, so that it waits, and not the event loop.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse

if TYPE_CHECKING:  # not public, and needed for types only
    from mcp.client._transport import ReadStream, WriteStream

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Maximum size of a message; a larger one fails the request that it answers."""

MESSAGES_PER_S: Final = 200
BYTES_OF_MESSAGE: Final = 16 * 1024
"""Number of bytes that count as much as a message."""

MAX_ITEMS: Final = 200
"""Number of tools of a list, and of blocks of a result, that are read."""

BURST_S: Final = 2.5
"""Seconds of silence for which a server may make up."""


class Throttle:
    """Delays the reading of a server that sends too much."""

    def __init__(self) -> None:
        self._paid_until = 0.0

    async def pay(self, messages: float) -> None:
        """Wait as long as the rate requires after this number of messages."""
        now = time.monotonic()
        self._paid_until = max(self._paid_until, now - BURST_S) + messages / MESSAGES_PER_S
        if (wait_s := self._paid_until - now) > 0:
            await asyncio.sleep(wait_s)

    async def pay_bytes(self, count: int) -> None:
        """Wait as long as the rate requires after this number of bytes."""
        await self.pay(count / BYTES_OF_MESSAGE)


Incoming = SessionMessage | Exception

Streams: TypeAlias = "tuple[ReadStream[Incoming], WriteStream[SessionMessage]]"
"""The messages of a server, and a stream of messages for it."""


class LimitedStream:
    """Messages of another stream, as fast as a throttle allows, with lists of limited length."""

    def __init__(self, stream: ReadStream[Incoming], throttle: Throttle) -> None:
        self._stream = stream
        self._throttle = throttle

    async def receive(self) -> Incoming:
        """Return the next message."""
        return await self._limited(await self._stream.receive())

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        return await self._limited(await self._stream.__anext__())

    async def _limited(self, message: Incoming) -> Incoming:
        """Wait as long as the rate requires, and cut the lists of a response.

        The package validates each item, which takes a second for a list of 10,000.
        """
        await self._throttle.pay(1)
        if isinstance(message, SessionMessage) and isinstance(message.message, JSONRPCResponse):
            result = message.message.result
            for key in ("tools", "content"):
                if isinstance(items := result.get(key), list):
                    del items[MAX_ITEMS:]
        return message

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
