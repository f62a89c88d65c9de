"""Back-off after failures."""

from __future__ import annotations


class Backoff:
    """Back-off after failures: none after the first one, then 1, 2, 4 … 30 s.

    It is reset after ``CALM_S`` seconds without a failure.
    """

    CALM_S = 60
    LONGEST_S = 30

    def __init__(self) -> None:
        self._failures = 0
        self._last = 0.0

    def failed(self, now: float) -> None:
        """Count a failure at ``now``, in seconds of a monotonic clock."""
        self._failures = 1 if now - self._last > self.CALM_S else self._failures + 1
        self._last = now

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next attempt; 0 if it is allowed now."""
        if self._failures < 2:
            return 0
        pause_s = min(2.0 ** (self._failures - 2), self.LONGEST_S)
        return max(0.0, self._last + pause_s - now)
