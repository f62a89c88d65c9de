"""Steps have the same sum in any grouping, and lose nothing on their way to the store."""

from __future__ import annotations

from collections import Counter
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.telemetry.counts import BOUNDS, Histogram
from wireside.telemetry.steps import (
    IntervalFigures,
    chart_columns,
    figures_of,
    merge_steps,
    percentile,
    thin_steps,
)

WORDS = st.sampled_from(["a", "b", "c"])
COUNTS = st.dictionaries(WORDS, st.integers(1, 1000), max_size=2)
BOUND = st.sampled_from([*BOUNDS["speed"], inf])


def steps() -> st.SearchStrategy[list[IntervalFigures]]:
    return st.lists(st.tuples(COUNTS, BOUND), min_size=1, max_size=8).map(made)


def made(rows: list[tuple[dict[str, int], float]]) -> list[IntervalFigures]:
    found = []
    for number, (counts, bound) in enumerate(rows):
        step = IntervalFigures(at=1000 + 60 * number, seconds=60)
        step.counts, step.models, step.errors = Counter(counts), Counter(counts), Counter(counts)
        step.peaks = {name: float(count) for name, count in counts.items()}
        step.spread["speed"] = Counter({bound: number + 1})
        step.examples = {code: f"{code}{number}" for code in step.errors}
        found.append(step)
    return found


def told(step: IntervalFigures) -> tuple[object, ...]:
    spread = {name: +buckets for name, buckets in step.spread.items() if buckets}
    return step.counts, step.peaks, spread, step.models, step.errors, step.examples


@given(steps(), st.integers(1, 12))
def test_sums_do_not_depend_on_how_steps_are_grouped(
    some: list[IntervalFigures], most: int
) -> None:
    at_once = merge_steps(some, 0, 60)
    thin = thin_steps(some, most)
    assert len(thin) <= most
    assert told(merge_steps(thin, 0, 60)) == told(at_once)
    assert thin[-1].end == some[-1].end
    assert sum(step.seconds for step in thin) == sum(step.seconds for step in some)


@given(st.sets(st.integers(0, 100), min_size=1), st.integers(1, 12))
def test_nothing_is_shown_at_another_time_than_it_was(hours: set[int], most: int) -> None:
    some = [IntervalFigures(at=3600 * hour, seconds=3600) for hour in sorted(hours)]
    for step in some:
        step.counts["messages"] = 1
    thin = thin_steps(some, most)
    assert len(thin) <= most
    part = (some[-1].end - some[0].at) / most
    for step in thin:
        assert step.rate_per_s("messages") == pytest.approx(
            1 / 3600
        )  # a gap does not lower the rate
        assert step.end in {one.end for one in some}
        assert step.seconds <= part + 3600


@given(steps())
def test_nothing_is_lost_in_the_store(some: list[IntervalFigures]) -> None:
    for step in some:
        kept = IntervalFigures.from_json(step.at, step.seconds, step.to_json())
        assert told(kept) == told(step)


@given(st.lists(st.floats(0, 600, allow_nan=False), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[float], part: float) -> None:
    bounds = BOUNDS["speed"]
    histogram = Histogram(bounds)
    for value in values:
        histogram.record_value(value)
    buckets = dict(zip((*bounds, inf), histogram.counts, strict=True))
    found = percentile(buckets, part, bounds)
    ranked = sorted(values)
    true = ranked[min(len(ranked) - 1, max(0, -int(-part * len(ranked) // 1) - 1))]
    above = next((bound for bound in bounds if true <= bound), inf)
    below = max((bound for bound in bounds if bound < true), default=0.0)
    assert found is not None
    assert below <= found <= above


def test_a_time_without_figures_is_a_gap() -> None:
    before, after = IntervalFigures(at=0, seconds=60), IntervalFigures(at=600, seconds=60)
    series = chart_columns([before, IntervalFigures(at=60, seconds=60), after], BOUNDS)
    assert series["t"] == [60_000, 120_000, 360_000, 660_000]
    assert series["messages"] == [0.0, 0.0, None, 0.0]


def test_figures_are_by_the_second_and_in_percent() -> None:
    step = IntervalFigures(at=0, seconds=10)
    step.counts = Counter(messages=25, answers=8, failed=2, tokens=1000, cpu_ms=500)
    step.peaks = {"streams": 3.0, "memory": 180.5}
    step.spread["loop_lag"] = Counter({0.01: 100})
    found = figures_of(step, BOUNDS)
    assert found["messages"] == 2.5
    assert found["error_rate"] == 25.0
    assert found["tokens"] == 100.0
    assert found["cpu"] == 5.0
    assert found["loop_p99"] == pytest.approx(9.95)
    assert found["streams"] == 3.0
    assert found["first_p50"] is None


def test_without_answers_there_is_no_rate_of_errors() -> None:
    assert figures_of(IntervalFigures(at=0, seconds=10), BOUNDS)["error_rate"] is None
