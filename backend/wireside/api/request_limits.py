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
        self._line = _Line()

    async def enter(self, address: str) -> None:
        """Return when it is the caller's turn; :meth:`leave` ends it."""
        if self._free:
            self._free -= 1
            return
        turn = self._line.join(address)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it had just become the caller's
            raise

    def leave(self) -> None:
        """End a turn: the next address's begins."""
        if not self._line.call():
            self._free += 1


class Starts:
    """Lets ``per_turn`` begin in each turn of the event loop, the addresses one after another.

    All others get their share of each turn that way: what has begun goes on, and a flood from one
    address holds up another's request by one of its own.
    """

    def __init__(self, per_turn: int) -> None:
        self._per_turn = per_turn
        self._left = per_turn
        self._line = _Line()
        self._is_next_due = False

    def enter(self, address: str) -> asyncio.Future[None] | None:
        """Return what to wait for, None if the caller may begin at once."""
        if not self._is_next_due:
            self._is_next_due = True
            asyncio.get_running_loop().call_soon(self._next)
        if self._left and not self._line:
            self._left -= 1
            return None
        return self._line.join(address)

    def _next(self) -> None:
        self._left = self._per_turn
        while self._left and self._line.call():
            self._left -= 1
        self._is_next_due = self._left < self._per_turn
        if self._is_next_due:
            asyncio.get_running_loop().call_soon(self._next)


class _Line:
    """Who waits; the addresses are called one after another."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, address: str) -> asyncio.Future[None]:
        """Return what is done when the caller is called."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        return turn

    def call(self) -> bool:
        """Call the next one; return whether there was any who still waits."""
        while self._waiting:
            address, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[address] = turns
            if not turn.done():
                turn.set_result(None)
                return True
        return False
