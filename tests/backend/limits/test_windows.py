"""The sliding windows: exact to the event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.limits.windows import AddressWindows, SlidingWindow


def test_the_limit_passes_and_one_more_does_not() -> None:
    window = SlidingWindow(100, 60)
    assert all(window.count_if_allowed(now=i * 0.1) for i in range(100))
    assert not window.count_if_allowed(now=10)
    assert window.retry_after(now=10) == pytest.approx(50)
    assert window.count_if_allowed(now=60)  # the first event has just left the window


def test_several_count_together_or_not_at_all() -> None:
    window = SlidingWindow(10, 60)
    assert window.count_if_allowed(0, count=8)
    assert not window.count_if_allowed(1, count=3)
    assert window.count_if_allowed(2, count=2)


def test_more_than_the_limit_never_fits() -> None:
    window = SlidingWindow(10, 60)
    assert not window.count_if_allowed(0, count=11)
    assert window.retry_after(0, count=11) == 60


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 4)), max_size=60))
def test_no_window_ever_holds_more_than_the_limit(steps: list[tuple[float, int]]) -> None:
    window = SlidingWindow(10, 60)
    now = 0.0
    taken: list[float] = []
    for wait, count in steps:
        now += wait
        in_window = sum(t > now - 60 for t in taken)
        allowed = window.count_if_allowed(now, count)
        assert allowed == (in_window + count <= 10)
        if allowed:
            taken += [now] * count
        else:
            later = now + window.retry_after(now, count) + 1e-6
            assert sum(t > later - 60 for t in taken) + count <= 10


def test_one_address_has_one_window_over_all_its_connections() -> None:
    windows = AddressWindows(2)
    assert windows.window_for("10.0.0.1", 0).count_if_allowed(0)
    assert windows.window_for("10.0.0.1", 0).count_if_allowed(0)
    assert not windows.window_for("10.0.0.1", 0).count_if_allowed(0)
    assert windows.window_for("10.0.0.2", 0).count_if_allowed(0)


def test_windows_without_events_are_thrown_away() -> None:
    windows = AddressWindows(2)
    for i in range(5000):
        windows.window_for(f"10.0.{i // 250}.{i % 250}", now=i * 61.0).count_if_allowed(i * 61.0)
    assert len(windows._windows) <= 1024
