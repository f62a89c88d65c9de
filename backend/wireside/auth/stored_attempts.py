"""Sign-in attempts counted over several servers, which share a database."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from weakref import WeakValueDictionary

from wireside.auth.limiter import Rate, Remaining
from wireside.ports.shared import AttemptStore


class StoredAttempts:
    """Implements ``AttemptLimiter``: a limit holds for all servers together, whatever they count.

    Attempts are counted in the database also where other limits are counted in Redis, without which
    each server would count for itself. Names are stored as digests.
    """

    def __init__(self, store: AttemptStore) -> None:
        self._store = store
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Held while an attempt is counted: many at once would wait in the database."""

    async def count_if_allowed(self, name: str, rate: Rate) -> Remaining:
        """See ``AttemptLimiter``. Raises ``Overloaded`` and ``StoreError``."""
        digest = _digest_of(name)
        async with self._locks.setdefault(digest, asyncio.Lock()):
            found = await self._store.count_attempt(
                digest, limit=rate.limit, window_s=rate.window_s
            )
        return Remaining(rate.limit - found.count, found.reset_s, found.was_counted)

    async def reset_window(self, name: str, rate: Rate) -> None:
        """See ``AttemptLimiter``. Raises ``StoreError``."""
        await self._store.remove_attempts(_digest_of(name))


def _digest_of(name: str) -> str:
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
