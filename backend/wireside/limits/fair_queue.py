"""Queues that serve addresses round-robin, so that a flood from one does not delay the others."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class FairQueue:
    """Semaphore of ``at_once`` slots whose queue is served round-robin by address.

    However many pages one address requests, another address waits behind only one of them.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._line = _Line()

    async def acquire_slot(self, address: str) -> None:
        """Acquire a slot; :meth:`leave` releases it."""
        if self._free:
            self._free -= 1
            return
        turn = self._line.join_queue(address)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release_slot()  # the slot had just been assigned
            raise

    def release_slot(self) -> None:
        """Release a slot to the next address in the queue."""
        if not self._line.call_next():
            self._free += 1


class StartQueue:
    """Starts ``per_turn`` requests in each turn of the event loop, round-robin by address.

    The rest of each turn is left to work in progress, and a flood from one address delays a request
    of another by only one of its own.
    """

    def __init__(self, per_turn: int) -> None:
        self._per_turn = per_turn
        self._left = per_turn
        self._line = _Line()
        self._is_next_due = False

    def wait_for_start(self, address: str) -> asyncio.Future[None] | None:
        """Return a future to await before starting; None if the request can start at once."""
        if not self._is_next_due:
            self._is_next_due = True
            asyncio.get_running_loop().call_soon(self._start_next)
        if self._left and not self._line:
            self._left -= 1
            return None
        return self._line.join_queue(address)

    def _start_next(self) -> None:
        self._left = self._per_turn
        while self._left and self._line.call_next():
            self._left -= 1
        self._is_next_due = self._left < self._per_turn
        if self._is_next_due:
            asyncio.get_running_loop().call_soon(self._start_next)


class _Line:
    """Queue of futures, served round-robin by address."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join_queue(self, address: str) -> asyncio.Future[None]:
        """Return a future that is resolved when its turn has come."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        return turn

    def call_next(self) -> bool:
        """Resolve the next pending future; return whether there was one."""
        while self._waiting:
            address, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[address] = turns
            if not turn.done():
                turn.set_result(None)
                return True
        return False
