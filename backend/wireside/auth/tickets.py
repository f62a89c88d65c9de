"""Tickets: what lets a browser open one WebSocket without a key in its address."""

from __future__ import annotations

from collections import OrderedDict

from wireside.errors import TooMany
from wireside.identity import Caller
from wireside.ports import Clock
from wireside.secret_words import digest, new_secret

GOOD_S = 30.0
"""How long a ticket is good, in seconds."""

MAX_TICKETS = 10_000


class Tickets:
    """Each is good once, for the user who asked for it, and for pages of one origin if that was
    said.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: OrderedDict[str, tuple[float, Caller, str | None]] = OrderedDict()

    def issue(self, caller: Caller, origin: str | None = None) -> str:
        """Return a ticket by which a page of ``origin`` comes in as ``caller``."""
        self._forget()
        if len(self._given) >= MAX_TICKETS:
            raise TooMany("Too many tickets are waiting to be used; try again in a moment.")
        ticket = new_secret()
        self._given[digest(ticket)] = self._clock() + GOOD_S, caller, origin
        return ticket

    def redeem(self, ticket: str, origin: str | None) -> Caller | None:
        """Return who comes in by it; None when it is used, too old, or another origin's."""
        self._forget()
        found = self._given.pop(digest(ticket), None)
        if found is None:
            return None
        _, caller, wanted = found
        return caller if wanted is None or wanted == origin else None

    def _forget(self) -> None:
        now = self._clock()
        while self._given and next(iter(self._given.values()))[0] <= now:
            self._given.popitem(last=False)
