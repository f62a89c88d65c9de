"""The clock of the tests."""

from __future__ import annotations


class HandClock:
    """A clock in seconds that the test sets; each reading advances it by ``step_s``."""

    def __init__(self, now: float = 1_000_000.0, *, step_s: float = 0.0) -> None:
        self.now = now
        self._step_s = step_s

    def __call__(self) -> float:
        self.now += self._step_s
        return self.now
