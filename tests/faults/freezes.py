"""Freezes a server for longer than its time to live, and wakes it, again and again.

``python -m tests.faults.freezes --rounds 50`` compares, in each round, what the frozen server has
stored and what it has shown to its clients with what was stored when another server took over.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.house import House, Kept, Told
from tests.postgresql import PostgresServer
from wireside.testing import FakeOpenAI, answer

RUNNING = 6
BEAT_S = 0.25
TTL_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """What one freeze has led to.

    ``taken_over_s``: seconds from the freeze until all answers were ended by the other server.
    ``written_chars`` and ``shown_chars``: characters that the woken server has stored and shown
    beyond what was stored at that moment.
    """

    taken_over_s: float
    fenced_s: float
    written_chars: int
    shown_chars: int
    kept: list[Kept]


def house_of(folder: Path, lab: FakeOpenAI, database: str, name: str) -> House:
    """Return a server that shares a database."""
    return House(
        folder / name,
        lab.url,
        database_url=database,
        replicas=True,
        replica_name=name,
        replica_beat_s=BEAT_S,
        replica_ttl_s=TTL_S,
        shutdown_s=2,
    )


@asynccontextmanager
async def two_houses(
    folder: Path, lab: FakeOpenAI, database: str
) -> AsyncIterator[tuple[House, House]]:
    """Start two servers on a database."""
    one, other = (house_of(folder, lab, database, name) for name in ("one", "other"))
    async with one, other:
        for house in (one, other):
            await house.until_ready()
        yield one, other


async def begin(house: House, lab: FakeOpenAI) -> tuple[list[Told], list[asyncio.Task[None]]]:
    """Start answers of half a minute, and return when they have begun."""
    lab.answer_with(*[answer(900, seed=seed, rate=30) for seed in range(RUNNING)])
    told = [Told(f"Question {number}") for number in range(RUNNING)]
    tasks = [asyncio.create_task(house.listen(one)) for one in told]
    await asyncio.gather(*(one.begun.wait() for one in told))
    return told, tasks


async def kept_by(house: House, told: list[Told]) -> list[Kept]:
    """Return the answers as a server has them."""
    return list(await asyncio.gather(*map(house.kept, told)))


async def freeze(
    one: House, other: House, lab: FakeOpenAI, *, after_s: float = 0, longer_s: float = 0
) -> tuple[Freeze, list[Told]]:
    """Freeze ``one`` in the middle of its answers until ``other`` has ended them, and wake it.

    Args:
        one: the server that is frozen.
        other: the server that takes over.
        lab: the model service of both.
        after_s: how long the answers run before.
        longer_s: how long it stays frozen after that.
    """
    told, tasks = await begin(one, lab)
    await asyncio.sleep(after_s)
    taken_over, fenced = (
        house.log.count(what)
        for house, what in ((other, f"answers={RUNNING}"), (one, "replica_fenced"))
    )
    began = time.monotonic()
    one.process.send_signal(signal.SIGSTOP)
    await other.until_logged(f"answers={RUNNING}", taken_over + 1, "taken over")
    taken_over_s = time.monotonic() - began
    kept = await kept_by(other, told)
    await asyncio.sleep(longer_s)
    woken = time.monotonic()
    one.process.send_signal(signal.SIGCONT)
    await one.until_logged("replica_fenced", fenced + 1, "fenced")
    fenced_s = time.monotonic() - woken
    await asyncio.gather(*tasks)  # its connections are closed
    await one.until_ready()  # under a new id
    await asyncio.sleep(1)  # the answers would go on for many seconds
    later = await kept_by(other, told)
    outcome = Freeze(
        taken_over_s=taken_over_s,
        fenced_s=fenced_s,
        written_chars=sum(
            abs(len(now.text) - len(then.text)) for now, then in zip(later, kept, strict=True)
        ),
        shown_chars=sum(
            len(shown.text)
            for shown, then in zip(told, kept, strict=True)
            if not then.text.startswith(shown.text)
        ),
        kept=kept,
    )
    return outcome, told


async def main(rounds: int, seed: int) -> bool:
    """Run rounds in which the servers take turns, and print the outcome of each."""
    dice = random.Random(seed)
    is_right = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = PostgresServer(lambda: Path(tempfile.mkdtemp(dir=folder)))
        try:
            database = server.address(server.template())
            async with FakeOpenAI(count=40) as lab, two_houses(folder, lab, database) as houses:
                for number in range(rounds):
                    one, other = houses if number % 2 else houses[::-1]
                    outcome, _ = await freeze(
                        one, other, lab, after_s=dice.random(), longer_s=dice.uniform(0, TTL_S)
                    )
                    print(
                        f"{number + 1}: taken over after {outcome.taken_over_s:.1f} s, fenced"
                        f" {outcome.fenced_s * 1000:.0f} ms after it woke, characters written"
                        f" {outcome.written_chars}, shown {outcome.shown_chars}",
                        flush=True,
                    )
                    is_right = is_right and not (outcome.written_chars or outcome.shown_chars)
        finally:
            server.stop()
    return is_right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed
    print(f"seed {seed}")
    sys.exit(0 if asyncio.run(main(chosen.rounds, seed)) else 1)
