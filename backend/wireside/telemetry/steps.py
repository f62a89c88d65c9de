"""What happened in a stretch of time, as figures that can be added up: pure."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from math import inf
from typing import Any, Final

MOST_NAMES: Final = 30
"""Models and codes that one step tells apart; the rarest go first."""

_ID_CHARS: Final = 64

Buckets = Counter[float]
"""How many values there were, by the upper bound of their bucket; ``inf`` for the last."""


@dataclass(slots=True)
class Step:
    """The figures of ``seconds`` from ``at`` on (since 1970).

    ``counts`` are sums, ``peaks`` the greatest of what was looked at, ``spread`` histograms.
    ``examples`` has, for a code, the id of an answer or request that ended with it.
    """

    at: float
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    peaks: dict[str, float] = field(default_factory=dict)
    spread: defaultdict[str, Buckets] = field(default_factory=lambda: defaultdict(Counter))
    models: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """Seconds since 1970."""
        return self.at + self.seconds

    def rate(self, name: str) -> float:
        """Return a count by the second."""
        return self.counts[name] / self.seconds if self.seconds > 0 else 0.0

    def share(self, part: str, whole: str) -> float | None:
        """Return one count as a part of another; None where there is no whole."""
        return self.counts[part] / self.counts[whole] if self.counts[whole] else None

    def to_json(self) -> str:
        """Return it as text, without its time."""
        return json.dumps(
            {
                "counts": self.counts,
                "peaks": self.peaks,
                "spread": {
                    name: {repr(bound): count for bound, count in buckets.items()}
                    for name, buckets in self.spread.items()
                    if buckets
                },
                "models": dict(self.models.most_common(MOST_NAMES)),
                "errors": dict(self.errors.most_common(MOST_NAMES)),
                "examples": self.examples,
            },
            separators=(",", ":"),
        )

    @staticmethod
    def from_json(at: float, seconds: float, text: str) -> Step:
        """Return what ``to_json`` wrote."""
        kept: dict[str, Any] = json.loads(text)
        step = Step(at, seconds, Counter(kept["counts"]), kept["peaks"])
        for name, buckets in kept["spread"].items():
            step.spread[name] = Counter({float(bound): n for bound, n in buckets.items()})
        step.models = Counter(kept["models"])
        step.errors = Counter(kept["errors"])
        step.examples = kept["examples"]
        return step


def merged(steps: Iterable[Step], at: float, seconds: float) -> Step:
    """Return one step for all of them, as that of the given time."""
    whole = Step(at, seconds)
    for step in steps:
        whole.counts.update(step.counts)
        for name, value in step.peaks.items():
            whole.peaks[name] = max(value, whole.peaks.get(name, value))
        for name, buckets in step.spread.items():
            whole.spread[name].update(buckets)
        whole.models.update(step.models)
        whole.errors.update(step.errors)
        whole.examples.update({code: one[:_ID_CHARS] for code, one in step.examples.items()})
    return whole


def thinned(steps: Sequence[Step], most: int) -> list[Step]:
    """Return at most ``most`` steps, each for those of an equal part of the whole time. It ends
    with the last of them, and is as long as they are together, so that a gap counts for nothing.
    """
    if len(steps) <= most:
        return list(steps)
    first = steps[0].at
    part = (steps[-1].end - first) / most
    groups = [list(some) for _, some in groupby(steps, lambda step: (step.at - first) // part)]
    return [_joined(some) for some in groups]


def _joined(steps: Sequence[Step]) -> Step:
    seconds = sum(step.seconds for step in steps)
    return merged(steps, steps[-1].end - seconds, seconds)


def percentile(buckets: Mapping[float, int], part: float, bounds: Sequence[float]) -> float | None:
    """Return the value that ``part`` (0 to 1) of all do not exceed, taken to lie evenly in their
    bucket of ``bounds``; the last bound for what lies beyond. None where there are no values.
    """
    wanted = part * sum(buckets.values())
    if not wanted:
        return None
    seen = 0
    for upper in sorted(buckets):
        count = buckets[upper]
        if seen + count >= wanted and count:
            place = bisect_left(bounds, upper)
            lower = bounds[place - 1] if place else 0.0
            if upper == inf:
                return lower
            return lower + (upper - lower) * (wanted - seen) / count
        seen += count
    return bounds[-1]


def columns(
    steps: Sequence[Step], bounds: Mapping[str, Sequence[float]]
) -> dict[str, list[float | None]]:
    """Return the series that charts draw, by their name; ``t`` is the end of each step in
    milliseconds since 1970. A stretch without figures is a gap: a row of None.
    """
    rows: list[Step | float] = []
    for before, step in pairwise([None, *steps]):
        assert step is not None
        if before is not None and step.at - before.end > max(before.seconds, step.seconds):
            rows.append((before.end + step.at) / 2)
        rows.append(step)
    series: dict[str, list[float | None]] = {"t": []}
    for row in rows:
        is_gap = isinstance(row, float)
        series["t"].append(round((row if isinstance(row, float) else row.end) * 1000))
        values = {} if isinstance(row, float) else figures(row, bounds)
        for name in FIGURES:
            series.setdefault(name, []).append(None if is_gap else values.get(name))
    return series


FIGURES: Final = (
    "messages", "error_rate", "first_p50", "first_p95", "speed", "tokens", "streams",
    "raw", "pages", "loop_p99", "behind", "memory", "cpu",
)  # fmt: skip
"""Messages a second; failed answers of all, in percent; seconds to the first token; tokens a second
of one answer (p50) and of all; open at most: answers, sockets, pages; lag of the event loop in ms;
of the store in s; MiB; percent of a core."""


def figures(step: Step, bounds: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    """Return ``FIGURES`` of one step; None where there is nothing to say."""

    def part(name: str, of: float) -> float | None:
        return percentile(step.spread[name], of, bounds[name]) if name in step.spread else None

    failed, lag = step.share("failed", "answers"), part("loop_lag", 0.99)
    found: dict[str, float | None] = {
        "messages": step.rate("messages"),
        "error_rate": None if failed is None else 100 * failed,
        "first_p50": part("first_token", 0.5),
        "first_p95": part("first_token", 0.95),
        "speed": part("speed", 0.5),
        "tokens": step.rate("tokens"),
        "loop_p99": None if lag is None else 1000 * lag,
        "cpu": 100 * step.rate("cpu_ms") / 1000,
        **{name: step.peaks.get(name) for name in ("streams", "raw", "pages", "behind", "memory")},
    }
    return {name: None if value is None else round(value, 3) for name, value in found.items()}
