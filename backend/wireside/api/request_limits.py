"""What one address may ask for over HTTP, and in which order pages are made. Time is passed in."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from wireside.protocol.limits import network_of

PAGE_COST = 100
"""A page is made anew for each visitor: 10 ms and 200 KB, where a file costs a fifth of a ms."""

SOCKET_COST = 5
"""A handshake costs a ms, with all that is made for a connection."""


class Allowances:
    """So many requests a minute for each address, in any rhythm: an empty purse fills in a minute.

    Two numbers an address, where a sliding window would keep each request of the minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._per_second = per_minute / 60
        self._left: dict[str, tuple[float, float]] = {}  # what is left, and when it was counted
        self._forget_at = 1024

    def take(self, address: str, cost: int, now: float) -> float:
        """Return 0 if that is allowed, else the seconds to wait for it."""
        if len(self._left) >= self._forget_at:
            self._forget(now)
        network = network_of(address)
        left = self._at(network, now)
        if left < cost:
            return (cost - left) / self._per_second
        self._left[network] = (left - cost, now)
        return 0.0

    def _at(self, network: str, now: float) -> float:
        left, since = self._left.get(network, (self._most, now))
        return min(self._most, left + (now - since) * self._per_second)

    def _forget(self, now: float) -> None:
        full = [network for network in self._left if self._at(network, now) >= self._most]
        for network in full:
            del self._left[network]
        self._forget_at = max(1024, 2 * len(self._left))


class Turns:
    """Lets ``at_once`` in and has the others wait, each address in its turn.

    However many pages one address asks for, another's waits behind one of them only.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def enter(self, address: str) -> None:
        """Return when it is the caller's turn; :meth:`leave` ends it."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it had just become the caller's
            raise

    def leave(self) -> None:
        """End a turn: the next address's begins."""
        while self._waiting:
            address, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[address] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
