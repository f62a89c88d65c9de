"""Concurrent answers counted over several servers, which share a database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakValueDictionary

from wireside.errors import StoreError
from wireside.generation.tasks import Tasks
from wireside.ports.shared import SlotCounts

RETRY_S = 1.0
"""Pause after counts could not be written, in seconds."""


class SharedSlots:
    """Writes how many answers run here, and refuses one that is too many with those elsewhere.

    ``UserQuotas`` counts the answers of this server, and decides by itself what they alone allow.
    """

    def __init__(self, counts: SlotCounts, replica_id: Callable[[], str], tasks: Tasks) -> None:
        self._counts = counts
        self._replica_id = replica_id
        self._tasks = tasks
        self._written: Counter[str] = Counter()
        """What the database has of this server, by name of the limit."""
        self._changed: set[str] = set()
        self._busy: Counter[str] = Counter()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Held while a count is written, by name: a claim may wait for another server."""
        self._is_scheduled = False

    def use_counter(self, busy: Counter[str]) -> None:
        """Use ``busy`` as the answers of this server, by name of the limit."""
        self._busy = busy

    async def claim_slots(self, name: str, most: int) -> bool:
        """Claim the slots that this server has taken; returns False if all servers have over
        ``most``.

        Raises ``StoreError``, or ``Overloaded`` while another server is in the middle of a claim.
        """
        async with self._lock_of(name):
            count = self._busy[name]
            if count <= self._written[name]:
                return True
            if not await self._counts.claim_slots(self._replica_id(), name, count, most):
                return False
            self._written[name] = count
            return True

    async def count_elsewhere(self, names: Sequence[str]) -> dict[str, int]:
        """Return the number of answers at other servers, by name. Raises ``StoreError``."""
        return await self._counts.slots_elsewhere(self._replica_id(), names)

    def note_change(self, names: Iterable[str]) -> None:
        """Have the counts of these names written soon."""
        self._changed.update(names)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._tasks.create_task(self._write_changed(), name="slots of answers")

    def rewrite_all(self) -> None:
        """Write all counts again: this server has a new id, and no counts under it."""
        self._written.clear()
        if self._busy:
            self.note_change(self._busy)

    def _lock_of(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def _write_changed(self) -> None:
        while self._changed:
            names, self._changed = self._changed, set()
            for name in names:
                await self._write(name)
            if self._changed:
                await asyncio.sleep(RETRY_S)
        self._is_scheduled = False

    async def _write(self, name: str) -> None:
        async with self._lock_of(name):
            count = self._busy[name]
            try:
                await self._counts.record_slots(self._replica_id(), {name: count})
            except StoreError:  # the store reports its failures itself
                self._changed.add(name)
                return
            if count:
                self._written[name] = count
            else:
                self._written.pop(name, None)
