"""The window that counts amounts."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from wireside.limits.windows import CountingWindow

STEPS = st.lists(st.tuples(st.floats(0, 50), st.integers(1, 40)), max_size=60)


def test_what_was_counted_is_left_no_more() -> None:
    window = CountingWindow(100, 60)
    window.add_amount(0.0, 70)
    assert window.remaining(0.0) == 30
    window.add_amount(10.0, 50)  # over the limit: an answer is counted when it is complete
    assert window.remaining(10.0) == 0
    assert window.remaining(61.0) == 50
    assert window.remaining(71.0) == 100
    assert window.is_idle(71.0)


def test_it_says_when_there_is_something_left_again() -> None:
    window = CountingWindow(100, 60)
    assert window.reset_s(0.0) == 0.0
    window.add_amount(0.0, 60)
    window.add_amount(20.0, 60)
    wait = window.reset_s(30.0)
    assert 0 < wait <= 31
    assert window.remaining(30.0 + wait - 0.5) == 0
    assert window.remaining(30.0 + wait) == 40


@given(steps=STEPS)
def test_it_never_forgets_too_early_nor_keeps_much_too_long(
    steps: list[tuple[float, int]],
) -> None:
    window, now = CountingWindow(1000, 60), 1000.0
    counted: list[tuple[float, int]] = []
    for pause, count in steps:
        now += pause
        window.add_amount(now, count)
        counted.append((now, count))
        surely = sum(c for at, c in counted if at > now - 59)
        at_most = sum(c for at, c in counted if at > now - 62)
        assert max(0, 1000 - at_most) <= window.remaining(now) <= max(0, 1000 - surely)
        later, wait = deepcopy(window), window.reset_s(now)
        assert later.remaining(now + wait) > window.remaining(now) or not window.reset_s(now)
