"""Counts the usage of answers by day, account and model, and stores it every few seconds.

The counts of several answers are written together: a write for each answer would cost a server
with many answers more than it is worth. A server that is killed loses those of the last seconds;
the cost of a stored answer is written with the answer and not lost.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from wireside.errors import StoreError
from wireside.messages import Cost
from wireside.ports.administration import UsageStore
from wireside.ports.clock import Clock
from wireside.records import UsageKey, UsageSum

_log = structlog.get_logger(__name__)

FLUSH_S: Final = 2.0
"""Interval in seconds between writes."""

DAY_S: Final = 86_400

MAX_HELD: Final = 10_000
"""Maximum number of sums that are held while the store fails; further ones are dropped."""


class UsageRecorder(Protocol):
    """Counts the usage of answers."""

    def record_answer(
        self, owner: str, model: str, *, input_tokens: int, output_tokens: int, cost: Cost | None
    ) -> None:
        """Count an answer that has ended."""
        ...


class NoUsage(UsageRecorder):
    """Counts nothing."""

    def record_answer(
        self, owner: str, model: str, *, input_tokens: int, output_tokens: int, cost: Cost | None
    ) -> None:
        """Do nothing."""


class StoredUsage(UsageRecorder):
    """Counts usage, and adds it to the store."""

    def __init__(self, store: UsageStore, wall_clock: Clock) -> None:
        self._store = store
        self._now = wall_clock
        self._held: dict[UsageKey, UsageSum] = {}

    def record_answer(
        self, owner: str, model: str, *, input_tokens: int, output_tokens: int, cost: Cost | None
    ) -> None:
        """See ``UsageRecorder``."""
        key = UsageKey(
            day=int(self._now() // DAY_S),
            owner=owner,
            model=model,
            currency=cost.currency if cost else "",
        )
        added = UsageSum(
            answers=1,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost=cost.amount if cost else 0.0,
        )
        self._hold(key, added)

    async def flush_until_cancelled(self) -> None:
        """Store what was counted every few seconds."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Store what was counted; what can't be stored is held until the next time."""
        held, self._held = self._held, {}
        if not held:
            return
        try:
            await self._store.add_usage(held)
        except StoreError:  # its cause has been logged by the store
            for key, added in held.items():
                self._hold(key, added)
            _log.warning("usage_not_stored", sums=len(self._held))

    def _hold(self, key: UsageKey, added: UsageSum) -> None:
        if key in self._held or len(self._held) < MAX_HELD:
            self._held[key] = self._held.get(key, UsageSum()) + added
