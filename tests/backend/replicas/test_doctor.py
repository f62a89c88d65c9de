"""The doctor reads the replicas of a real database, its clock, and a real Redis."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.backend.replicas.engines import RedisServer
from tests.postgresql import PostgresServer
from wireside.doctor.checks import Check
from wireside.doctor.fleet import check_fleet, check_latency
from wireside.settings.model import Settings
from wireside.store.database import create_database
from wireside.store.replicas import SqlReplicas

pytestmark = pytest.mark.xdist_group("doctor of replicas")  # all use one database

BEAT_S = 0.25


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.create("doctor")


@pytest.fixture
async def rows(database: str) -> AsyncIterator[SqlReplicas]:
    rows = SqlReplicas(database, statement_s=20, lock_s=5)
    yield rows
    for replica in ("id 1", "id 2"):
        await rows.remove_replica(replica)
    await rows.aclose()


@asynccontextmanager
async def beating(rows: SqlReplicas, *replicas: str) -> AsyncIterator[None]:
    """Count up the beats of replicas, more often than servers do."""

    async def beat() -> None:
        while True:
            for replica in replicas:
                await rows.beat(replica)
            await asyncio.sleep(BEAT_S / 10)

    task = asyncio.create_task(beat())
    yield
    task.cancel()
    await asyncio.wait([task])


async def checks_of(database: str, redis: str | None = None) -> dict[str, Check]:
    """Return all checks of a fleet by their names; no server answers for its pages."""
    settings = Settings.model_validate(
        {
            "replicas": True,
            "database_url": database,
            "redis_url": redis,
            "replica_beat_s": BEAT_S,
        }
    )
    return {check.name: check for check in await check_fleet(settings, "http://127.0.0.1:1")}


async def test_two_servers_that_run_are_in_order(
    database: str, rows: SqlReplicas, redis: RedisServer
) -> None:
    await rows.add_replica("id 1", "chat-1", "1.0")
    await rows.add_replica("id 2", "chat-2", "1.0")
    async with beating(rows, "id 1", "id 2"):
        checks = await checks_of(database, redis.url)
    assert list(checks) == [
        "Shared files",
        "Shared database",
        "Database connections",
        "Replicas",
        "Redis",
        "Stickiness",
    ]
    assert (checks["Replicas"].state, checks["Replicas"].finding) == (
        "ok",
        "2: chat-1 1.0, chat-2 1.0",
    )
    assert checks["Redis"].state == "ok"
    assert "a round trip takes" in checks["Redis"].finding
    assert "a round trip takes" in checks["Shared database"].finding
    assert re.search(r"its clock is [+-]\d+\.\d s off", checks["Shared database"].finding)


async def test_a_frozen_server_and_a_second_version_are_found(
    database: str, rows: SqlReplicas
) -> None:
    await rows.add_replica("id 1", "chat-1", "1.0")
    await rows.add_replica("id 2", "chat-2", "1.1")
    async with beating(rows, "id 1"):
        check = (await checks_of(database))["Replicas"]
    assert check.state == "failed"
    assert check.finding == "2: chat-1 1.0, chat-2 1.1; no beat: chat-2"
    async with beating(rows, "id 1", "id 2"):
        check = (await checks_of(database))["Replicas"]
    assert check.state == "warning"
    assert "finish the deploy" in (check.remedy or "")


async def test_a_database_without_servers_is_skipped(
    database: str, postgres: PostgresServer
) -> None:
    assert (await checks_of(database))["Replicas"].state == "skipped"
    empty = postgres.create("empty", is_migrated=False)
    check = (await checks_of(empty))["Replicas"]
    assert (check.state, check.finding) == ("skipped", "no server runs on this database")


@pytest.mark.slow
async def test_what_does_not_answer_has_failed(database: str, unused_tcp_port: int) -> None:
    away = f"127.0.0.1:{unused_tcp_port}"
    checks = await checks_of(f"postgresql://wireside@{away}/wireside", f"redis://{away}")
    assert list(checks) == ["Shared files", "Shared database", "Redis", "Stickiness"]
    assert checks["Shared database"].state == checks["Redis"].state == "failed"
    assert "can't be reached" in checks["Shared database"].finding
    assert "ConnectionError" in checks["Redis"].finding


def late_clock(step_s: float) -> Iterator[float]:
    """Yield times between which ``step_s`` seconds pass, from now on."""
    now = time.time()
    while True:
        yield now
        now += step_s


@pytest.mark.parametrize(
    ("ahead_s", "trip_s", "state", "remedy"),
    [
        (0, 0, "ok", None),
        (-3600, 0, "warning", "NTP"),
        (3600, 0, "warning", "NTP"),
        (0, 0.03, "warning", "one network"),
    ],
)
async def test_the_clock_and_the_way_to_the_database_are_measured(
    database: str, *, ahead_s: float, trip_s: float, state: str, remedy: str | None
) -> None:
    opened = create_database(database, is_shared=True)
    await opened.open(is_server=False)
    times = late_clock(trip_s)
    try:
        check = await check_latency(opened, lambda: next(times) + ahead_s)
    finally:
        await opened.aclose()
    assert check.state == state
    assert (remedy or "") in (check.remedy or "")
    assert f"{trip_s * 1000:.1f} ms" in check.finding
