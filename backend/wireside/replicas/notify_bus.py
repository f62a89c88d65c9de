"""The bus by PostgreSQL's NOTIFY, for a handful of servers.

NOTIFY takes a lock of the whole instance until its commit has ended. So messages are sent on a
connection of their own, outside of the transactions that store anything, and with
``synchronous_commit`` off: no flush happens under that lock. Each message is delivered to every
server that listens to its channel, which is what ends it at some 16 servers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import structlog

from wireside.replicas.bus import CHECK_S, ENGINE_S, Message, QueuedBus

if TYPE_CHECKING:
    from asyncpg import Connection

_log = structlog.get_logger(__name__)

PART_BYTES = 5_850
"""Size of a message's part, in bytes: as base64, with its head, below PostgreSQL's 8,000."""

PREFIX = "wireside."
"""What the names of channels begin with; they belong to one database."""

_NOTIFY = "SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) AS m (c, p)"

Connect = Callable[[], Awaitable["Connection[Any]"]]
"""Opens a connection of its own to the database."""


class NotifyBus(QueuedBus):
    """Implements ``Bus`` by LISTEN and NOTIFY."""

    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self._connect = connect
        self._sending: Connection[Any] | None = None
        self._numbers = count()
        self._parts: dict[tuple[str, str], list[bytes]] = {}
        """Parts of messages that are not complete, by channel, and sender and number."""
        self._has_change = asyncio.Event()

    async def _send(self, messages: Sequence[Message]) -> None:
        if self._sending is None:
            self._sending = await self._connect()
            await self._sending.execute("SET synchronous_commit = off")
        try:
            await self._notify(self._sending, messages)
        except Exception:
            if self._sending.is_closed():
                raise
            await self._send_one_by_one(self._sending, messages)

    async def _send_one_by_one(
        self, connection: Connection[Any], messages: Sequence[Message]
    ) -> None:
        """Send what PostgreSQL has refused together: a faulty message must not drop the others."""
        for message in messages:
            try:
                await self._notify(connection, [message])
            except Exception as error:
                if connection.is_closed():
                    raise
                self.dropped += 1
                _log.warning("bus_message_not_sent", error=type(error).__name__)

    async def _notify(self, connection: Connection[Any], messages: Sequence[Message]) -> None:
        channels: list[str] = []
        payloads: list[str] = []
        for channel, data in messages:
            parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)] or [b""]
            number = next(self._numbers)
            for left, part in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
                channels.append(PREFIX + channel)
                payloads.append(f"{number}.{left}.{base64.b64encode(part).decode()}")
        await connection.fetch(_NOTIFY, channels, payloads)

    async def _disconnect(self) -> None:
        if self._sending is not None:
            self._sending.terminate()
            self._sending = None

    def _change_channels(self) -> None:
        self._has_change.set()

    async def _listen_until_failure(self) -> None:
        self._parts.clear()
        async with asyncio.timeout(ENGINE_S):
            connection = await self._connect()
        try:
            connection.add_termination_listener(lambda _: self._has_change.set())
            listened: set[str] = set()
            self._has_change.set()
            is_first = True
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_S):
                        await self._has_change.wait()
                self._has_change.clear()
                async with asyncio.timeout(ENGINE_S):
                    wanted = set(self._receivers)
                    for channel in wanted - listened:
                        await connection.add_listener(PREFIX + channel, self._receive_part)
                    for channel in listened - wanted:
                        await connection.remove_listener(PREFIX + channel, self._receive_part)
                    listened = wanted
                    await connection.execute("SELECT 1")
                if is_first:
                    is_first = False
                    self._note_up()
        finally:
            connection.terminate()

    def _receive_part(self, _: object, pid: int, name: str, payload: object) -> None:
        number, left, text = str(payload).split(".", 2)
        channel = name.removeprefix(PREFIX)
        key = channel, f"{pid}.{number}"
        parts = self._parts.setdefault(key, [])
        parts.append(base64.b64decode(text))
        if left == "0":
            del self._parts[key]
            self._deliver(channel, b"".join(parts))
