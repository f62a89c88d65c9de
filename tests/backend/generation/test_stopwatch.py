"""How long an answer takes."""

from __future__ import annotations

import pytest

from tests.hand_clock import HandClock
from wireside.generation.stopwatch import Stopwatch
from wireside.messages import Entry, ReasoningDelta, TextDelta, Timing, ToolDelta

R, T = ReasoningDelta("r"), TextDelta("t")
TOOL = ToolDelta("c", "f", "running")


@pytest.mark.parametrize(
    ("entries", "reasoning_s"),
    [
        ([], None),
        ([T], None),
        ([T, T, T], None),
        ([R], 1.0),  # up to the end
        ([R, R, T], 2.0),
        ([R, R, TOOL, R, T, T], 3.0),
    ],
)
def test_reasoning_lasts_until_something_else_comes(
    clock: HandClock, entries: list[Entry], reasoning_s: float | None
) -> None:
    stopwatch = Stopwatch(clock)
    for entry in entries:
        clock.now += 1
        stopwatch.note(entry)
    clock.now += 1
    assert stopwatch.read() == Timing(
        first_s=1.0 if entries else None, reasoning_s=reasoning_s, total_s=len(entries) + 1
    )
