"""Many idle and some streaming connections for fifteen seconds.

``make hold`` holds thousands for half an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.faults.many import Plan, Report, Seen, hold


@pytest.mark.timeout(240)
def test_nobody_is_lost_and_memory_stays() -> None:
    # in a small process a few buffers are a large share
    plan = Plan(seconds=12, idle=300, streams=10, tokens=40, window_s=3, memory_may_grow=0.25)
    report = asyncio.run(hold(plan))
    print(f"\n{report}")
    assert report.broken == []
    assert report.growth is not None


@pytest.mark.timeout(240)
def test_connections_are_spread_over_servers_on_one_database() -> None:
    plan = Plan(seconds=4, idle=40, streams=4, tokens=20, window_s=600, replicas=2)
    report = asyncio.run(hold(plan))
    print(f"\n{report}")
    assert report.broken == []
    assert [one.resting for one in report.seen] == [20, 20]
    assert all(one.followed for one in report.seen)


def seen(memory: Sequence[float], *, resting: int = 2, wrong: tuple[str, ...] = ()) -> Report:
    """Return the observations of a run of ``len(memory)`` seconds."""
    plan = Plan(seconds=len(memory), idle=2, streams=0, tokens=0, window_s=5)
    told = Seen(resting, answers=1, wrong=list(wrong), memory=list(enumerate(memory)))
    return Report(plan, [told])


@pytest.mark.parametrize(
    ("report", "broken"),
    [
        (seen([100, 120, 140, 160, 180, *[200] * 9]), []),  # the window fills
        (seen([200] * 6), []),  # too short for a result
        (
            seen([100] * 5 + [200, 203, 206, 209, 212, 215]),
            ["memory grew by 6.0% with the window full"],
        ),
        (seen([200] * 9, resting=1), ["1 of 2 rested to the end"]),
        (seen([200] * 9, wrong=("stream 1: it broke",)), ["stream 1: it broke"]),
    ],
)
def test_what_must_not_be_is_told(report: Report, broken: list[str]) -> None:
    assert report.broken == broken
