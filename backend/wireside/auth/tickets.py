"""Tickets: single-use tokens for opening a WebSocket without an API key in the URL."""

from __future__ import annotations

from collections import Counter, OrderedDict

from wireside.errors import TooMany
from wireside.identity import Caller
from wireside.ports.clock import Clock
from wireside.tokens import hash_secret, new_secret

GOOD_S = 30.0
"""Lifetime of a ticket, in seconds."""

MAX_TICKETS = 10_000

MAX_OF_ONE = 1_000
"""Unused tickets of one user, so that one user's keys can't use up ``MAX_TICKETS``."""

_Given = tuple[float, Caller, str | None]
"""Expiry (monotonic seconds), caller, and the origin that may redeem it (None: any)."""


class Tickets:
    """Issues and redeems tickets.

    A ticket is valid once, for the user that requested it and, if given, for pages of one origin.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: OrderedDict[str, _Given] = OrderedDict()
        self._counts: Counter[str] = Counter()
        """Number of unused tickets, by user id."""

    def issue_ticket(self, caller: Caller, origin: str | None = None) -> str:
        """Return a ticket that authenticates a page of ``origin`` as ``caller``.

        Raises:
            TooMany: too many tickets are unused.
        """
        self._remove_expired()
        if len(self._given) >= MAX_TICKETS or self._counts[caller.user_id] >= MAX_OF_ONE:
            raise TooMany("Too many tickets are unused; try again in a moment.")
        ticket = new_secret()
        self._given[hash_secret(ticket)] = self._clock() + GOOD_S, caller, origin
        self._counts[caller.user_id] += 1
        return ticket

    def redeem_ticket(self, ticket: str, origin: str | None) -> Caller | None:
        """Return the ticket's caller; None if it is used, expired or for another origin."""
        self._remove_expired()
        found = self._take_valid(hash_secret(ticket))
        if found is None:
            return None
        _, caller, wanted = found
        return caller if wanted is None or wanted == origin else None

    def _remove_expired(self) -> None:
        now = self._clock()
        while self._given:
            oldest = next(iter(self._given))
            if self._given[oldest][0] > now:
                break
            self._take_valid(oldest)

    def _take_valid(self, hashed: str) -> _Given | None:
        found = self._given.pop(hashed, None)
        if found is not None:
            _, caller, _ = found
            self._counts[caller.user_id] -= 1
            if not self._counts[caller.user_id]:
                del self._counts[caller.user_id]
        return found
