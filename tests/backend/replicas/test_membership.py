"""Membership among replicas: which ones are removed, and the behaviour of a removed one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.hand_clock import HandClock
from wireside.errors import Fenced, StoreError
from wireside.records import Replica
from wireside.replicas.membership import Membership, ReplicaTimes

TIMES = ReplicaTimes(beat_s=1.0, ttl_s=5.0)


class MemoryReplicas:
    """The rows of all replicas in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Replica] = {}
        self.fails = False
        self._started = 0.0

    async def add_replica(self, replica_id: str, name: str, version: str) -> Sequence[Replica]:
        self._check_works()
        self._started += 1
        self.rows[replica_id] = Replica(
            id=replica_id, name=name, beat=0, version=version, started_at=self._started
        )
        return self._all()

    async def beat(self, replica_id: str, report: str | None = None) -> Sequence[Replica] | None:
        self._check_works()
        if replica_id not in self.rows:
            return None
        row = self.rows[replica_id]
        self.rows[replica_id] = replace(row, beat=row.beat + 1, report=report)
        return self._all()

    async def remove_replica(self, replica_id: str, *, beat: int | None = None) -> bool:
        self._check_works()
        row = self.rows.get(replica_id)
        if row is None or beat not in (None, row.beat):
            return False
        del self.rows[replica_id]
        return True

    async def remove_named(self, name: str, *, but: str) -> Sequence[str]:
        self._check_works()
        gone = [one.id for one in self.rows.values() if one.name == name and one.id != but]
        for one in gone:
            del self.rows[one]
        return gone

    async def aclose(self) -> None:
        pass

    def _all(self) -> list[Replica]:
        return sorted(self.rows.values(), key=lambda one: one.started_at)

    def _check_works(self) -> None:
        if self.fails:
            raise StoreError


@pytest.fixture
def rows() -> MemoryReplicas:
    return MemoryReplicas()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def member(
    rows: MemoryReplicas, clock: HandClock, name: str, *, replaces_name: bool = False
) -> Membership:
    return Membership(rows, clock, name=name, times=TIMES, replaces_name=replaces_name)


async def beats(clock: HandClock, seconds: float, *members: Membership) -> None:
    """Let so many seconds pass, in which only these members beat."""
    for _ in range(round(seconds / TIMES.beat_s)):
        clock.now += TIMES.beat_s
        for one in members:
            await one._beat_once()


async def test_one_that_does_not_beat_is_removed_after_its_time(
    rows: MemoryReplicas, clock: HandClock
) -> None:
    one, other = member(rows, clock, "one"), member(rows, clock, "other")
    await one.join()
    await other.join()
    removed: list[str] = []
    other.call_after_removal(lambda: removed.append("one"))
    await beats(clock, 20, one, other)
    assert len(rows.rows) == 2
    await beats(clock, 4, other)
    assert one.replica_id in rows.rows
    await beats(clock, 2, other)
    assert list(rows.rows) == [other.replica_id]
    assert removed == ["one"]


async def test_a_removed_one_ends_everything_and_joins_under_a_new_id(
    rows: MemoryReplicas, clock: HandClock
) -> None:
    one, other = member(rows, clock, "one"), member(rows, clock, "other")
    await one.join()
    await other.join()
    first_id = one.replica_id
    ended: list[bool] = []
    one.call_when_fenced(lambda: ended.append(one.is_joined))
    await beats(clock, 7, other)
    await one._beat_once()
    assert ended == [False]  # nothing could be committed while it was ended
    assert one.replica_id not in (first_id, other.replica_id)
    assert set(rows.rows) == {one.replica_id, other.replica_id}
    assert one.fenced_count == 1


async def test_a_refused_commit_fences_at_once_and_once(
    rows: MemoryReplicas, clock: HandClock
) -> None:
    one = member(rows, clock, "one")
    await one.join()
    ended: list[str] = []
    one.call_when_fenced(lambda: ended.append("all"))
    one.fence()
    one.fence()
    assert ended == ["all"]
    with pytest.raises(Fenced):
        _ = one.replica_id
    assert not one.is_leader
    await one._beat_once()
    assert one.is_joined


async def test_one_that_slept_judges_none(rows: MemoryReplicas, clock: HandClock) -> None:
    """Both slept for an hour: neither has seen the other beat, and neither is removed."""
    one, other = member(rows, clock, "one"), member(rows, clock, "other")
    await one.join()
    await other.join()
    await beats(clock, 3, one, other)
    clock.now += 3600
    await one._beat_once()
    await other._beat_once()
    await beats(clock, 10, one, other)
    assert set(rows.rows) == {one.replica_id, other.replica_id}
    assert one.fenced_count == other.fenced_count == 0


async def test_one_that_did_not_reach_the_store_judges_none(
    rows: MemoryReplicas, clock: HandClock
) -> None:
    one, other = member(rows, clock, "one"), member(rows, clock, "other")
    await one.join()
    await other.join()
    await beats(clock, 3, one, other)
    rows.fails = True
    for _ in range(20):
        clock.now += 1
        for each in (one, other):
            with pytest.raises(StoreError):
                await each._beat_once()
    rows.fails = False
    await beats(clock, 4, one)  # the other one is still trying to connect
    assert len(rows.rows) == 2
    assert not other.is_leader
    await beats(clock, 10, one, other)
    assert len(rows.rows) == 2


async def test_a_beat_that_arrives_late_prevents_the_removal(
    rows: MemoryReplicas, clock: HandClock
) -> None:
    one, other = member(rows, clock, "one"), member(rows, clock, "other")
    await one.join()
    await other.join()
    await beats(clock, 4, other)
    remove = rows.remove_replica

    async def after_a_beat(replica_id: str, *, beat: int | None = None) -> bool:
        await rows.beat(replica_id)
        return await remove(replica_id, beat=beat)

    rows.remove_replica = after_a_beat  # type: ignore[method-assign]
    await beats(clock, 2, other)
    assert one.replica_id in rows.rows


async def test_removals_that_fail_delay_no_beat_by_more_than_one(
    rows: MemoryReplicas, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for a lock that a frozen server holds."""
    one = member(rows, clock, "one")
    await one.join()
    dead = [member(rows, clock, name) for name in "abcd"]
    for other in dead:
        await other.join()
    blocked = {other.replica_id: 0 for other in dead[:3]}
    remove = rows.remove_replica
    failures: list[int] = []

    async def remove_unless_blocked(replica_id: str, *, beat: int | None = None) -> bool:
        if replica_id in blocked:
            blocked[replica_id] += 1
            failures[-1] += 1
            raise StoreError
        return await remove(replica_id, beat=beat)

    monkeypatch.setattr(rows, "remove_replica", remove_unless_blocked)
    for _ in range(18):
        failures.append(0)
        await beats(clock, 1, one)
    assert max(failures) == 1
    assert dead[3].replica_id not in rows.rows
    assert min(blocked.values()) > 1  # each is tried again
    blocked.clear()
    await beats(clock, 1, one)
    assert list(rows.rows) == [one.replica_id]


async def test_the_oldest_one_is_the_leader(rows: MemoryReplicas, clock: HandClock) -> None:
    one, other = member(rows, clock, "one"), member(rows, clock, "other")
    await one.join()
    await other.join()
    assert (one.is_leader, other.is_leader) == (True, False)
    await one.leave()
    await beats(clock, 1, other)
    assert (one.is_leader, other.is_leader) == (False, True)
    clock.now += 6  # it may have been removed meanwhile
    assert not other.is_leader


async def test_a_unique_name_removes_what_an_earlier_process_left(
    rows: MemoryReplicas, clock: HandClock
) -> None:
    await member(rows, clock, "other").join()
    removed: list[str] = []
    for _ in range(2):  # the first is killed
        one = member(rows, clock, "one", replaces_name=True)
        one.call_after_removal(lambda: removed.append("earlier"))
        await one.join()
    assert sorted(row.name for row in rows.rows.values()) == ["one", "other"]
    assert removed == ["earlier"]
    twin = member(rows, clock, "other")  # a host name may be that of several servers
    await twin.join()
    assert len(rows.rows) == 3


async def test_two_servers_with_one_name_do_not_remove_each_other_again_and_again(
    rows: MemoryReplicas, clock: HandClock
) -> None:
    one = member(rows, clock, "same", replaces_name=True)
    two = member(rows, clock, "same", replaces_name=True)
    await one.join()
    await two.join()
    await beats(clock, 20, one, two)
    assert (one.fenced_count, two.fenced_count) == (1, 0)
    assert len(rows.rows) == 2


async def test_it_beats_until_it_leaves(rows: MemoryReplicas) -> None:
    quick = ReplicaTimes(beat_s=0.01, ttl_s=60)
    one = Membership(rows, asyncio.get_running_loop().time, name="one", times=quick)
    await one.join()
    task = asyncio.create_task(one.beat_until_cancelled())
    async with asyncio.timeout(20):
        while rows.rows[one.replica_id].beat < 3:
            await asyncio.sleep(0.01)
        rows.rows.clear()
        while not rows.rows:  # it finds out, and joins again
            await asyncio.sleep(0.01)
    await one.leave()
    await asyncio.sleep(0.05)
    assert rows.rows == {}
    task.cancel()
    await asyncio.wait([task])


async def test_faults_do_not_end_its_life(rows: MemoryReplicas) -> None:
    quick = ReplicaTimes(beat_s=0.01, ttl_s=60)
    one = Membership(rows, asyncio.get_running_loop().time, name="one", times=quick)
    called: list[str] = []

    def fail(*_: object) -> None:
        called.append("fails")
        raise RuntimeError

    one.call_when_joined(fail)
    one.call_when_joined(lambda _: called.append("joined"))
    one.call_when_fenced(fail)
    one.call_when_fenced(lambda: called.append("fenced"))
    await one.join()
    one.fence()
    assert called == ["fails", "joined", "fails", "fenced"]
    beat_once, faults = one._beat_once, [RuntimeError()]

    async def beat() -> None:
        if faults:
            raise faults.pop()
        await beat_once()

    one._beat_once = beat  # type: ignore[method-assign]
    task = asyncio.create_task(one.beat_until_cancelled())
    async with asyncio.timeout(20):
        while not one.is_joined:
            assert not task.done()
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


async def test_a_start_waits_for_the_leader_unless_it_is_dead(rows: MemoryReplicas) -> None:
    quick = ReplicaTimes(beat_s=0.05, ttl_s=1.0)
    clock = asyncio.get_running_loop().time
    await rows.add_replica("left by a killed process", "", "")
    members = [Membership(rows, clock, name=name, times=quick) for name in ("one", "other")]
    for one in members:
        await one.join()
    tasks = [asyncio.create_task(one.beat_until_cancelled()) for one in members]
    async with asyncio.timeout(20):
        leads = await asyncio.gather(*(one.wait_for_leader() for one in members))
    assert leads == [True, False]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_an_ended_one_is_removed_at_once_and_no_other(rows: MemoryReplicas) -> None:
    clock = HandClock()
    one, other = (Membership(rows, clock, name=name, times=TIMES) for name in ("one", "other"))
    removals: list[str] = []
    one.call_after_removal(lambda: removals.append("told"))
    await other.join()
    ended_id = other.replica_id
    await one.remove_ended(ended_id)  # not a replica yet: another one does it
    await one.join()
    await one.remove_ended("nothing")
    await one.remove_ended(one.replica_id)  # it runs
    assert (len(rows.rows), removals) == (2, [])
    again = Membership(rows, clock, name="other", times=TIMES)  # a new process of that name
    await again.join()
    await one.remove_ended(ended_id)
    assert ([row.name for row in rows.rows.values()], removals) == (["one", "other"], ["told"])
    assert again.replica_id in rows.rows
    rows.fails = True
    await one.remove_ended(again.replica_id)  # the others find it by its beat
