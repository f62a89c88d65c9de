"""The limit on the total size of unfinished messages."""

from __future__ import annotations

from functools import partial

from wireside.limits.unfinished import Unfinished


def test_the_largest_is_dropped_when_the_total_exceeds_the_limit() -> None:
    unfinished, dropped = Unfinished(100), list[str]()
    small, large = partial(dropped.append, "small"), partial(dropped.append, "large")
    unfinished.record_size(small, 30)
    unfinished.record_size(large, 70)
    assert (unfinished.total, dropped) == (100, [])
    unfinished.record_size(small, 31)
    assert (unfinished.total, dropped) == (31, ["large"])


def test_what_is_complete_counts_no_longer() -> None:
    unfinished, dropped = Unfinished(100), list[str]()
    first, second = partial(dropped.append, "first"), partial(dropped.append, "second")
    unfinished.record_size(first, 80)
    unfinished.record_size(first, 0)
    unfinished.record_size(second, 100)
    assert (unfinished.total, dropped) == (100, [])
