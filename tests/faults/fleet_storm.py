"""Cuts, kills and freezes of three servers on one PostgreSQL database, behind HAProxy.

The clients of ``storm.py`` connect through HAProxy, which sends each connection to any server. Some
are cut continuously; others stay until their server dies, so that they see what a frozen one sends
when it wakes. They resume where they were, or further back. Meanwhile servers with running answers
are killed and started again, or frozen for longer than their time to live and woken.

Between these strikes PostgreSQL is restarted, and the bus, a Redis, is lost and comes back empty;
it is away during kills and freezes.

Everything that a client received must be what the lab sent, without gap or overlap, and must be in
the store afterwards. Each question must be stored once. The answers of a dead server must end soon,
and must not change when it wakes.

``python -m tests.faults.fleet_storm --strikes 50`` prints the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from tests.backend.replicas.engines import RedisServer
from tests.faults.proxy import BadWire
from tests.faults.storm import Answer, Storm, Tally, free_port, print_tally_of, tell, victim
from tests.postgresql import PostgresServer
from tests.proxies.kinds import HAProxy, documented_for_several, make_certificate
from wireside.errors import StoreError
from wireside.store.database import NOT_READ
from wireside.testing import FakeOpenAI

NAMES = ("chat-1", "chat-2", "chat-3")
ASKERS = 6
FOLLOWERS = 3
RATE = 20

BEAT_S = 0.5
TTL_S = 3.0
END_S = 15.0
"""Within this time after the death of a server its answers must have ended."""

PATIENCE_S = 120.0
"""How long a busy machine may take for what takes some seconds."""

CUT_S, STEADY_S = 5.0, 30.0
"""Longest life of a connection. The second is longer than any freeze."""

AWAY_S = {"database": (0.0, 5.0), "bus": (1.0, 10.0)}
"""How long they are away, in seconds: at least, and at most."""

BACK_SHARE = 0.3
CANCELLED_SHARE = 0.1
CUT_SHARE = 0.5

LIVE = "SELECT stream FROM segments WHERE is_live AND replica = $1"
STILL_LIVE = "SELECT count(*) FROM segments WHERE is_live AND stream = ANY($1)"
LENGTHS = (
    'SELECT stream, max("offset") AS length FROM pieces WHERE stream = ANY($1) GROUP BY stream'
)
OWNERS = """SELECT r.name, r.id FROM replicas r
    WHERE EXISTS (SELECT FROM segments s WHERE s.is_live AND s.replica = r.id)"""
JOINED = "SELECT count(*) FROM replicas WHERE name = $1 AND id <> $2"
TWICE = "SELECT question FROM turns GROUP BY question HAVING count(*) > 1"


class PlainHAProxy(HAProxy):
    """HAProxy with the documented configuration for several servers, without TLS."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        super().__init__(folder, Port(0), make_certificate(folder))
        self._ports = ports

    def at_home(self, text: str) -> str:
        """Listen on one port, in front of the servers."""
        part = documented_for_several(self.language)
        head = re.sub(r"    server .*\n", "", part)
        servers = "".join(
            f"    server {name} 127.0.0.1:{port} cookie {name}\n"
            for name, port in self._ports.items()
        )
        text = text.partition("\nbackend wireside\n")[0]
        text = re.sub(r"    (bind :80|http-request redirect .*)\n", "", text)
        text = re.sub(r"bind :443 .*", f"bind 127.0.0.1:{self.port}", text)
        return f"{text}\n{head}{servers}"

    def is_up(self) -> bool:
        """Whether it accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Port:
    """The port of a server."""

    port: int


@dataclass
class FleetTally(Tally):
    """Counts of observations. All from ``stored_twice`` on must be 0."""

    freezes: int = 0
    database_restarts: int = 0
    bus_losses: int = 0
    refused: int = 0
    longest_end_s: float = 0.0
    stored_twice: int = 0
    ended_late: int = 0
    written_late: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return super().is_clean and not (self.stored_twice or self.ended_late or self.written_late)


@dataclass
class Replica:
    """One server, and the process that starts it again."""

    name: str
    port: int
    process: asyncio.subprocess.Process

    async def until_ready(self) -> None:
        """Wait until it has joined the others."""
        await until(lambda: asyncio.to_thread(self._is_ready), f"{self.name} is not ready")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/api/health/ready", timeout=5
            ) as response:
                return bool(response.status == 200)
        except OSError:
            return False


async def until(is_so: Callable[[], Awaitable[Any]], otherwise: str) -> None:
    """Wait until ``is_so`` returns a true value.

    Raises:
        TimeoutError: after ``PATIENCE_S``, with the text ``otherwise``.
    """
    end = time.monotonic() + PATIENCE_S
    while not await is_so():
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        await asyncio.sleep(0.1)


class FleetStorm(Storm):
    """Clients, kills and freezes until there were enough.

    Args:
        dice: what happens when.
        strikes: kills and freezes, in turn; every third time of two servers at once.
        cuts: connections that are cut at least.
        answers: answers that are read to their end at least.
        losses: restarts of PostgreSQL, and as many losses of the bus, spread over the strikes.
        away_s: how long each is away, in seconds: at least, and at most.
    """

    tally: FleetTally

    def __init__(
        self,
        dice: random.Random,
        *,
        strikes: int,
        cuts: int,
        answers: int,
        losses: int,
        away_s: Mapping[str, tuple[float, float]] = AWAY_S,
    ) -> None:
        super().__init__(dice, cuts=cuts, kills=strikes, answers=answers)
        self.tally = FleetTally()
        self._strikes = 0
        self._losses = losses
        self._away_s = away_s
        self._left_at: dict[str, int] = {}
        """Length of each answer of a dead server when it had ended."""
        self._port = 0
        self._database: asyncpg.Pool[Any]
        self._postgres: PostgresServer
        self._redis: RedisServer

    @property
    def _is_over(self) -> bool:
        assert self._wire is not None
        self.tally.cuts = self._wire.cuts
        return (
            self._strikes >= self._goal_kills
            and self.tally.cuts >= self._goal_cuts
            and self.tally.answers >= self._goal_answers
        )

    async def run(self) -> FleetTally:
        """Start everything, run the storm, and compare."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with shared_engines(folder) as engines, FakeOpenAI(rate=RATE) as lab:
                self._postgres, database, self._redis = engines
                await self._storm(folder, database, lab)
        return self.tally

    async def _storm(self, folder: Path, database: str, lab: FakeOpenAI) -> None:
        async with AsyncExitStack() as stack:
            pool = asyncpg.create_pool(database, min_size=0, max_size=4)
            self._database = await stack.enter_async_context(pool)
            replicas = [
                await stack.enter_async_context(
                    serving(folder, name, database, lab.url, WIRESIDE_REDIS_URL=self._redis.url)
                )
                for name in NAMES
            ]
            proxy = PlainHAProxy(folder, {one.name: one.port for one in replicas})
            stack.callback(proxy.stop)
            await asyncio.to_thread(proxy.start, lambda text: text)
            self._port = proxy.port
            self._http = f"http://127.0.0.1:{proxy.port}"
            self._wire = BadWire(proxy.port, self._dice, mean_s=0.6)
            async with self._wire, asyncio.TaskGroup() as group:
                group.create_task(self._strike_on(replicas))
                for _ in range(ASKERS):
                    group.create_task(self._ask_on())
                for _ in range(FOLLOWERS):
                    group.create_task(self._follow_on())
            await self._compare(lab)

    # ---- strikes -------------------------------------------------------------------------------

    async def _strike_on(self, replicas: list[Replica]) -> None:
        losing: asyncio.Task[None] | None = None
        while self._strikes < self._goal_kills:
            await asyncio.sleep(self._dice.uniform(0.2, 2.0))
            if self._is_due(self.tally.bus_losses) and (losing is None or losing.done()):
                self.tally.bus_losses += 1
                losing = asyncio.create_task(self._lose_bus())
            if self._is_due(self.tally.database_restarts):
                self.tally.database_restarts += 1
                await self._restart_database()
            owners = {row["name"]: row["id"] for row in await self._database.fetch(OWNERS)}
            possible = [one for one in replicas if one.name in owners]
            count = 2 if self._strikes % 3 == 2 else 1
            if len(possible) < count:
                continue
            strike = (self._kill_one, self._freeze_one)[self._strikes % 2]
            struck = self._dice.sample(possible, count)
            await asyncio.gather(*(strike(one, owners[one.name]) for one in struck))
            self._strikes += 1
        if losing is not None:
            await losing
        # a last look, after everything that a woken server could still do
        lengths = await self._lengths(list(self._left_at))
        for stream, length in self._left_at.items():
            if lengths.get(stream, 0) != length:
                self.tally.written_late += 1
                self.tally.notes.append(
                    f"written_late: {stream} {length}, then {lengths.get(stream)}"
                )

    def _is_due(self, losses: int) -> bool:
        """Whether the next of as many losses is due: each falls between two strikes."""
        return losses < self._losses and self._strikes * self._losses >= losses * self._goal_kills

    async def _lose_bus(self) -> None:
        await asyncio.to_thread(self._redis.stop)
        await asyncio.sleep(self._dice.uniform(*self._away_s["bus"]))
        await asyncio.to_thread(self._redis.start)

    async def _restart_database(self) -> None:
        """Restart PostgreSQL; no server is removed for it, as none sees the others' beats."""
        await asyncio.to_thread(self._postgres.pause)
        await asyncio.sleep(self._dice.uniform(*self._away_s["database"]))
        await asyncio.to_thread(self._postgres.resume)
        await self._database.expire_connections()

    async def _kill_one(self, replica: Replica, replica_id: str) -> None:
        await tell(replica.process, "kill")
        self.tally.kills += 1
        died, streams = time.monotonic(), await self._live(replica_id)
        if self._dice.random() < 0.5:  # at once: it removes what was left under its name
            await tell(replica.process, "start")
            await self._see_ended(streams, died)
        else:
            await self._see_ended(streams, died)
            await asyncio.sleep(self._dice.uniform(0, 1))
            await tell(replica.process, "start")
        await replica.until_ready()

    async def _freeze_one(self, replica: Replica, replica_id: str) -> None:
        await tell(replica.process, "freeze")
        self.tally.freezes += 1
        died, streams = time.monotonic(), await self._live(replica_id)
        await self._see_ended(streams, died)
        await asyncio.sleep(self._dice.uniform(0, TTL_S))
        await tell(replica.process, "wake")

        async def has_joined() -> bool:
            return bool(await self._database.fetchval(JOINED, replica.name, replica_id))

        await until(has_joined, f"{replica.name} does not join again")
        await replica.until_ready()

    async def _live(self, replica_id: str) -> list[str]:
        return [row["stream"] for row in await self._database.fetch(LIVE, replica_id)]

    async def _see_ended(self, streams: list[str], died: float) -> None:
        """Wait until the answers of a server that died have ended, and keep their lengths."""

        async def have_ended() -> bool:
            return bool(await self._database.fetchval(STILL_LIVE, streams) == 0)

        await until(have_ended, f"{streams} do not end")
        took_s = round(time.monotonic() - died, 2)
        self.tally.longest_end_s = max(self.tally.longest_end_s, took_s)
        if took_s > END_S:
            self.tally.ended_late += 1
            self.tally.notes.append(f"ended_late: {took_s} s after the death of their server")
        lengths = await self._lengths(streams)
        self._left_at |= {stream: lengths.get(stream, 0) for stream in streams}

    async def _lengths(self, streams: list[str]) -> dict[str, int]:
        rows = await self._database.fetch(LENGTHS, streams)
        return {row["stream"]: row["length"] for row in rows}

    # ---- clients -------------------------------------------------------------------------------

    def _new_answer(self, conversation: str | None) -> Answer:
        count, seed = self._dice.randint(10, 160), self._dice.randint(1, 10**9)
        answer = Answer(count, seed, f"key-{seed}", conversation, rate=RATE)
        if self._dice.random() < CANCELLED_SHARE:
            answer.cancelled_from = self._dice.randint(0, 4 * count)
        return answer

    def _route(self) -> tuple[int, float]:
        assert self._wire is not None
        if self._dice.random() < CUT_SHARE:
            return self._wire.port, CUT_S
        return self._port, STEADY_S

    def _offset(self, answer: Answer) -> int:
        if self._dice.random() < BACK_SHARE:
            keep_shown(answer)
            answer.text = answer.text[: self._dice.randint(0, len(answer.text))]
        return len(answer.text)

    def _take(self, answer: Answer, frame: dict[str, Any]) -> None:
        if frame["type"] == "start":
            keep_shown(answer)
        super()._take(answer, frame)

    def _take_error(self, answer: Answer, frame: dict[str, Any]) -> None:
        # by a server that is cut off from the others, or while PostgreSQL is away
        if frame["code"] == "overloaded" or frame["message"] in (NOT_READ, StoreError.sentence):
            self.tally.refused += 1
            raise EOFError(frame["message"])
        super()._take_error(answer, frame)

    # ---- final comparison ----------------------------------------------------------------------

    async def _compare(self, lab: FakeOpenAI) -> None:
        for answer in self._ended:
            if not answer.text.startswith(answer.shown):
                self._note("shown_then_lost", answer, "there was more before")
        for row in await self._database.fetch(TWICE):
            self.tally.stored_twice += 1
            self.tally.notes.append(f"stored_twice: {row['question']}")
        await super()._compare(lab)


@asynccontextmanager
async def shared_engines(folder: Path) -> AsyncIterator[tuple[PostgresServer, str, RedisServer]]:
    """Start what servers share: PostgreSQL, with the address of a database, and Redis."""
    postgres = PostgresServer(lambda: Path(tempfile.mkdtemp(dir=folder)))
    redis = RedisServer(folder)
    try:
        database = await asyncio.to_thread(lambda: postgres.address(postgres.template()))
        await asyncio.to_thread(redis.start)
        yield postgres, database, redis
    finally:
        await asyncio.to_thread(redis.stop)
        await asyncio.to_thread(postgres.stop)


def keep_shown(answer: Answer) -> None:
    """Keep the longest text that the client had, before it goes back."""
    answer.shown = max(answer.shown, answer.text, key=len)


@asynccontextmanager
async def serving(
    folder: Path, name: str, database: str, lab_url: str, **more: str
) -> AsyncIterator[Replica]:
    """Start a server that shares a database; its process ends at the end.

    ``more`` are variables of its environment.
    """
    port, own = free_port(), folder / name
    own.mkdir()
    environment = {
        "WIRESIDE_DATABASE_URL": database,
        "WIRESIDE_REPLICAS": "true",
        "WIRESIDE_REPLICA_NAME": name,
        "WIRESIDE_REPLICA_BEAT_S": str(BEAT_S),
        "WIRESIDE_REPLICA_TTL_S": str(TTL_S),
        "WIRESIDE_BALLAST_MB": "0",
    }
    process = await victim(port, lab_url, str(own), **(environment | more))
    try:
        await tell(process, "start")
        replica = Replica(name, port, process)
        await replica.until_ready()
        yield replica
    finally:
        assert process.stdin is not None
        process.stdin.close()  # the server ends with it
        await process.wait()


def main() -> int:
    """Run a storm with the given arguments; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strikes", type=int, default=50)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--losses", type=int, default=10, help="of PostgreSQL, and of Redis")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    print(f"seed {seed}")
    dice = random.Random(seed)
    return print_tally_of(
        FleetStorm(
            dice,
            strikes=given.strikes,
            cuts=given.cuts,
            answers=given.answers,
            losses=given.losses,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
