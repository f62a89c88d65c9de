"""Times one answer: its first content, its reasoning and its end."""

from __future__ import annotations

from wireside.messages import Entry, ReasoningDelta, Timing
from wireside.ports.clock import Clock


class Stopwatch:
    """Times an answer from its creation on, by a clock of seconds that never goes back."""

    __slots__ = ("_began", "_clock", "_first", "_reasoned_s", "_reasoning_since")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock()
        self._first: float | None = None
        self._reasoned_s = 0.0
        self._reasoning_since: float | None = None

    def note(self, entry: Entry) -> None:
        """Note that ``entry`` has arrived."""
        is_reasoning = isinstance(entry, ReasoningDelta)
        if self._first is not None and is_reasoning is (self._reasoning_since is not None):
            return  # most entries are like the one before
        now = self._clock()
        if self._first is None:
            self._first = now
        self._pause(now)
        self._reasoning_since = now if is_reasoning else None

    def read(self) -> Timing:
        """Return the durations so far."""
        now = self._clock()
        self._pause(now)
        return Timing(
            first_s=None if self._first is None else self._first - self._began,
            reasoning_s=self._reasoned_s or None,
            total_s=now - self._began,
        )

    def _pause(self, now: float) -> None:
        if self._reasoning_since is not None:
            self._reasoned_s += now - self._reasoning_since
            self._reasoning_since = now
