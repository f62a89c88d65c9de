"""A store that is slow: no client is shown what a killed server would lose."""

from __future__ import annotations

import asyncio
import json
import sqlite3
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
    lab.answer_with(answer(100, seed=1, rate=50), answer(20, seed=2, rate=50))
    async with House(tmp_path, lab.url) as house:
        told = [Told("One"), Told("Two")]
        tasks = [asyncio.create_task(house.listen(one)) for one in told]
        await asyncio.gather(*(one.begun.wait() for one in told))
        other = sqlite3.connect(house.data / "wireside.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # for less time than a writer waits for a lock
        await asyncio.sleep(3)
        assert (await house.ready())[0] == 200
        house.kill()
        await asyncio.wait(tasks)
        assert not any(one.reason for one in told)
        other.execute("ROLLBACK")
        other.close()
        await asyncio.to_thread(house.start)
        await check_kept(house, told)


async def test_a_flood_of_new_conversations_loses_nothing_at_a_kill(
    lab: FakeOpenAI, tmp_path: Path
) -> None:
    """Clients are refused, or get answers that the store has."""
    sockets, each = 150, 2
    lab.answer_with(*[answer(8, seed=n) for n in range(sockets * each)])
    async with House(tmp_path, lab.url, streams=10_000) as house:
        told: list[Told] = []
        codes: list[str] = []

        async def client() -> None:
            async with house.socket() as connection:
                waiting = {str(n): Told(f"Question {n}") for n in range(each)}
                told.extend(waiting.values())
                for number, one in waiting.items():
                    frame = {"type": "chat", "id": number, "message": one.question}
                    await connection.send(json.dumps(frame | {"conversation": "new"}))
                while waiting:
                    frame = json.loads(await connection.recv())
                    if frame.get("id") in waiting and waiting[frame["id"]].take(frame):
                        one = waiting.pop(frame["id"])
                        if one.code:
                            codes.append(one.code)
                            assert one.end["retry_after"] > 0

        await asyncio.gather(*(client() for _ in range(sockets)))
        house.kill()
        await asyncio.to_thread(house.start)
        assert set(codes) <= {"overloaded"}
        assert sum(one.reason == "stop" for one in told) > sockets / 2
        await check_kept(house, told)
