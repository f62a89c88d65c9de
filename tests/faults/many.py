"""Ten thousand idle connections and two hundred streaming ones, held for half an hour.

Each idle connection answers the server's pings, sends a protocol ping at intervals and must never
be closed. Each streaming one asks repeatedly; each answer must equal what the model sent. Each
minute, a line reports the number of connections, the server's resources and its latency. Once the
number of retained answers has reached its maximum, the server's memory must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import struct
import sys
import time
from dataclasses import dataclass, field, replace
from statistics import median

import psutil
from websockets.asyncio.client import connect

from tests.faults import abuse
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


@dataclass
class Seen:
    """Observations on all connections."""

    resting: int = 0
    pongs: int = 0
    answers: int = 0
    characters: int = 0
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


def address(number: int) -> str:
    place = number // PER_ADDRESS
    return f"127.0.{2 + place // 250}.{1 + place % 250}"


async def rest(port: int, count: int, seen: Seen) -> list[Resting]:
    """Open ``count`` connections, a few at a time."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(50)

    async def open_one(number: int) -> Resting:
        async with gate:
            _, one = await loop.create_connection(
                lambda: Resting(seen), "127.0.0.1", port, local_addr=(address(number), 0)
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


async def stream(port: int, number: int, until: float, plan: Plan, seen: Seen) -> None:
    """Ask until ``until``, and compare each answer with what the model sent."""
    local = (f"127.0.1.{1 + number // PER_ADDRESS}", 0)
    await asyncio.sleep(number * BETWEEN_S)  # spread the starts
    try:
        async with connect(f"ws://127.0.0.1:{port}/ws/ai-chat", local_addr=local) as connection:
            round_ = 0
            while time.monotonic() < until:
                round_ += 1
                seed = number * 1000 + round_
                question = f"/lab tokens {plan.tokens} {plan.rate} {seed}"
                ask = {"type": "chat", "id": "c", "message": question}
                await connection.send(json.dumps(ask))
                text = ""
                async for data in connection:
                    got = json.loads(data)
                    if got["type"] == "chunk":
                        text += got["content"]
                    elif got["type"] in ("done", "error"):
                        break
                seen.answers += 1
                seen.characters += len(text)
                if text != FakeOpenAI.text(plan.tokens, seed):
                    seen.wrong.append(f"stream {number}: {len(text)} characters are not it")
                    return
    except Exception as error:  # any exception means that an answer was lost
        seen.wrong.append(f"stream {number}: {error!r}")


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
    """Observations, and the requirements that they violate."""

    plan: Plan
    seen: Seen

    @property
    def growth(self) -> float | None:
        """Growth of memory between the first and the last third with a full window, as a share.

        None if the window was not full for long enough.
        """
        settled = [mib for at, mib in self.seen.memory if at >= self.plan.full_s]
        part = len(settled) // 3
        if not part:
            return None
        return median(settled[-part:]) / median(settled[:part]) - 1

    @property
    def broken(self) -> list[str]:
        found = self.seen.wrong[:20]
        if self.seen.resting != self.plan.idle:
            found.append(f"{self.seen.resting:,} of {self.plan.idle:,} rested to the end")
        if not self.seen.answers:
            found.append("no answer came")
        if self.growth is not None and self.growth > self.plan.memory_may_grow:
            found.append(f"memory grew by {self.growth:.1%} with the window full")
        return found

    def __str__(self) -> str:
        seen, growth = self.seen, self.growth
        memory = "not judged: the time was too short" if growth is None else f"{growth:+.1%}"
        return (
            f"{seen.resting:,} rested to the end; {seen.answers:,} whole answers,"
            f" {seen.characters:,} characters; memory with the window full: {memory}"
        )


async def hold(plan: Plan) -> Report:
    """Hold all connections, and print the observations once a minute."""
    seen = Seen()
    async with abuse.serving(abuse.Limits(), resume_window_s=plan.window_s) as server:
        process, port = server.process, server.port
        before_mib = process.memory_info().rss / 2**20
        resting = await rest(port, plan.idle, seen)
        open_mib = process.memory_info().rss / 2**20
        each_kb = (open_mib - before_mib) * 1024 / plan.idle
        print(f"{plan.idle:,} rest: {each_kb:.1f} KB each", flush=True)
        until = time.monotonic() + plan.seconds
        work = [asyncio.create_task(keep_asking(resting, until))]
        work += [
            asyncio.create_task(stream(port, number, until, plan, seen))
            for number in range(plan.streams)
        ]
        following = asyncio.create_task(_follow(process, plan.seconds, seen))
        await _tell(work, process, seen)
        await following
        for one in resting:
            one.is_leaving = True
            one.transport.abort()
    return Report(plan, seen)


async def _follow(process: psutil.Process, seconds: float, seen: Seen) -> None:
    """Record the memory once a second while questions are asked."""
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        seen.memory.append((at, process.memory_info().rss / 2**20))
        await asyncio.sleep(1)


async def _tell(work: list[asyncio.Task[None]], process: psutil.Process, seen: Seen) -> None:
    print("minute  resting  answers  pong p50  p99 ms  MiB   CPU")
    minute = 0
    pending: set[asyncio.Task[None]] = set(work)
    while pending:
        began, cpu_s = time.monotonic(), sum(process.cpu_times()[:2])
        _, pending = await asyncio.wait(pending, timeout=60)
        minute += 1
        lates, seen.lates_ms = seen.lates_ms, []
        share = (sum(process.cpu_times()[:2]) - cpu_s) / (time.monotonic() - began)
        print(
            f"{minute:>6}{seen.resting:>9,}{seen.answers:>9,}{abuse._part(lates, 0.5):>10.1f}"
            f"{abuse._part(lates, 0.99):>8.1f}"
            f"{process.memory_info().rss / 2**20:>5.0f}{share:>6.0%}",
            flush=True,
        )


def main() -> int:
    """Hold the connections and print the results; returns the exit code."""
    usual = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=usual.seconds / 60)
    parser.add_argument("--idle", type=int, default=usual.idle)
    parser.add_argument("--streams", type=int, default=usual.streams)
    given = parser.parse_args()
    plan = Plan(given.minutes * 60, given.idle, given.streams)
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
