"""Figures of a time interval that can be merged; pure functions and values."""

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
"""Models and error codes kept per step; the least frequent are dropped."""

_ID_CHARS: Final = 64

Buckets = Counter[float]
"""Number of values by the upper bound of their bucket; ``inf`` for the last."""


@dataclass(slots=True, kw_only=True)
class IntervalFigures:
    """The figures of an interval: ``seconds`` long, starting at ``at`` (seconds since 1970).

    ``counts`` holds sums, ``peaks`` the maxima of sampled gauges, ``spread`` histograms.
    ``examples`` maps an error code to the id of an answer or request that failed with it.
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
        """End of the interval, in seconds since 1970."""
        return self.at + self.seconds

    def rate_per_s(self, name: str) -> float:
        """Return a count per second."""
        return self.counts[name] / self.seconds if self.seconds > 0 else 0.0

    def ratio_of_counts(self, part: str, whole: str) -> float | None:
        """Return the ratio of two counts, None if ``whole`` is zero."""
        return self.counts[part] / self.counts[whole] if self.counts[whole] else None

    def to_json(self) -> str:
        """Return the figures as JSON, without ``at`` and ``seconds``."""
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
    def from_json(at: float, seconds: float, text: str) -> IntervalFigures:
        """Parse the output of ``to_json``."""
        kept: dict[str, Any] = json.loads(text)
        step = IntervalFigures(
            at=at, seconds=seconds, counts=Counter(kept["counts"]), peaks=kept["peaks"]
        )
        for name, buckets in kept["spread"].items():
            step.spread[name] = Counter({float(bound): n for bound, n in buckets.items()})
        step.models = Counter(kept["models"])
        step.errors = Counter(kept["errors"])
        step.examples = kept["examples"]
        return step


def merge_steps(steps: Iterable[IntervalFigures], at: float, seconds: float) -> IntervalFigures:
    """Merge steps into one with the given start and length."""
    whole = IntervalFigures(at=at, seconds=seconds)
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


SUMMED_PEAKS: Final = frozenset({"raw", "pages", "streams", "memory"})
"""The gauges that several servers have together; of others, the greatest one counts."""


def sum_servers(steps: Sequence[IntervalFigures], at: float, seconds: float) -> IntervalFigures:
    """Merge steps of several servers in the same interval, each of a server of its own."""
    whole = merge_steps(steps, at, seconds)
    for name in SUMMED_PEAKS & whole.peaks.keys():
        whole.peaks[name] = sum(step.peaks.get(name, 0.0) for step in steps)
    return whole


def thin_steps(steps: Sequence[IntervalFigures], most: int) -> list[IntervalFigures]:
    """Return at most ``most`` steps, each merged from the steps of an equal part of the period.

    A merged step ends with its last one and is as long as all of them together, so that gaps do
    not lower its rates.
    """
    if len(steps) <= most:
        return list(steps)
    first = steps[0].at
    part = (steps[-1].end - first) / most
    groups = [list(some) for _, some in groupby(steps, lambda step: (step.at - first) // part)]
    return [_join_steps(some) for some in groups]


def _join_steps(steps: Sequence[IntervalFigures]) -> IntervalFigures:
    seconds = sum(step.seconds for step in steps)
    return merge_steps(steps, steps[-1].end - seconds, seconds)


def percentile(buckets: Mapping[float, int], part: float, bounds: Sequence[float]) -> float | None:
    """Return the value that a fraction ``part`` (0 to 1) of all values do not exceed.

    Interpolates linearly within a bucket of ``bounds``; values beyond the last bound count as that
    bound. None if there are no values.
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


def chart_columns(
    steps: Sequence[IntervalFigures], bounds: Mapping[str, Sequence[float]]
) -> dict[str, list[float | None]]:
    """Return the chart series by name; ``t`` is the end of each step in ms since 1970.

    A period without steps becomes one row of None, which charts draw as a gap.
    """
    rows: list[IntervalFigures | float] = []
    for before, step in pairwise([None, *steps]):
        assert step is not None
        if before is not None and step.at - before.end > max(before.seconds, step.seconds):
            rows.append((before.end + step.at) / 2)
        rows.append(step)
    series: dict[str, list[float | None]] = {"t": []}
    for row in rows:
        is_gap = isinstance(row, float)
        series["t"].append(round((row if isinstance(row, float) else row.end) * 1000))
        values = {} if isinstance(row, float) else figures_of(row, bounds)
        for name in FIGURES:
            series.setdefault(name, []).append(None if is_gap else values.get(name))
    return series


FIGURES: Final = (
    "messages", "error_rate", "first_p50", "first_p95", "speed", "tokens", "streams",
    "raw", "pages", "loop_p99", "behind", "memory", "cpu",
)  # fmt: skip
"""The charted figures, in this order.

Messages per second; failed answers in percent; seconds to the first token (p50, p95); tokens per
second of one answer (p50) and of all; peak numbers of open answers, sockets and pages; event loop
lag in ms (p99); delay of commits in s; memory in MiB; CPU in percent of a core.
"""


def figures_of(
    step: IntervalFigures, bounds: Mapping[str, Sequence[float]]
) -> dict[str, float | None]:
    """Return ``FIGURES`` of one step; None for figures without data."""

    def percentile_of(name: str, of: float) -> float | None:
        return percentile(step.spread[name], of, bounds[name]) if name in step.spread else None

    failed, lag = step.ratio_of_counts("failed", "answers"), percentile_of("loop_lag", 0.99)
    found: dict[str, float | None] = {
        "messages": step.rate_per_s("messages"),
        "error_rate": None if failed is None else 100 * failed,
        "first_p50": percentile_of("first_token", 0.5),
        "first_p95": percentile_of("first_token", 0.95),
        "speed": percentile_of("speed", 0.5),
        "tokens": step.rate_per_s("tokens"),
        "loop_p99": None if lag is None else 1000 * lag,
        "cpu": 100 * step.rate_per_s("cpu_ms") / 1000,
        **{name: step.peaks.get(name) for name in ("streams", "raw", "pages", "behind", "memory")},
    }
    return {name: None if value is None else round(value, 3) for name, value in found.items()}
