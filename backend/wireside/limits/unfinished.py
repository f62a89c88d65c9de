"""A limit on the total size of unfinished messages."""

from __future__ import annotations

from collections.abc import Callable


class Unfinished:
    """Limits the total size of unfinished messages over all connections.

    Above the limit, the connection with the most unfinished data is dropped. Input at human speed
    is small and completes quickly.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sizes: dict[Callable[[], None], int] = {}
        self.total = 0

    def record_size(self, drop: Callable[[], None], size: int) -> None:
        """Record that the connection which ``drop`` ends holds ``size`` bytes; 0 removes it."""
        self.total += size - self._sizes.pop(drop, 0)
        if size:
            self._sizes[drop] = size
        while self.total > self._limit:
            largest = max(self._sizes, key=self._sizes.__getitem__)
            self.total -= self._sizes.pop(largest)
            largest()
