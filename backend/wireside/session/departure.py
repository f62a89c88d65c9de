"""The departure of a server that stops: its clients move to another server, one after another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from wireside.ports.clock import Clock

STEP_S: Final = 0.05
"""Longest time in seconds between two clients that are asked to move."""

RESTART_CODE: Final = 1012
RESTART_REASON: Final = "The server restarts."

Move = Callable[[], None]
"""Closes a client's connection with ``RESTART_CODE``, once nothing is lost by that."""


class Departure:
    """Whether the server is about to stop, and the connections whose clients then move."""

    def __init__(self) -> None:
        self._moves: dict[object, Move] = {}
        self._has_begun = False
        self.is_announced = False
        """Whether the server is not ready any more, although it may still serve."""

    def announce(self) -> None:
        """Report from now on that the server is about to stop."""
        self.is_announced = True

    @property
    def open_count(self) -> int:
        """Number of registered connections."""
        return len(self._moves)

    def register_client(self, move: Move) -> Callable[[], None]:
        """Register a connection; return a function that unregisters it.

        A connection that is opened after the departure has begun is moved at once.
        """
        key = object()
        self._moves[key] = move
        if self._has_begun:
            move()

        def unregister() -> None:
            self._moves.pop(key, None)

        return unregister

    async def move_clients(self, within_s: float) -> None:
        """Call each connection's ``move``, evenly over at most ``within_s`` seconds."""
        self._has_begun = True
        await call_spread(list(self._moves.values()), within_s)


async def call_spread(
    calls: list[Callable[[], None]], within_s: float, clock: Clock = time.monotonic
) -> None:
    """Call each of ``calls``, ``STEP_S`` apart, or closer to be done in ``within_s`` seconds.

    Where the event loop is late, calls that are due follow each other at once: the server waits no
    longer for clients that were not told to move.
    """
    step_s = min(STEP_S, within_s / max(1, len(calls)))
    due = clock()
    for call in calls:
        call()
        due += step_s
        if (wait_s := due - clock()) > 0:
            await asyncio.sleep(wait_s)
