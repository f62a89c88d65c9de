"""Counts of open connections by network."""

from __future__ import annotations

from collections import Counter

from wireside.limits.networks import network_of


class ConnectionCounts:
    """Counts the open connections of each network, up to ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()

    def count_connection(self, address: str) -> str | None:
        """Count a connection; return the key for ``uncount_connection``; None at the limit."""
        network = network_of(address)
        if self._counts[network] >= self._limit:
            return None
        self._counts[network] += 1
        return network

    def uncount_connection(self, network: str) -> None:
        """Stop counting a connection."""
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]
