"""Token buckets for rate limits of networks. Time is passed in."""

from __future__ import annotations

from wireside.limits.networks import network_of


class TokenBuckets:
    """Token bucket of each network: ``per_minute`` requests, refilled within a minute.

    It takes two numbers per address, where a sliding window would store each request of the minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._per_second = per_minute / 60
        self._left: dict[str, tuple[float, float]] = {}  # tokens left, and at what time
        self._forget_at = 1024

    def take_tokens(self, address: str, cost: int, now: float) -> float:
        """Take ``cost`` tokens and return 0.0, or return the seconds until they are available."""
        if len(self._left) >= self._forget_at:
            self._drop_full_buckets(now)
        network = network_of(address)
        left = self._tokens_at(network, now)
        if left < cost:
            return (cost - left) / self._per_second
        self._left[network] = (left - cost, now)
        return 0.0

    def _tokens_at(self, network: str, now: float) -> float:
        left, since = self._left.get(network, (self._most, now))
        return min(self._most, left + (now - since) * self._per_second)

    def _drop_full_buckets(self, now: float) -> None:
        full = [network for network in self._left if self._tokens_at(network, now) >= self._most]
        for network in full:
            del self._left[network]
        self._forget_at = max(1024, 2 * len(self._left))
