"""Sliding windows for rate limits of connections and addresses. Time is passed in."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

from wireside.limits.networks import network_of


class SlidingWindow:
    """At most ``limit`` events in any ``window_s`` seconds, exact to the event."""

    def __init__(self, limit: int, window_s: float = 60.0) -> None:
        self._limit = limit
        self._window_s = window_s
        # a list, as each connection has one: an empty deque takes 760 bytes
        self._times: list[float] = []

    def count_if_allowed(self, now: float, count: int = 1) -> bool:
        """Count ``count`` events at ``now`` and return True; if they don't all fit, count none."""
        self._drop_outdated(now)
        if len(self._times) + count > self._limit:
            return False
        self._times.extend([now] * count)
        return True

    def retry_after(self, now: float, count: int = 1) -> float:
        """Return the seconds until ``count`` events fit; ``window_s`` if they never do."""
        self._drop_outdated(now)
        excess = len(self._times) + count - self._limit
        if excess <= 0:
            return 0.0
        if excess > len(self._times):
            return self._window_s
        return self._times[excess - 1] + self._window_s - now

    def is_idle(self, now: float) -> bool:
        """Whether the window holds no events, so that it can be dropped."""
        self._drop_outdated(now)
        return not self._times

    def _drop_outdated(self, now: float) -> None:
        del self._times[: bisect_right(self._times, now - self._window_s)]


class AddressWindows:
    """One window for each client network, shared by all its connections."""

    def __init__(self, limit: int, window_s: float = 60.0) -> None:
        self._limit = limit
        self._window_s = window_s
        self._windows: dict[str, SlidingWindow] = {}
        self._forget_at = 1024

    def window_for(self, address: str, now: float) -> SlidingWindow:
        """Return the window of the address's network; now and then drop unused windows."""
        if len(self._windows) >= self._forget_at:
            self._windows = {n: w for n, w in self._windows.items() if not w.is_idle(now)}
            self._forget_at = max(1024, 2 * len(self._windows))
        return self._windows.setdefault(
            network_of(address), SlidingWindow(self._limit, self._window_s)
        )


class CountingWindow:
    """Sliding sum of amounts, exact to a 60th of the window, at constant cost for any amount."""

    SLOTS = 60

    def __init__(self, limit: int, window_s: float = 60.0) -> None:
        self.limit = limit
        self._slot_s = window_s / self.SLOTS
        self._slots: deque[list[int]] = deque()  # number and sum of each slot
        self._sum = 0

    def add_amount(self, now: float, count: int) -> None:
        """Add ``count`` at ``now``, even beyond the limit."""
        self._drop_outdated(now)
        slot = int(now // self._slot_s)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1][1] += count
        else:
            self._slots.append([slot, count])
        self._sum += count

    def remaining(self, now: float) -> int:
        """Return how much of the limit is left now, at least 0."""
        self._drop_outdated(now)
        return max(0, self.limit - self._sum)

    def reset_s(self, now: float) -> float:
        """Return the seconds until something, or more, is left; 0 if all of the limit is."""
        self._drop_outdated(now)
        if not self._slots:
            return 0.0
        excess, last = self._sum - self.limit, self._slots[0][0]
        for slot, count in self._slots:
            last, excess = slot, excess - count
            if excess < 0:
                break
        return max(0.0, (last + self.SLOTS) * self._slot_s - now)

    def is_idle(self, now: float) -> bool:
        """Whether the window holds no amounts, so that it can be dropped."""
        self._drop_outdated(now)
        return not self._slots

    def _drop_outdated(self, now: float) -> None:
        # a slot is dropped once all of it has left the window
        first = int(now // self._slot_s) - self.SLOTS
        while self._slots and self._slots[0][0] <= first:
            self._sum -= self._slots.popleft()[1]
