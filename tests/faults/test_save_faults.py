"""A store that is slow: no client is shown what a killed server would lose."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.house import House, Told
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.timeout(240)


async def check_kept(house: House, told: list[Told]) -> None:
    """Check that the store has every character that clients were shown, and every end."""
    for one in told:
        if not one.stream:
            continue
        kept = await house.kept(one)
        assert kept.text.startswith(one.text)
        if one.reason:
            assert (kept.text, kept.state) == (one.text, "finished")


async def test_a_slow_store_shows_nothing_that_a_kill_would_lose(
    lab: FakeOpenAI, tmp_path: Path
) -> None:
    # they go on once the store is locked: one ends while it is
    lab.answer_with(*[answer(n, seed=n, rate=50).stalled(2) for n in (100, 20)])
    async with House(tmp_path, lab.url) as house:
        told = [Told("One"), Told("Two")]
        tasks = [asyncio.create_task(house.listen(one)) for one in told]
        await asyncio.gather(*(one.begun.wait() for one in told))
        other = sqlite3.connect(house.data / "wireside.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # for less time than a writer waits for a lock
        for _ in range(30):
            lab.go_on()  # as soon as each has stalled
            await asyncio.sleep(0.1)
        assert (await house.ready())[0] == 200
        house.kill()
        await asyncio.wait(tasks)
        assert not any(one.reason for one in told)
        other.execute("ROLLBACK")
        other.close()
        await asyncio.to_thread(house.start)
        await check_kept(house, told)


@asynccontextmanager
async def without_its_file(house: House, lab: FakeOpenAI) -> AsyncIterator[list[Told]]:
    """Take the database's file away below running answers, then ask one more question.

    Yields the three answers and the one that began without a store; the file is put back after it.
    """
    lab.answer_with(*[answer(600, seed=n, rate=20) for n in range(3)])
    told = [Told(f"Question {n}") for n in range(3)]
    tasks = [asyncio.create_task(house.listen(one)) for one in told]
    await asyncio.gather(*(one.begun.wait() for one in told))
    file, away = house.data / "wireside.db", house.data / "away"
    file.rename(away)
    await house.until(lambda: "saving_is_behind" in house.log, "behind")
    late = await house.ask("Another")
    assert late.end["saved"] is False
    yield [*told, late]
    away.rename(file)
    await asyncio.to_thread(house.stop)
    await asyncio.wait(tasks)


async def test_the_end_of_a_server_logs_what_it_could_not_save(
    lab: FakeOpenAI, tmp_path: Path
) -> None:
    """The numbers are those of the answers and writes that the next process does not have."""
    async with House(tmp_path, lab.url, shutdown_s=1) as house:
        async with without_its_file(house, lab) as told:
            await asyncio.to_thread(house.stop)
        [line] = re.findall(r"not_saved .*", house.log)
        assert "answers=4" in line
        assert "writes=0" not in line
        assert "write_in_progress=False" in line
        await asyncio.to_thread(house.start)
        *running, late = told
        for one in running:
            kept = await house.kept(one)
            assert one.text.startswith(kept.text)
            assert kept.text != one.text
            assert kept.reason == "interrupted"
        assert (await house.get(f"/api/conversations/{late.conversation}"))[0] == 404


async def test_a_store_that_works_again_during_the_shutdown_saves_all(
    lab: FakeOpenAI, tmp_path: Path
) -> None:
    async with House(tmp_path, lab.url, shutdown_s=10) as house:
        async with without_its_file(house, lab) as told:
            house.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(1)
        assert "not_saved" not in house.log
        await asyncio.to_thread(house.start)
        for one in told:
            kept = await house.kept(one)
            assert (kept.text, kept.reason) == (one.text, one.reason)
