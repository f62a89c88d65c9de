"""The bus by pub/sub of Redis or Valkey: for many servers, and at no cost to the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from wireside.errors import NotConfigured, missing_extra
from wireside.replicas.bus import CHECK_S, ENGINE_S, Message, QueuedBus


class RedisBus(QueuedBus):
    """Implements ``Bus`` by pub/sub."""

    def __init__(self, url: str, read_prefix: Callable[[], Awaitable[str]]) -> None:
        """Prepare the bus, which connects once it runs.

        Args:
            url: the value of ``WIRESIDE_REDIS_URL``.
            read_prefix: returns what the names of channels begin with: the id of the database,
                so that two installations on one Redis do not receive each other's messages.

        Raises:
            NotConfigured: ``url`` is not a Redis URL, or the extra ``redis`` is not installed.
        """
        super().__init__()
        try:
            from redis.asyncio import Redis
        except ImportError as error:
            raise missing_extra("WIRESIDE_REDIS_URL", "redis") from error
        try:
            self._redis: Any = Redis.from_url(
                url, socket_timeout=ENGINE_S, socket_connect_timeout=ENGINE_S, retry=None
            )
        except ValueError:
            # without its cause: the message contains the URL, which may contain a password
            raise NotConfigured(
                "WIRESIDE_REDIS_URL is not a Redis URL."
                " Example: WIRESIDE_REDIS_URL=redis://127.0.0.1:6379"
            ) from None
        self._read_prefix = read_prefix
        self._prefix = ""
        self._has_change = asyncio.Event()

    async def _send(self, messages: Sequence[Message]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for channel, data in messages:
            pipeline.publish(self._prefix + channel, data)
        await pipeline.execute()

    async def _disconnect(self) -> None:
        await self._redis.connection_pool.disconnect()

    def _change_channels(self) -> None:
        self._has_change.set()

    async def _listen_until_failure(self) -> None:
        if not self._prefix:
            self._prefix = f"wireside:{await self._read_prefix()}:"
        async with self._redis.pubsub() as listening:
            self._has_change.clear()
            listened = set(self._receivers)
            # a channel of its own, as a subscription to none can't be read
            await listening.subscribe(self._prefix, *map(self._name_of, listened))
            changing = asyncio.create_task(self._follow_changes(listening, listened))
            try:
                await self._receive_messages(listening)
            finally:
                changing.cancel()

    async def _receive_messages(self, listening: Any) -> None:
        is_checked = True
        while True:
            message = await listening.get_message(timeout=CHECK_S)
            if message is None:
                if not is_checked:
                    raise ConnectionError("Redis does not answer.")
                is_checked = False
                await listening.ping()
                continue
            is_checked = True
            if message["type"] == "message":
                channel = message["channel"].decode().removeprefix(self._prefix)
                self._deliver(channel, message["data"])
            elif message["type"] == "subscribe" and not self.is_up:
                self._note_up()

    async def _follow_changes(self, listening: Any, listened: set[str]) -> None:
        """Subscribe to channels that are listened to later; a failure ends the connection."""
        while True:
            await self._has_change.wait()
            self._has_change.clear()
            wanted = set(self._receivers)
            if new := wanted - listened:
                await listening.subscribe(*map(self._name_of, new))
            if old := listened - wanted:
                await listening.unsubscribe(*map(self._name_of, old))
            listened = wanted

    def _name_of(self, channel: str) -> str:
        return self._prefix + channel
