"""Several servers on one database: each reports, the last hour is the sum of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.backend.replicas.test_membership import TIMES, MemoryReplicas, beats
from tests.hand_clock import HandClock
from wireside.errors import StoreError
from wireside.identity import LOCAL
from wireside.records import FigureStep
from wireside.replicas.membership import Membership
from wireside.telemetry import Telemetry
from wireside.telemetry.board import Board
from wireside.telemetry.fleet import Reporter, ServerReport, ServerState, list_servers
from wireside.telemetry.history import FINE_S, HOUR_S, MINUTE_S, History
from wireside.telemetry.prometheus import METRICS
from wireside.telemetry.state import ReplicaState, State

START = 1_800_000_000.0
"""A whole hour."""


class Steps:
    """The steps of all servers, as ``SqlFigures`` stores them, for the server ``name``."""

    def __init__(self, kept: dict[tuple[str, int, int], FigureStep], name: str) -> None:
        self.kept, self.name, self.is_broken = kept, name, False

    async def store_steps(self, steps: Sequence[FigureStep]) -> None:
        for one in steps:
            step = FigureStep(one.at, one.seconds, one.figures, self.name)
            self.kept[self.name, one.seconds, one.at] = step

    async def read_steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        return self._select(seconds, since, until, lambda name: name == self.name)

    async def read_others(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        if self.is_broken:
            raise StoreError
        return self._select(seconds, since, until, lambda name: name != self.name)

    async def remove_steps(self, before: int, *, seconds: int | None = None) -> None:
        for key in [key for key in self.kept if key[2] < before and seconds in (None, key[1])]:
            del self.kept[key]

    def _select(
        self, seconds: int, since: int, until: int, is_wanted: Callable[[str], bool]
    ) -> list[FigureStep]:
        found = [
            step
            for (name, length, at), step in self.kept.items()
            if length == seconds and since <= at < until and is_wanted(name)
        ]
        return sorted(found, key=lambda step: step.at)


class Server:
    """A server that samples when the test says so; ``offset_s`` is that of its clock."""

    def __init__(self, kept: dict[tuple[str, int, int], FigureStep], name: str) -> None:
        self.wall, self.steady, self.cpu = HandClock(START + 3), HandClock(), HandClock()
        self.telemetry = Telemetry(clock=self.steady)
        self.steps = Steps(kept, name)
        self.open = 1
        self.history = self.new_history()

    def new_history(self) -> History:
        return History(
            lambda: State(telemetry=self.telemetry, open_streams=self.open, memory_mb=100.0),
            self.steps,
            is_shared=True,
            wall_clock=self.wall,
            clock=self.steady,
            cpu_clock=self.cpu,
        )


@pytest.fixture
def servers() -> list[Server]:
    kept: dict[tuple[str, int, int], FigureStep] = {}
    return [Server(kept, name) for name in ("one", "two", "three")]


async def run_for(seconds: float, *servers: Server, tick_s: float = 2.05) -> None:
    """Let time pass at these servers; ticks are as irregular as they are under load."""
    for _ in range(round(seconds / tick_s)):
        for one in servers:
            one.wall.now += tick_s
            one.steady.now += tick_s
            one.cpu.now += tick_s / 100
            one.history.take_sample()
            await one.history.store_unsaved()


async def test_the_last_hour_is_the_sum_of_all_servers(servers: list[Server]) -> None:
    one, two, _ = servers
    two.wall.now += 2.5  # clocks differ a little
    for count, server in enumerate(servers, 1):
        server.open = 10 * count
        for _ in range(count):
            server.telemetry.record_question("ask")
    await run_for(600, *servers)
    shown = await Board(one.history).read_period(LOCAL, one.wall.now - HOUR_S, one.wall.now)
    assert shown["sums"]["messages"] == 6
    # the first and the last interval are cut
    assert set(shown["series"]["streams"][1:-1]) == {60}
    assert set(shown["series"]["memory"][1:-1]) == {300}
    assert all(2 < cpu < 4 for cpu in shown["series"]["cpu"][1:-1])
    assert sorted(shown["series"]["t"]) == shown["series"]["t"]


async def test_a_page_that_stays_open_has_the_same_series_as_one_that_loads(
    servers: list[Server],
) -> None:
    one, two, _ = servers
    board = Board(one.history)
    await run_for(60, one, two)
    series = (await board.read_period(LOCAL, one.wall.now - HOUR_S, one.wall.now))["series"]
    told: list[Any] = []
    board.add_listener(LOCAL, told.append)
    two.telemetry.record_question("ask")
    two.open = 7
    for _ in range(60):
        await run_for(2.05, two, one)
        await one.history._read_others()
    for tick in told:
        for name, values in tick.get("series", {}).items():
            series[name] += values
    loaded = await board.read_period(LOCAL, one.wall.now - HOUR_S, one.wall.now)
    assert loaded["series"] == series
    assert told[-1]["now"]["streams"] == 8
    assert [tick for tick in told if "hour" in tick][-1]["hour"]["sums"]["messages"] == 1


async def test_a_server_that_has_ended_is_in_the_last_hour_but_not_in_the_present(
    servers: list[Server],
) -> None:
    one, two, _ = servers
    two.telemetry.record_question("ask")
    two.open = 5
    await run_for(60, one, two)
    told: list[Any] = []
    board = Board(one.history)
    board.add_listener(LOCAL, told.append)
    await one.history._read_others()
    await run_for(60, one)
    assert (told[0]["now"]["streams"], told[-1]["now"]["streams"]) == (6, 1)
    shown = await board.read_period(LOCAL, one.wall.now - HOUR_S, one.wall.now)
    assert shown["sums"]["messages"] == 1
    assert shown["series"]["streams"][1] == 6
    assert shown["series"]["streams"][-1] == 1


async def test_the_last_hour_of_all_is_there_after_a_restart(servers: list[Server]) -> None:
    one, two, _ = servers
    for server in (one, two):
        server.telemetry.record_question("ask")
    await run_for(120, one, two)
    one.telemetry = Telemetry(clock=one.steady)
    one.history = one.new_history()
    await one.history.load_last_hour()
    shown = await Board(one.history).read_period(LOCAL, one.wall.now - HOUR_S, one.wall.now)
    assert shown["sums"]["messages"] == 2
    assert shown["series"]["streams"][2] == 2


async def test_a_store_that_can_not_be_read_leaves_the_own_figures_live(
    servers: list[Server],
) -> None:
    one, two, _ = servers
    told: list[Any] = []
    Board(one.history).add_listener(LOCAL, told.append)
    one.steps.is_broken = True
    await run_for(60, one, two)
    assert told[-1]["now"]["streams"] == 1


async def test_longer_periods_add_up_the_gauges_of_servers(servers: list[Server]) -> None:
    one, two, _ = servers
    one.open, two.open = 4, 6
    await run_for(HOUR_S + 300, one, two)
    shown = await Board(one.history).read_period(LOCAL, one.wall.now - 3 * HOUR_S, one.wall.now)
    assert set(shown["series"]["streams"][1:-2]) == {10}


async def test_steps_of_ten_seconds_are_removed_after_an_hour(servers: list[Server]) -> None:
    one = servers[0]
    await run_for(2 * HOUR_S, one)
    await one.history._remove_old_steps()
    fine = [at for _, seconds, at in one.steps.kept if seconds == FINE_S]
    assert len(fine) == pytest.approx(HOUR_S / FINE_S, abs=2)
    assert any(seconds == MINUTE_S and at < min(fine) for _, seconds, at in one.steps.kept)


# ---- reports -------------------------------------------------------------------------------------


def test_a_report_of_another_version_is_read_as_far_as_it_is_known() -> None:
    report = ServerReport(streams=3, memory_mb=90.5, is_draining=True)
    assert ServerReport.from_json(report.to_json()) == report
    assert ServerReport.from_json(None) is None
    assert ServerReport.from_json('{"streams":2,"of a newer version":[1]}') == ServerReport(
        streams=2
    )


def test_the_cpu_is_that_of_the_last_beats() -> None:
    clock, cpu = HandClock(), HandClock()
    reporter = Reporter(ServerReport, clock=clock, cpu_clock=cpu)
    assert json.loads(reporter.make_report())["cpu_percent"] is None
    for busy in (1.0, 0.25):
        for _ in range(10):
            clock.now += 1
            cpu.now += busy
            last = json.loads(reporter.make_report())["cpu_percent"]
        assert last == 100 * busy


async def test_members_see_the_reports_of_each_other_and_how_long_they_are_silent() -> None:
    clock, wall = HandClock(), HandClock(1000.0)
    rows = MemoryReplicas()
    one, two = (Membership(rows, clock, name=n, times=TIMES, wall_clock=wall) for n in "ab")
    one.make_report = lambda: ServerReport(streams=2, raw=1).to_json()
    for member in (one, two):
        await member.join()
    await beats(clock, 3, one, two)
    await beats(clock, 2, one)
    mine, other = list_servers(one)
    assert mine.is_own and mine.report == ServerReport(streams=2, raw=1)
    assert not other.is_own and other.report is None
    assert (mine.silent_s, other.silent_s) == (0, 1)
    assert list_servers(None) == []
    assert one.clock_ahead_s == pytest.approx(1000.0 - 1)  # the rows begin at second 1


def state_of(name: str, servers: list[ServerState]) -> State:
    telemetry = Telemetry()
    telemetry.connections = 4
    replica = ReplicaState(id="i", name=name, is_leader=True, servers=servers, fenced_count=0)
    return State(telemetry=telemetry, open_pages=2, open_streams=1, replica=replica)


def samples(name: str, state: State) -> Any:
    return next(dict(one.read(state)) for one in METRICS if one.name == name)


def test_metrics_say_which_server_and_the_sum_of_all() -> None:
    servers = [
        ServerState(
            id=name,
            name=name,
            version="1",
            uptime_s=9,
            silent_s=0,
            is_own=name == "a",
            report=report,
        )
        for name, report in (
            ("a", ServerReport(streams=1, raw=4, pages=2)),
            ("b", ServerReport(streams=5, raw=0, pages=7)),
            ("c", None),
        )
    ]
    state = state_of("a", servers)
    assert [key[:2] for key in samples("wireside_replica_info", state)] == [("a", "i")]
    assert samples("wireside_replicas", state) == {(): 3}
    assert samples("wireside_fleet_open_streams", state) == {(): 6}
    assert samples("wireside_fleet_connections", state) == {("raw",): 4, ("page",): 9}
    assert samples("wireside_open_streams", state) == {(): 1}


def test_a_server_alone_is_its_own_sum() -> None:
    telemetry = Telemetry()
    telemetry.connections = 4
    state = State(telemetry=telemetry, open_pages=2, open_streams=1)
    assert samples("wireside_fleet_open_streams", state) == {(): 1}
    assert samples("wireside_fleet_connections", state) == {("raw",): 4, ("page",): 2}
