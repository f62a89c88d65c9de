"""Tickets: single-use tokens for opening a WebSocket without an API key in the URL.

One server keeps them in memory; several on one database keep them there, so that each redeems what
any of them has issued, and exactly one does.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Protocol

import msgspec

from wireside.errors import TooMany
from wireside.identity import Caller
from wireside.ports.clock import Clock
from wireside.ports.shared import StoredTicket, TicketStore
from wireside.tokens import hash_secret, new_secret

GOOD_S = 30.0
"""Lifetime of a ticket, in seconds."""

MAX_TICKETS = 10_000

MAX_OF_ONE = 1_000
"""Unused tickets of one user, so that one user's keys can't use up ``MAX_TICKETS``."""

_Given = tuple[float, Caller, str | None]
"""Expiry (monotonic seconds), caller, and the origin that may redeem it (None: any)."""


_TOO_MANY = "Too many tickets are unused; try again in a moment."


class Tickets(Protocol):
    """Issues and redeems tickets.

    A ticket is valid once, for the user that requested it and, if given, for pages of one origin.
    """

    async def issue_ticket(self, caller: Caller, origin: str | None = None) -> str:
        """Return a ticket that authenticates a page of ``origin`` as ``caller``.

        Raises:
            TooMany: too many tickets are unused.
            StoreError: the tickets are in a store, which is unavailable.
        """
        ...

    async def redeem_ticket(self, ticket: str, origin: str | None) -> Caller | None:
        """Return the ticket's caller; None if it is used, expired or for another origin.

        Raises:
            StoreError: the tickets are in a store, which is unavailable.
        """
        ...


class StoredTickets:
    """Tickets of several servers, in their database."""

    def __init__(self, store: TicketStore) -> None:
        self._store = store

    async def issue_ticket(self, caller: Caller, origin: str | None = None) -> str:
        """See ``Tickets``."""
        ticket = new_secret()
        stored = StoredTicket(
            hashed=hash_secret(ticket),
            user_id=caller.user_id,
            caller=msgspec.json.encode(caller).decode(),
            origin=origin,
        )
        if not await self._store.add_ticket(
            stored, lifetime_s=GOOD_S, most=MAX_TICKETS, most_of_user=MAX_OF_ONE
        ):
            raise TooMany(_TOO_MANY)
        return ticket

    async def redeem_ticket(self, ticket: str, origin: str | None) -> Caller | None:
        """See ``Tickets``."""
        found = await self._store.take_ticket(hash_secret(ticket))
        if found is None or found.origin not in (None, origin):
            return None
        return msgspec.json.decode(found.caller, type=Caller)


class MemoryTickets:
    """Tickets of one server, in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: OrderedDict[str, _Given] = OrderedDict()
        self._counts: Counter[str] = Counter()
        """Number of unused tickets, by user id."""

    async def issue_ticket(self, caller: Caller, origin: str | None = None) -> str:
        """See ``Tickets``."""
        self._remove_expired()
        if len(self._given) >= MAX_TICKETS or self._counts[caller.user_id] >= MAX_OF_ONE:
            raise TooMany(_TOO_MANY)
        ticket = new_secret()
        self._given[hash_secret(ticket)] = self._clock() + GOOD_S, caller, origin
        self._counts[caller.user_id] += 1
        return ticket

    async def redeem_ticket(self, ticket: str, origin: str | None) -> Caller | None:
        """See ``Tickets``."""
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
