"""Ten thousand idle connections and two hundred streaming ones, held for half an hour.

Each idle connection answers the server's pings, sends a protocol ping at intervals and must never
be closed. Each streaming one asks repeatedly; each answer must equal what the model sent. Each
minute, a line reports the number of connections, the server's resources and its latency. Once the
number of retained answers has reached its maximum, the server's memory must not grow.

With ``--replicas N``, the connections are spread over N servers on one PostgreSQL database. Then
answers are stored, and those of some streams are also read at the next server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from websockets.asyncio.client import ClientConnection, connect

from tests.faults import abuse
from tests.postgresql import PostgresServer
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

PER_ADDRESS = 80
"""Connections per address: below the server's limit, so that no setting has to be changed."""

BETWEEN_S = 0.05
"""Seconds between the starts of two streams."""

SAME = 0.05
"""Allowed growth of memory, as a share."""

CALLS_S = 60.0
"""Seconds between two protocol pings on an idle connection."""

SLACK_S = 30.0
"""Seconds after which a pong counts as missing."""

FOLLOW_EACH = 10
"""Of so many streams, one of each server is also read at the next one."""


@dataclass
class Seen:
    """Observations on the connections of one server."""

    resting: int = 0
    pongs: int = 0
    answers: int = 0
    characters: int = 0
    followed: int = 0
    """Answers that were complete at the next server too."""
    lates_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the first question, and MiB."""


class Resting(asyncio.Protocol):
    """An idle connection with a minimal client: ten thousand share a process."""

    def __init__(self, seen: Seen) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_leaving = False
        self._seen = seen
        self._data = b""
        self._asked_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(abuse.handshake("/ws/ai-chat"))

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self.opened.done():
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            self._data = rest
            if not head.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(ConnectionError(head[:60].decode()))
                return
            self._seen.resting += 1
            self.opened.set_result(None)
        self._take_frames()

    def _take_frames(self) -> None:
        while len(self._data) >= 2:
            size, start = self._data[1], 2
            if size == 126:
                size, start = struct.unpack("!H", self._data[2:4])[0], 4
            if len(self._data) < start + size:
                return
            opcode, data = self._data[0] & 15, self._data[start : start + size]
            self._data = self._data[start + size :]
            self._take(opcode, data)

    def _take(self, opcode: int, data: bytes) -> None:
        if opcode == abuse.PING:
            self.transport.write(abuse.frame(abuse.PONG, data))
        elif opcode == abuse.TEXT and self._asked_at is not None:
            self._seen.lates_ms.append((time.monotonic() - self._asked_at) * 1000)
            self._seen.pongs += 1
            self._asked_at = None

    def ask(self) -> None:
        """Send a protocol ping; the previous one must have been answered."""
        if self._asked_at is not None and time.monotonic() - self._asked_at > SLACK_S:
            self._seen.wrong.append("a ping was not answered")
        self._asked_at = time.monotonic()
        self.transport.write(abuse.frame(abuse.TEXT, b'{"type":"ping","id":"1"}'))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.opened.done() and not self.is_leaving:
            self._seen.resting -= 1
            self._seen.wrong.append(f"a resting connection was lost: {exc}")


@dataclass
class Held:
    """A server with its connections."""

    server: ServerProcess
    seen: Seen = field(default_factory=Seen)

    def memory_mib(self) -> float:
        """Return the resident memory."""
        return float(self.server.process.memory_info().rss / 2**20)

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far."""
        return float(sum(self.server.process.cpu_times()[:2]))


def address(number: int) -> str:
    place = number // PER_ADDRESS
    return f"127.0.{2 + place // 250}.{1 + place % 250}"


async def rest(held: Sequence[Held], count: int) -> list[Resting]:
    """Open ``count`` connections, spread over the servers, a few at a time."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(50)

    async def open_one(number: int) -> Resting:
        here = held[number % len(held)]
        async with gate:
            _, one = await loop.create_connection(
                lambda: Resting(here.seen),
                "127.0.0.1",
                here.server.port,
                local_addr=(address(number), 0),
            )
            await one.opened
            return one

    return list(await asyncio.gather(*(open_one(number) for number in range(count))))


async def keep_asking(resting: list[Resting], until: float) -> None:
    dice = random.Random(1)
    while time.monotonic() < until:
        for one in dice.sample(resting, max(1, len(resting) // int(CALLS_S))):
            one.ask()
        await asyncio.sleep(1)


async def stream(number: int, until: float, plan: Plan, held: Sequence[Held]) -> None:
    """Ask until ``until``, and compare each answer with what the model sent."""
    here, there = held[number % len(held)], held[(number + 1) % len(held)]
    local = (f"127.0.1.{1 + number // PER_ADDRESS}", 0)
    await asyncio.sleep(number * BETWEEN_S)  # spread the starts
    try:
        async with AsyncExitStack() as stack:
            is_followed = here is not there and number % FOLLOW_EACH < len(held)
            own, *other = [
                await stack.enter_async_context(connect(_url_of(one), local_addr=local))
                for one in ([here, there] if is_followed else [here])
            ]
            round_ = 0
            while time.monotonic() < until:
                round_ += 1
                seed = number * 1000 + round_
                ask = {"type": "chat", "id": "c", "message": plan.question(seed)}
                if plan.replicas > 1:
                    ask["conversation"] = "new"
                await own.send(json.dumps(ask))
                name = await _read_start(own)
                texts = [_read_text(own, here.seen)]
                for elsewhere in other:
                    resume = {"type": "resume", "id": "c", "stream": name, "offset": 0}
                    await elsewhere.send(json.dumps(resume))
                    texts.append(_read_text(elsewhere, there.seen))
                for text in await asyncio.gather(*texts):
                    if text != FakeOpenAI.text(plan.tokens, seed):
                        here.seen.wrong.append(f"stream {number}: {len(text)} characters differ")
                        return
                here.seen.followed += is_followed
    except Exception as error:  # any exception means that an answer was lost
        here.seen.wrong.append(f"stream {number}: {error!r}")


def _url_of(held: Held) -> str:
    return f"ws://127.0.0.1:{held.server.port}/ws/ai-chat"


async def _read_start(connection: ClientConnection) -> str:
    async for data in connection:
        got = json.loads(data)
        if got["type"] == "start":
            return str(got["stream"])
        if got["type"] == "error":
            raise ConnectionError(got["message"])
    raise ConnectionError("closed before an answer")


async def _read_text(connection: ClientConnection, seen: Seen) -> str:
    text = ""
    async for data in connection:
        got = json.loads(data)
        if got["type"] == "chunk":
            text += got["content"]
        elif got["type"] in ("done", "error"):
            break
    seen.answers += 1
    seen.characters += len(text)
    return text


@dataclass(frozen=True)
class Plan:
    """Number of connections, and the duration."""

    seconds: float = 1800.0
    idle: int = 10_000
    streams: int = 200
    tokens: int = 600
    rate: float = 20.0
    """Tokens per second of each answer."""
    window_s: float = 600.0
    """Seconds for which the server retains a finished answer."""
    memory_may_grow: float = SAME
    replicas: int = 1
    """Servers; several share a PostgreSQL database."""

    def question(self, seed: int) -> str:
        """Return the question whose answer is the lab's text of ``seed``."""
        return f"/lab tokens {self.tokens} {self.rate} {seed}"

    @property
    def first_s(self) -> float:
        """Return the time at which each stream has its first answer, in seconds."""
        return self.streams * BETWEEN_S + self.tokens / self.rate

    @property
    def full_s(self) -> float:
        """Return the time at which the number of retained answers is at its maximum, in seconds."""
        return self.first_s + self.window_s


@dataclass
class Report:
    """Observations at each server, and the requirements that they violate."""

    plan: Plan
    seen: Sequence[Seen]

    @property
    def growth(self) -> float | None:
        """Growth of memory between the first and the last third with a full window, as a share.

        That of the server with the greatest; None if the window was not full for long enough.
        """
        found = [growth for one in self.seen if (growth := self._growth_of(one)) is not None]
        return max(found, default=None)

    def _growth_of(self, seen: Seen) -> float | None:
        settled = [mib for at, mib in seen.memory if at >= self.plan.full_s]
        part = len(settled) // 3
        if not part:
            return None
        return median(settled[-part:]) / median(settled[:part]) - 1

    @property
    def resting(self) -> int:
        """Number of idle connections at the end."""
        return sum(one.resting for one in self.seen)

    @property
    def broken(self) -> list[str]:
        found = [sentence for one in self.seen for sentence in one.wrong][:20]
        if self.resting != self.plan.idle:
            found.append(f"{self.resting:,} of {self.plan.idle:,} rested to the end")
        if not all(one.answers for one in self.seen):
            found.append("no answer came")
        if self.plan.replicas > 1 and not any(one.followed for one in self.seen):
            found.append("no answer was read at another server")
        if self.growth is not None and self.growth > self.plan.memory_may_grow:
            found.append(f"memory grew by {self.growth:.1%} with the window full")
        return found

    def __str__(self) -> str:
        growth = self.growth
        memory = "not judged: the time was too short" if growth is None else f"{growth:+.1%}"
        answers = sum(one.answers for one in self.seen)
        followed = sum(one.followed for one in self.seen)
        elsewhere = f" ({followed:,} of them at another server)" if self.plan.replicas > 1 else ""
        return (
            f"{self.resting:,} rested to the end; {answers:,} whole answers{elsewhere},"
            f" {sum(one.characters for one in self.seen):,} characters;"
            f" memory with the window full: {memory}"
        )


@asynccontextmanager
async def serving(plan: Plan) -> AsyncIterator[list[Held]]:
    """Run the servers: one as users start it, or several on a PostgreSQL database."""
    settings: dict[str, object] = {"resume_window_s": plan.window_s}
    async with AsyncExitStack() as stack:
        if plan.replicas == 1:
            one = abuse.serving(abuse.Limits(), **settings)
            yield [Held(await stack.enter_async_context(one))]
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = PostgresServer(lambda: folder / "postgresql")
        stack.callback(database.stop)
        shared = {
            **settings,
            "replicas": True,
            "database_url": database.address(database.template()),
            "save_delay_s": 60,
        }
        yield [
            Held(
                await stack.enter_async_context(
                    abuse.serving(abuse.Limits(), replica_name=f"hold-{number}", **shared)
                )
            )
            for number in range(1, plan.replicas + 1)
        ]


async def hold(plan: Plan) -> Report:
    """Hold all connections, and print the observations once a minute."""
    async with serving(plan) as held:
        before_mib = [one.memory_mib() for one in held]
        resting = await rest(held, plan.idle)
        for number, (one, before) in enumerate(zip(held, before_mib, strict=True), 1):
            each_kb = (one.memory_mib() - before) * 1024 / max(1, one.seen.resting)
            print(f"server {number}: {one.seen.resting:,} rest: {each_kb:.1f} KB each", flush=True)
        until = time.monotonic() + plan.seconds
        work = [asyncio.create_task(keep_asking(resting, until))]
        work += [
            asyncio.create_task(stream(number, until, plan, held)) for number in range(plan.streams)
        ]
        following = asyncio.create_task(_follow(held, plan.seconds))
        await _tell(work, held)
        await following
        for connection in resting:
            connection.is_leaving = True
            connection.transport.abort()
    return Report(plan, [one.seen for one in held])


async def _follow(held: Sequence[Held], seconds: float) -> None:
    """Record the memory once a second while questions are asked."""
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        for one in held:
            one.seen.memory.append((at, one.memory_mib()))
        await asyncio.sleep(1)


async def _tell(work: list[asyncio.Task[None]], held: Sequence[Held]) -> None:
    print("minute  server  resting  answers  pong p50  p99 ms  MiB   CPU")
    minute = 0
    pending: set[asyncio.Task[None]] = set(work)
    while pending:
        began, before = time.monotonic(), [one.cpu_s() for one in held]
        _, pending = await asyncio.wait(pending, timeout=60)
        minute += 1
        took_s = time.monotonic() - began
        for number, (one, used_s) in enumerate(zip(held, before, strict=True), 1):
            lates, one.seen.lates_ms = one.seen.lates_ms, []
            print(
                f"{minute:>6}{number:>8}{one.seen.resting:>9,}{one.seen.answers:>9,}"
                f"{abuse._part(lates, 0.5):>10.1f}{abuse._part(lates, 0.99):>8.1f}"
                f"{one.memory_mib():>5.0f}{(one.cpu_s() - used_s) / took_s:>6.0%}",
                flush=True,
            )


def main() -> int:
    """Hold the connections and print the results; returns the exit code."""
    usual = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=usual.seconds / 60)
    parser.add_argument("--idle", type=int, default=usual.idle)
    parser.add_argument("--streams", type=int, default=usual.streams)
    parser.add_argument("--replicas", type=int, default=usual.replicas)
    given = parser.parse_args()
    plan = Plan(given.minutes * 60, given.idle, given.streams, replicas=given.replicas)
    half_s = max(1.0, (plan.seconds - plan.first_s) / 2)  # it is full for as long as it fills
    plan = replace(plan, window_s=min(plan.window_s, half_s))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    report = asyncio.run(hold(plan))
    print(report)
    for sentence in report.broken:
        print("broken:", sentence)
    return int(bool(report.broken))


if __name__ == "__main__":
    sys.exit(main())
