"""The history: counts are stored in steps, which survive a restart and a failing store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.hand_clock import HandClock
from wireside.errors import Forbidden, ProviderTimeout, StoreError, UnknownModel
from wireside.identity import LOCAL, Caller
from wireside.messages import End, ModelRequest, Usage
from wireside.records import FigureStep
from wireside.store.store import SqlStore
from wireside.telemetry import Telemetry
from wireside.telemetry.board import Board
from wireside.telemetry.history import DAYS, HOUR_S, MINUTE_S, History
from wireside.telemetry.state import State

START = 1_800_000_000.0
"""A whole hour."""


class Times:
    """A wall clock, a monotonic clock and a processor clock, set by the test."""

    def __init__(self) -> None:
        self.wall, self.steady, self.cpu = HandClock(START), HandClock(), HandClock()

    def pass_(self, seconds: float) -> None:
        self.wall.now += seconds
        self.steady.now += seconds
        self.cpu.now += seconds / 100


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def telemetry(times: Times) -> Telemetry:
    return Telemetry(clock=times.steady)


def history(telemetry: Telemetry, store: Any, times: Times) -> History:
    return History(
        lambda: State(telemetry=telemetry, open_streams=2, memory_mb=100.0),
        store,
        wall_clock=times.wall,
        clock=times.steady,
        cpu_clock=times.cpu,
    )


def ask(telemetry: Telemetry, times: Times, model: str = "m", error: bool = False) -> None:
    telemetry.record_question("ask")
    answer = telemetry.record_answer("stream-7", model, ModelRequest(model=model, messages=()))
    times.pass_(0.2)
    answer.first_delta_received()
    times.pass_(1.0)
    end = End(None, ProviderTimeout()) if error else End("stop", usage=Usage(10, 51))
    answer.answer_ended(end, 200, lambda: "text")


def run_for(one: History, times: Times, seconds: float) -> None:
    for _ in range(round(seconds / 2)):
        times.pass_(2)
        one.take_sample()


async def test_what_happened_is_in_the_last_hour(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    one = history(telemetry, store.figures, times)
    for _ in range(3):
        ask(telemetry, times)
    ask(telemetry, times, error=True)
    run_for(one, times, 10)
    shown = await Board(one).read_period(LOCAL, times.wall.now - HOUR_S, times.wall.now)
    assert shown["sums"]["messages"] == 4
    assert shown["sums"]["answers"] == 4
    assert shown["sums"]["tokens"] == 153
    assert shown["sums"]["error_rate"] == 25.0
    assert 0.1 <= shown["sums"]["first_p50"] <= 0.2
    assert shown["models"] == [("m", 4)]
    assert shown["errors"] == [["provider_timeout", 1, "stream-7"]]
    assert shown["series"]["streams"] == [2]
    assert shown["series"]["memory"] == [100.0]
    assert shown["series"]["cpu"] == [pytest.approx(1.0, abs=0.1)]


async def test_it_goes_on_after_a_restart_in_the_same_minute(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    one = history(telemetry, store.figures, times)
    ask(telemetry, times)
    run_for(one, times, 20)
    await one.aclose()
    again = Telemetry(clock=times.steady)
    two = history(again, store.figures, times)
    await two.load_last_hour()
    ask(again, times)
    run_for(two, times, 20)
    await two.aclose()
    kept = await store.figures.read_steps(MINUTE_S, int(START), int(START) + MINUTE_S)
    assert len(kept) == 1
    assert sum(step.counts["messages"] for step in two.last_hour()) == 2
    three = history(Telemetry(), store.figures, times)
    await three.load_last_hour()
    assert sum(step.counts["messages"] for step in three.last_hour()) == 2


async def test_a_day_is_shown_in_minutes_and_a_month_in_hours(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    one = history(telemetry, store.figures, times)
    for _ in range(6):
        ask(telemetry, times)
        run_for(one, times, 30 * 60)
        await one.store_unsaved()
    await one.aclose()
    of_minutes = await store.figures.read_steps(MINUTE_S, 0, int(times.wall.now))
    of_hours = await store.figures.read_steps(HOUR_S, 0, int(times.wall.now))
    assert 178 <= len(of_minutes) <= 182
    assert 3 <= len(of_hours) <= 4
    for days in (0.5, 20):
        steps = await one.steps_between(times.wall.now - days * 86_400, times.wall.now)
        assert sum(step.counts["messages"] for step in steps) == 6


async def test_what_the_store_does_not_have_yet_is_shown(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    flaky = Flaky(store.figures)
    one = history(telemetry, flaky, times)
    for _ in range(3):
        ask(telemetry, times)
        run_for(one, times, 60)
        await one.store_unsaved()
        flaky.is_broken = True
    flaky.is_broken = False
    ask(telemetry, times)
    run_for(one, times, 10)  # the current minute
    for days in (0.5, 20):
        steps = await one.steps_between(times.wall.now - days * 86_400, times.wall.now)
        assert sum(step.counts["messages"] for step in steps) == 4
        assert steps[-1].end <= times.wall.now + 10


async def test_what_failed_counts_once_whoever_was_told(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    one = history(telemetry, store.figures, times)
    ask(telemetry, times, error=True)
    for _ in range(2):
        telemetry.count_error("provider_timeout", is_of_answer=True)  # two sockets read that answer
    telemetry.count_error("unknown_model")  # one a refused request, the other an answer in a page
    telemetry.count_answer("m", End(None, UnknownModel()), 0, 0.0)
    run_for(one, times, 10)
    shown = await Board(one).read_period(LOCAL, times.wall.now - HOUR_S, times.wall.now)
    assert [row[:2] for row in shown["errors"]] == [["unknown_model", 2], ["provider_timeout", 1]]


async def test_what_a_store_does_not_take_is_kept_later(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    flaky = Flaky(store.figures)
    one = history(telemetry, flaky, times)
    flaky.is_broken = True
    await one.load_last_hour()  # logs the failure, and begins empty
    ask(telemetry, times)
    run_for(one, times, 180)
    await one.store_unsaved()
    assert await store.figures.read_steps(MINUTE_S, 0, int(times.wall.now)) == []
    flaky.is_broken = False
    await one.store_unsaved()
    kept = await store.figures.read_steps(MINUTE_S, 0, int(times.wall.now))
    assert len(kept) >= 2


async def test_steps_are_forgotten_after_thirty_days(store: SqlStore) -> None:
    now = int(START)
    await store.figures.store_steps([FigureStep(now - DAYS * 86_400 - 60, 60, "{}")])
    await store.figures.store_steps([FigureStep(now - DAYS * 86_400 + 60, 60, "{}")])
    await store.figures.remove_steps(now - DAYS * 86_400)
    assert [step.at for step in await store.figures.read_steps(60, 0, now)] == [
        now - DAYS * 86_400 + 60
    ]


async def test_a_clock_that_jumps_back_takes_nothing_away(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    one = history(telemetry, store.figures, times)
    ask(telemetry, times)
    run_for(one, times, 60)
    times.wall.now -= 60
    ask(telemetry, times)
    run_for(one, times, 60)
    await one.aclose()
    kept = history(telemetry, store.figures, times)
    await kept.load_last_hour()
    times.wall.now += 120
    assert sum(step.counts["messages"] for step in kept.last_hour()) == 2


async def test_only_administrators_are_shown_anything(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    board = Board(history(telemetry, store.figures, times))
    for caller in (
        Caller(user_id="u", name="Uma", role="user"),
        Caller(user_id="v", name="Vic", role="viewer"),
        Caller(user_id="k", name="Kim", role="admin", scopes=frozenset({"chat", "read"})),
    ):
        with pytest.raises(Forbidden):
            await board.read_period(caller, START - 60, START)
        with pytest.raises(Forbidden):
            board.add_listener(caller, lambda _: None)


async def test_who_watches_is_told_until_they_leave(
    telemetry: Telemetry, store: SqlStore, times: Times
) -> None:
    one = history(telemetry, store.figures, times)
    board = Board(one)
    told: list[Any] = []
    leave = board.add_listener(LOCAL, told.append)
    ask(telemetry, times)
    run_for(one, times, 10)
    assert [("series" in tick) for tick in told] == [False] * 3 + [True] + [False]
    assert told[3]["hour"]["sums"]["messages"] == 1
    leave()
    run_for(one, times, 10)
    assert len(told) == 5


class Flaky:
    """A store that the test can break."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_broken = False

    def _check(self) -> None:
        if self.is_broken:
            raise StoreError

    async def store_steps(self, steps: Sequence[FigureStep]) -> None:
        self._check()
        await self._store.store_steps(steps)

    async def read_others(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        return ()

    async def read_steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        self._check()
        found: Sequence[FigureStep] = await self._store.read_steps(seconds, since, until)
        return found

    async def remove_steps(self, before: int, *, seconds: int | None = None) -> None:
        self._check()
        await self._store.remove_steps(before, seconds=seconds)
