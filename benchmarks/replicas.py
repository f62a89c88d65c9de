"""Several servers on one database: what they do together, and what a reader at another one costs.

Servers are compared by their CPU for each token, not by the time that they take: clients, model,
database and servers share this machine's cores. A server is one process, so a core of its own each
given, N servers do N times as much as one if a token costs them the same; what they share is the
database, whose CPU is listed too. The rounds of all arrangements alternate, so that other load on
the machine affects all of them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median, quantiles
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.answers import Plan, chars_per_token
from benchmarks.loops import run
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Engine, Server, Servers

STREAMS, RATE = 40, 20
"""Answers at each server, and tokens of each a second: so few that no server waits for a core."""

SERVERS = 3

AT_ONCE = 10
"""Questions at once: a server refuses more than a busy machine stores within a minute."""

THROUGHPUT = 1.8
"""Aim for the throughput of two servers, in that of one."""

COSTS = (
    ("CPU of a token at its server", "µs", "owner"),
    ("CPU of a token at PostgreSQL", "µs", "database"),
    ("log of a token at PostgreSQL", "bytes", "wal_bytes"),
    ("tokens that arrive, of those sent", "%", "arrived"),
)
"""What is compared. Where few tokens arrive, the machine is too busy for a result: they are stored
and sent in larger pieces then, which makes each one cheap.
"""

SETTLE_S = 1.0

LONG_S = 120.0
"""How long the answers would be, in seconds; they are stopped after the window."""

_numbers = count()


@dataclass
class Text:
    """A text as one reader receives it: when it had how many characters."""

    chars: int = 0
    times: list[tuple[int, float]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def time_of(self, position: int) -> float | None:
        """Return when the reader had the character at a position."""
        low, high = 0, len(self.times)
        while low < high:
            middle = (low + high) // 2
            if self.times[middle][0] <= position:
                low = middle + 1
            else:
                high = middle
        return self.times[low][1] if low < len(self.times) else None


class Reader:
    """A connection with many answers."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.texts: dict[str, Text] = {}
        self.streams: dict[str, str] = {}
        self._has_started = asyncio.Event()

    async def ask_all(self, plan: Plan, count: int) -> None:
        """Ask in so many new conversations, and wait until their answers have begun."""
        for number in range(1, count + 1):
            await self._ask(plan)
            if not number % AT_ONCE or number == count:
                await self._wait_started(number)

    async def _ask(self, plan: Plan) -> None:
        name = self._new_text()
        frame = {"type": "chat", "id": name, "message": str(plan), "conversation": "new"}
        await self._socket.send(json.dumps(frame))

    async def resume_all(self, streams: Iterable[str]) -> dict[str, Text]:
        """Read answers from their beginnings; return them by the names of their streams."""
        found: dict[str, Text] = {}
        for number, stream in enumerate(streams, 1):
            found[stream] = await self._resume(stream)
            if not number % AT_ONCE:
                await found[stream].begun.wait()
        await asyncio.gather(*(text.begun.wait() for text in found.values()))
        return found

    async def _resume(self, stream: str) -> Text:
        name = self._new_text()
        self.streams[name] = stream
        await self._socket.send(
            json.dumps({"type": "resume", "id": name, "stream": stream, "offset": 0})
        )
        return self.texts[name]

    async def stop_all(self) -> None:
        """Stop all answers."""
        for name in self.texts:
            await self._socket.send(json.dumps({"type": "cancel", "id": name}))

    async def _wait_started(self, count: int) -> None:
        while len(self.streams) < count:
            self._has_started.clear()
            await self._has_started.wait()

    def _new_text(self) -> str:
        name = f"r{next(_numbers)}"
        self.texts[name] = Text()
        return name

    async def read(self) -> None:
        """Read until cancelled. Raises ``RuntimeError`` if an answer fails."""
        async for message in self._socket:
            now = time.perf_counter()
            frame = json.loads(message)
            text = self.texts.get(frame.get("id", ""))
            if text is None:
                continue
            match frame["type"]:
                case "start":
                    self.streams[frame["id"]] = frame["stream"]
                    self._has_started.set()
                case "chunk":
                    text.chars += len(frame["content"])
                    text.times.append((text.chars, now))
                    text.begun.set()
                case "done":
                    text.ended.set()
                case "error":
                    raise RuntimeError(frame["message"])


@dataclass(frozen=True)
class Round:
    """CPU of a token, in µs, and by how much later it was read at the other server, in seconds."""

    owner: float
    follower: float
    database: float
    wal_bytes: float
    arrived: float
    """Share of the tokens that the model would send in time, in percent."""
    redis: float = 0.0
    added_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Bus:
    """Two servers and their bus."""

    name: str
    owner: Server
    other: Server
    redis: Engine | None = None


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the cost of a token at several servers, and of one that is read at another server."""
    window_s, rounds = (3.0, 2) if quick else (5.0, 4)
    with ExitStack() as stack:
        upstream = stack.enter_context(servers.upstream())
        database = stack.enter_context(servers.postgresql())
        redis = stack.enter_context(servers.redis())
        of_redis = run(_new_database(database, "of_redis"))
        fleet = [
            stack.enter_context(_replica(servers, upstream, database.url, f"a{number}"))
            for number in range(SERVERS)
        ]
        pair = [
            stack.enter_context(_replica(servers, upstream, of_redis, name, redis_url=redis.url))
            for name in ("b0", "b1")
        ]
        yield _throughput(fleet, database, window_s, rounds)
        buses = [Bus("NOTIFY", fleet[0], fleet[1]), Bus("Redis", pair[0], pair[1], redis)]
        yield from _followed(buses, database, window_s, rounds)


def _throughput(fleet: Sequence[Server], database: Engine, window_s: float, rounds: int) -> Section:
    found: dict[int, list[Round]] = {count: [] for count in range(1, len(fleet) + 1)}
    for _ in range(rounds):
        for servers, costs in found.items():
            costs.append(run(_spread(fleet[:servers], database, window_s)))
    one = found.pop(1)
    figures = [
        Figure.of(
            f"{servers} servers, {subject}",
            unit,
            [getattr(each, name) for each in costs],
            [getattr(each, name) for each in one],
            Aim(round(2 / THROUGHPUT, 2), "ratio") if (servers, name) == (2, "owner") else None,
        )
        for subject, unit, name in COSTS
        for servers, costs in found.items()
    ]
    title = f"Several servers, {STREAMS} stored streams of {RATE}/s at each"
    return Section(title, "one server", figures)


def _followed(
    buses: Sequence[Bus], database: Engine, window_s: float, rounds: int
) -> Iterator[Section]:
    alone: dict[str, list[Round]] = {bus.name: [] for bus in buses}
    followed: dict[str, list[Round]] = {bus.name: [] for bus in buses}
    for _ in range(rounds):
        for bus in buses:
            alone[bus.name].append(run(_round(bus, database, window_s, is_followed=False)))
            followed[bus.name].append(run(_round(bus, database, window_s, is_followed=True)))
    figures = []
    for bus in buses:
        with_reader, without = followed[bus.name], alone[bus.name]
        figures += [
            Figure.of(
                f"{bus.name}, its server",
                "µs",
                [one.owner for one in with_reader],
                [one.owner for one in without],
                Aim(1.1, "ratio"),
            ),
            Figure.of(
                f"{bus.name}, server of the reader", "µs", [one.follower for one in with_reader]
            ),
            Figure.of(
                f"{bus.name}, tokens that arrive, of those sent",
                "%",
                [one.arrived for one in with_reader],
                [one.arrived for one in without],
            ),
            Figure.of(
                f"{bus.name}, PostgreSQL",
                "µs",
                [one.database for one in with_reader],
                [one.database for one in without],
            ),
        ]
        if bus.redis is not None:
            figures.append(
                Figure.of(f"{bus.name}, Redis", "µs", [one.redis for one in with_reader])
            )
    yield Section(
        f"CPU of a token that is read at another server, {STREAMS} stored streams of {RATE}/s",
        "without a reader there",
        figures,
    )
    delays = []
    for bus in buses:
        cuts = [quantiles(one.added_s, n=100) for one in followed[bus.name]]
        delays += [
            Figure(f"{bus.name}, p50", "µs", median(c[49] for c in cuts) * 1e6, aim=Aim(10_000)),
            Figure(f"{bus.name}, p99", "µs", median(c[98] for c in cuts) * 1e6),
        ]
    yield Section(
        "Delay of a token at a reader of another server, added to that at its own", "", delays
    )


def _replica(
    servers: Servers, upstream: Server, url: str, name: str, **settings: Any
) -> AbstractContextManager[Server]:
    return servers.wireside(
        upstream,
        data_dir=str(servers.folder / f"data-replica-{name}"),
        database_url=url,
        replicas="true",
        replica_name=name,
        save_delay_s="60",
        streams_per_connection=str(STREAMS),
        **settings,
    )


async def _new_database(database: Engine, name: str) -> str:
    """Create another database, and return its address."""
    async with _queries(database) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    head, _, query = database.url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"


@asynccontextmanager
async def _queries(database: Engine) -> AsyncIterator[Any]:
    import asyncpg

    connection = await asyncpg.connect(database.url)
    try:
        yield connection
    finally:
        await connection.close()


@dataclass
class Meter:
    """What processes and the database's log have used since the last call."""

    database: Engine
    processes: Sequence[Server | Engine]
    before: list[float] = field(default_factory=list)

    async def read(self) -> list[float]:
        """Return the CPU seconds of each process since the last call, and the bytes of the log."""
        async with _queries(self.database) as connection:
            log_bytes = float(await connection.fetchval("SELECT wal_bytes FROM pg_stat_wal"))
        now = [*(one.cpu_s() for one in self.processes), log_bytes]
        used = [then - at for then, at in zip(now, self.before, strict=False)]
        self.before = now
        return used


async def _spread(fleet: Sequence[Server], database: Engine, window_s: float) -> Round:
    """Let answers run at all of ``fleet``, none of which is read at another one."""
    plan = Plan("prose", round(LONG_S * RATE), RATE)
    meter = Meter(database, [*fleet, database])
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(_connected(one)) for one in fleet]
        await asyncio.gather(*(reader.ask_all(plan, STREAMS) for reader in readers))
        texts = [text for reader in readers for text in reader.texts.values()]
        await asyncio.gather(*(text.begun.wait() for text in texts))
        await asyncio.sleep(SETTLE_S)
        await meter.read()
        since = time.perf_counter()
        chars = sum(text.chars for text in texts)
        await asyncio.sleep(window_s)
        *used, of_database, log_bytes = await meter.read()
        took_s = time.perf_counter() - since
        tokens = (sum(text.chars for text in texts) - chars) / chars_per_token("prose", plan.tokens)
        for reader in readers:
            await reader.stop_all()
        await asyncio.gather(*(text.ended.wait() for text in texts))
    return Round(
        owner=sum(used) / tokens * 1e6,
        follower=0.0,
        database=of_database / tokens * 1e6,
        wal_bytes=log_bytes / tokens,
        arrived=100 * tokens / (len(texts) * RATE * took_s),
    )


async def _round(bus: Bus, database: Engine, window_s: float, *, is_followed: bool) -> Round:
    plan = Plan("prose", round(LONG_S * RATE), RATE)
    per_token = chars_per_token("prose", plan.tokens)
    engines = [database] if bus.redis is None else [database, bus.redis]
    meter = Meter(database, [bus.owner, bus.other, *engines])
    async with _connected(bus.owner) as here, _connected(bus.other) as there:
        await here.ask_all(plan, STREAMS)
        texts = {stream: here.texts[name] for name, stream in here.streams.items()}
        followed: dict[str, Text] = {}
        if is_followed:
            followed = await there.resume_all(texts)
        await asyncio.sleep(SETTLE_S)
        await meter.read()
        since = time.perf_counter()
        chars = sum(text.chars for text in texts.values())
        await asyncio.sleep(window_s)
        *used, log_bytes = await meter.read()
        tokens = (sum(text.chars for text in texts.values()) - chars) / per_token
        until = time.perf_counter()
        if any(text.ended.is_set() for text in texts.values()):
            raise RuntimeError("an answer ended before the window did")
        await here.stop_all()
        await asyncio.gather(*(text.ended.wait() for text in (*texts.values(), *followed.values())))
    if any(text.chars != texts[stream].chars for stream, text in followed.items()):
        raise RuntimeError("the texts differ")
    added = [
        then - at
        for stream, elsewhere in followed.items()
        for position, at in texts[stream].times
        if since <= at < until and (then := elsewhere.time_of(position - 1))
    ]
    costs = [cpu_s / tokens * 1e6 for cpu_s in used]
    return Round(
        owner=costs[0],
        follower=costs[1],
        database=costs[2],
        wal_bytes=log_bytes / tokens,
        arrived=100 * tokens / (STREAMS * RATE * (until - since)),
        redis=costs[3] if bus.redis is not None else 0.0,
        added_s=added,
    )


@asynccontextmanager
async def _connected(server: Server) -> AsyncIterator[Reader]:
    url = f"ws://127.0.0.1:{server.port}/ws/ai-chat"
    async with connect(url, max_size=None) as socket, asyncio.TaskGroup() as tasks:
        reader = Reader(socket)
        reading = tasks.create_task(reader.read())
        yield reader
        reading.cancel()
