"""Servers that share a database: one is frozen, killed, or ends, and the other takes over."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.freezes import RUNNING, TTL_S, begin, freeze, kept_by, two_houses
from tests.faults.house import House, Told
from tests.postgresql import PostgresServer
from tests.server_process import TRACE, Refused
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.timeout(240)  # some wait for seconds, longer on a busy machine


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(lambda: tmp_path_factory.mktemp("pg"))
    yield server
    server.stop()


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.address(postgres.template())


def replicas_seen_by(house: House) -> float:
    with urllib.request.urlopen(f"{house.url}/metrics", timeout=60) as response:
        lines = response.read().decode().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith("wireside_replicas ")]
    return float(value)


async def test_a_frozen_server_that_wakes_writes_and_shows_nothing(
    lab: FakeOpenAI, tmp_path: Path, database: str
) -> None:
    async with two_houses(tmp_path, lab, database) as (one, other):
        outcome, told = await freeze(one, other, lab)
        assert (outcome.written_chars, outcome.shown_chars) == (0, 0)
        assert {shown.close_code for shown in told} == {1012}
        assert all(shown.text and not shown.end for shown in told)
        assert {kept.reason for kept in outcome.kept} == {"interrupted"}
        assert await kept_by(one, told) == outcome.kept
        await one.resume(told[0])
        assert (told[0].text, told[0].reason) == (outcome.kept[0].text, "interrupted")
        assert (await one.ask("After")).reason == "stop"
        alone = House(tmp_path / "alone", lab.url, database_url=database, wait_s=0)
        with pytest.raises(Refused, match="WIRESIDE_REPLICAS=true for each server"):
            await asyncio.to_thread(alone.start)
        # one that ends need not be removed
        assert await asyncio.to_thread(one.stop) == 0
        await other.until(lambda: replicas_seen_by(other) == 1, "alone")
        assert other.log.count("replica_removed") == 1
        assert await asyncio.to_thread(other.stop) == 0
        assert TRACE not in one.log + other.log


async def test_a_killed_server_is_replaced(lab: FakeOpenAI, tmp_path: Path, database: str) -> None:
    """Its answers are interrupted, and the question that waited behind one is answered."""
    async with two_houses(tmp_path, lab, database) as (one, other):
        assert await asyncio.to_thread(replicas_seen_by, other) == 2
        told, tasks = await begin(one, lab)
        next_question = Told("Next question")
        tasks.append(asyncio.create_task(one.listen(next_question, told[0].conversation)))

        async def has_queued() -> bool:
            _, page = await one.get(f"/api/conversations/{told[0].conversation}?limit=200")
            return len(page["turns"]) == 2

        await one.until(has_queued, "queued")
        one.kill()
        await asyncio.gather(*tasks)
        await other.until_logged(f"answers={RUNNING}", 1, "taken over")
        for shown, kept in zip(told, await kept_by(other, told), strict=True):
            assert kept.text.startswith(shown.text)
            assert (kept.state, kept.reason) == ("interrupted", "interrupted")

        async def is_answered() -> bool:
            _, page = await other.get(f"/api/conversations/{told[0].conversation}?limit=200")
            return [part["reason"] for part in page["turns"][1]["answer"]] == ["stop"]

        await other.until(is_answered, "answered by the other one")
        await other.until(lambda: replicas_seen_by(other) == 1, "alone")
        # the same name again: the row of its earlier process is removed without waiting
        one.start()
        await one.until_ready()
        status, said = await one.get("/api/health/ready")
        assert (status, said["replica"]) == (200, "one")
        assert await asyncio.to_thread(one.stop) == 0
        assert await asyncio.to_thread(other.stop) == 0
        assert TRACE not in one.log + other.log


async def test_while_postgresql_is_away_answers_stand_still(
    lab: FakeOpenAI, tmp_path: Path, postgres: PostgresServer, database: str
) -> None:
    """Nothing is shown that is not stored, no server is removed, and then everything goes on."""
    async with two_houses(tmp_path, lab, database) as (one, other):
        lab.answer_with(*[answer(150, seed=seed, rate=50) for seed in range(RUNNING)])
        told = [Told(f"Question {number}") for number in range(RUNNING)]
        tasks = [asyncio.create_task(one.listen(shown)) for shown in told]
        await asyncio.gather(*(shown.begun.wait() for shown in told))
        await asyncio.to_thread(postgres.pause)
        await one.until_logged("saving_is_behind", 1, "behind")
        refused = await one.ask("Now?")
        assert (refused.code, refused.end["retryable"]) == ("overloaded", True)
        # after what was stored before and was still on its way
        shown_chars = [len(shown.text) for shown in told]
        await asyncio.sleep(TTL_S + 1)
        assert [len(shown.text) for shown in told] == shown_chars
        await asyncio.to_thread(postgres.resume)
        await asyncio.gather(*tasks)
        assert {shown.text for shown in told} == {lab.text(150, seed) for seed in range(RUNNING)}
        assert {shown.reason for shown in told} == {"stop"}
        for house in (one, other):
            await house.until_ready()
        assert [kept.text for kept in await kept_by(other, told)] == [one.text for one in told]
        assert "replica_removed" not in one.log + other.log
        assert "replica_fenced" not in one.log + other.log
        assert await asyncio.to_thread(one.stop) == 0
        assert await asyncio.to_thread(other.stop) == 0
