"""The interfaces of what several servers count and redeem together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTicket:
    """A ticket. ``caller`` is the caller as JSON, ``origin`` the page's origin or None for any."""

    hashed: str
    user_id: str
    caller: str
    origin: str | None


class TicketStore(Protocol):
    """Tickets that any of several servers redeems; they expire by the clock of the database."""

    async def add_ticket(
        self, ticket: StoredTicket, *, lifetime_s: float, most: int, most_of_user: int
    ) -> bool:
        """Add a ticket, and remove expired ones; returns False if too many are unused.

        Raises:
            StoreError: the store is unavailable.
        """
        ...

    async def take_ticket(self, hashed: str) -> StoredTicket | None:
        """Remove a ticket and return it; None if it is unknown, used or expired.

        Of all calls for one ticket, one returns it. Raises ``StoreError``.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """The attempts in a window, ``reset_s`` seconds before the first of them leaves it."""

    count: int
    reset_s: float
    was_counted: bool


class AttemptStore(Protocol):
    """Attempts that all servers count together; they expire by the clock of the database."""

    async def count_attempt(self, digest: str, *, limit: int, window_s: float) -> Attempts:
        """Count an attempt, unless there were ``limit`` in the last ``window_s`` seconds.

        Attempts of one digest are counted one after another, exactly.

        Raises:
            Overloaded: another server has not ended its count in time.
            StoreError: the store is unavailable.
        """
        ...

    async def remove_attempts(self, digest: str) -> None:
        """Remove all attempts of a digest. Raises ``StoreError``."""
        ...


class SlotCounts(Protocol):
    """How many answers run at each server by name of a limit: those of a user or a key."""

    async def claim_slots(self, replica: str, name: str, count: int, most: int) -> bool:
        """Record that ``count`` answers run at a server, unless all servers have over ``most``.

        Servers that claim slots of one name at the same time do so one after another.

        Raises:
            Overloaded: another one has not ended its claim in time.
            StoreError: the store is unavailable.
        """
        ...

    async def record_slots(self, replica: str, counts: dict[str, int]) -> None:
        """Record how many answers run at a server, whatever the limit. Raises ``StoreError``."""
        ...

    async def slots_elsewhere(self, replica: str, names: Sequence[str]) -> dict[str, int]:
        """Return the number of answers at all other servers. Raises ``StoreError``."""
        ...
