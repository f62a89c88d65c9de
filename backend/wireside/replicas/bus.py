"""The bus between servers: messages that may be lost. What is true is in the database.

``Bus.post`` never waits and never raises: messages are dropped and counted while the engine is
away, or slower than what is posted. A receiver finds out by itself what it has missed: offsets show
a gap, and it looks into the database where it has heard nothing for a while.

``QueuedBus`` is the part that its two implementations share; ``NotifyBus`` and ``RedisBus`` add the
connections of their engine.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)

MAX_QUEUED = 1_000
"""Number of messages that wait to be sent; more are dropped."""

MAX_QUEUED_BYTES = 8 * 1024 * 1024
"""Total size of the messages that wait to be sent, in bytes; more are dropped."""

RETRY_S = 0.25
"""Pause after a failure of the engine, in seconds."""

CHECK_S = 2.0
"""Seconds without a message after which the connection is checked: a dead one is silent."""

ENGINE_S = 2.0
"""Longest time that the engine may take to connect or to answer, in seconds."""

CANCEL_AGAIN_S = 0.2
"""Seconds after which a task that has not ended is cancelled again."""

Receive = Callable[[bytes], None]
"""Handles a message; must be cheap."""

Message = tuple[str, bytes]
"""A channel and the data for it."""


class Bus(Protocol):
    """Sends messages to the other servers of a database. Call all methods on the event loop."""

    @property
    def is_up(self) -> bool:
        """Whether messages of others arrive at present."""
        ...

    @property
    def dropped(self) -> int:
        """Number of messages that were not sent."""
        ...

    def post(self, channel: str, data: bytes) -> None:
        """Send ``data`` to the listeners of ``channel``. Never waits, never raises."""
        ...

    def listen(self, channel: str, receive: Receive) -> Callable[[], None]:
        """Call ``receive`` with each message of ``channel``; returns a function that ends it.

        A channel has one listener in each process. A server also receives its own messages.
        """
        ...

    def call_when_up(self, work: Callable[[], None]) -> None:
        """Call ``work`` each time messages begin to arrive: some before that were missed."""
        ...


class QueuedBus(ABC):
    """Queues what is posted, and keeps one connection that sends and one that listens."""

    def __init__(self) -> None:
        self.is_up = False
        """See ``Bus``."""
        self.dropped = 0
        """See ``Bus``."""
        self._receivers: dict[str, Receive] = {}
        self._works_when_up: list[Callable[[], None]] = []
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._has_messages = asyncio.Event()
        self._is_reported = False

    def post(self, channel: str, data: bytes) -> None:
        """See ``Bus``."""
        is_full = len(self._queue) >= MAX_QUEUED or self._queued_bytes > MAX_QUEUED_BYTES
        if not self.is_up or is_full:
            self.dropped += 1
            return
        self._queue.append((channel, data))
        self._queued_bytes += len(data)
        self._has_messages.set()

    def listen(self, channel: str, receive: Receive) -> Callable[[], None]:
        """See ``Bus``."""
        self._receivers[channel] = receive
        self._change_channels()

        def end_listening() -> None:
            if self._receivers.get(channel) is receive:
                del self._receivers[channel]
                self._change_channels()

        return end_listening

    def call_when_up(self, work: Callable[[], None]) -> None:
        """See ``Bus``."""
        self._works_when_up.append(work)

    async def run_until_cancelled(self) -> None:
        """Send and receive until the task is cancelled; connects again after each failure."""
        tasks = {
            asyncio.create_task(self._keep_sending(), name="bus: send"),
            asyncio.create_task(self._keep_listening(), name="bus: listen"),
        }
        try:
            await asyncio.wait(tasks)
        finally:
            while tasks:
                for task in tasks:
                    task.cancel()
                # redis-py can lose a cancellation that meets the end of its own timeout
                _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_S)

    # ---- for the engines -----------------------------------------------------------------------

    @abstractmethod
    async def _send(self, messages: Sequence[Message]) -> None:
        """Send messages in their order; connects if necessary. What fails is not repeated."""

    @abstractmethod
    async def _listen_until_failure(self) -> None:
        """Listen to ``_receivers``: call ``_note_up`` once, then ``_deliver``, until it fails."""

    @abstractmethod
    def _change_channels(self) -> None:
        """Listen to the channels of ``_receivers``, which have changed."""

    @abstractmethod
    async def _disconnect(self) -> None:
        """Close the connection that sends."""

    def _note_up(self) -> None:
        """Record that messages arrive now."""
        self.is_up = True
        if self._is_reported:
            self._is_reported = False
            _log.warning("bus_is_back")
        for work in self._works_when_up:
            work()

    def _deliver(self, channel: str, data: bytes) -> None:
        """Pass on a message that has arrived."""
        receive = self._receivers.get(channel)
        if receive is None:
            return
        try:
            receive(data)
        except Exception:  # a newer version's message must not end the listening
            _log.exception("bus_message_failed", channel=channel)

    # ---- internals -----------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        try:
            while True:
                await self._has_messages.wait()
                self._has_messages.clear()
                messages = list(self._queue)
                self._queue.clear()
                self._queued_bytes = 0
                try:
                    async with asyncio.timeout(ENGINE_S):
                        await self._send(messages)
                except Exception as error:  # the engines' libraries share no base class
                    self.dropped += len(messages)
                    self._note_failure(error)
                    await self._disconnect()
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._disconnect()

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen_until_failure()
            except Exception as error:
                self._note_failure(error)
            finally:
                self.is_up = False
            await asyncio.sleep(RETRY_S)

    def _note_failure(self, error: Exception) -> None:
        if not self._is_reported:
            self._is_reported = True
            # its text may contain an address with a password
            _log.warning("bus_lost", error=type(error).__name__)
