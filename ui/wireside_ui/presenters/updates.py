"""The pace of a page's updates."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

TICK_S = 0.05
"""Mean seconds between two updates of a page: at most 20 per second."""

BURST = 4
"""Updates of an idle page that are not delayed.

A question takes three before the first words of its answer can be seen: the question itself, the
state of its answer, and its title in the list.
"""

HIDDEN_TICK_S = 0.5
"""The same for a hidden page."""

BACKLOG = 12
"""Queued messages to a browser above which the page sends no updates until they are taken."""


class BrowserConnection(Protocol):
    """The connection of a page to its browser."""

    @property
    def is_open(self) -> bool:
        """Whether the browser is connected."""

    @property
    def queued(self) -> int:
        """Number of messages that the browser has not taken."""


class UpdateLoop:
    """Calls ``update`` whenever something is new, not faster than the browser can take it."""

    def __init__(
        self,
        update: Callable[[], Awaitable[None]],
        connection: BrowserConnection,
        *,
        tick_s: float = TICK_S,
        hidden_tick_s: float = HIDDEN_TICK_S,
    ) -> None:
        self._update = update
        self._connection = connection
        self._tick_s = tick_s
        self._hidden_tick_s = hidden_tick_s
        self._due_at = -math.inf
        """Time on the event loop's clock from which on the updates so far have used up ``TICK_S``.

        It is never earlier than ``BURST - 1`` ticks ago.
        """
        self._is_new = asyncio.Event()
        self._is_visible = asyncio.Event()
        self._is_visible.set()

    def wake(self) -> None:
        """Report that something is new."""
        self._is_new.set()

    def set_visible(self, is_visible: bool) -> None:
        """Report whether the user sees the page."""
        if is_visible:
            self._is_visible.set()
        else:
            self._is_visible.clear()

    async def run(self) -> None:
        """Update the page until cancelled."""
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            if self._connection.is_open:  # missed changes stay in the log; connecting wakes
                await self._update()
                await self.rest()

    async def rest(self) -> None:
        """Wait before the next update.

        There is no delay for the first updates of an idle page. It is longer for a hidden page, and
        lasts until a slow connection has taken its messages.
        """
        now = asyncio.get_running_loop().time()
        self._due_at = max(self._due_at, now - (BURST - 1) * self._tick_s) + self._tick_s
        await asyncio.sleep(max(0.0, self._due_at - now))
        await self.until_taken()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._hidden_tick_s - self._tick_s):
                await self._is_visible.wait()

    async def until_taken(self) -> None:
        """Wait until the browser has taken most of its messages or is disconnected."""
        # A queue has no event for becoming empty.
        while self._connection.is_open and self._connection.queued > BACKLOG:  # noqa: ASYNC110
            await asyncio.sleep(self._tick_s)
