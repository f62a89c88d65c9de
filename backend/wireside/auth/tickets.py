"""Tickets: what lets a browser open one WebSocket without a key in its address."""

from __future__ import annotations

from collections import Counter, OrderedDict

from wireside.errors import TooMany
from wireside.identity import Caller
from wireside.ports import Clock
from wireside.secret_words import digest, new_secret

GOOD_S = 30.0
"""How long a ticket is good, in seconds."""

MAX_TICKETS = 10_000

MAX_OF_ONE = 1_000
"""Of one user, whose keys together could ask for all that there are in that time."""

_Given = tuple[float, Caller, str | None]
"""Until when, to whom, and for pages of which origin."""


class Tickets:
    """Each is good once, for the user who asked for it, and for pages of one origin if that was
    said.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: OrderedDict[str, _Given] = OrderedDict()
        self._counts: Counter[str] = Counter()
        """How many are given, by whose they are."""

    def issue(self, caller: Caller, origin: str | None = None) -> str:
        """Return a ticket by which a page of ``origin`` comes in as ``caller``."""
        self._forget()
        if len(self._given) >= MAX_TICKETS or self._counts[caller.user_id] >= MAX_OF_ONE:
            raise TooMany("Too many tickets are waiting to be used; try again in a moment.")
        ticket = new_secret()
        self._given[digest(ticket)] = self._clock() + GOOD_S, caller, origin
        self._counts[caller.user_id] += 1
        return ticket

    def redeem(self, ticket: str, origin: str | None) -> Caller | None:
        """Return who comes in by it; None when it is used, too old, or another origin's."""
        self._forget()
        found = self._take(digest(ticket))
        if found is None:
            return None
        _, caller, wanted = found
        return caller if wanted is None or wanted == origin else None

    def _forget(self) -> None:
        now = self._clock()
        while self._given:
            oldest = next(iter(self._given))
            if self._given[oldest][0] > now:
                break
            self._take(oldest)

    def _take(self, hashed: str) -> _Given | None:
        found = self._given.pop(hashed, None)
        if found is not None:
            _, caller, _ = found
            self._counts[caller.user_id] -= 1
            if not self._counts[caller.user_id]:
                del self._counts[caller.user_id]
        return found
