"""Abuse below the application: thousands of bad connections at once, with no effect on real users.

Starts a server as ``wireside serve`` runs it. Some thirty kinds of abusive clients connect from
hundreds of local addresses at the same time, while real users ask, read, ping and load the page.
Each abusive connection must be closed within its time limit, the server's memory must not grow, and
each real user must receive each answer complete.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from websockets.asyncio.client import ClientConnection, connect

from tests.server_process import ROOT, ServerProcess
from wireside.testing import FakeOpenAI

CLOSED, CLOSE_WAIT = 7, 8  # TCP_INFO states
PER_ADDRESS = 40
"""Connections per address: below the server's limit of 100, which one kind exceeds on purpose."""

GOODBYE_S = 3.0
"""The server sends a close frame after an unanswered ping, before it drops the connection."""

MADE_AT_LEAST = 0.95
"""Minimum share of the connections that must be established for a run to be meaningful."""

TEXT, BINARY, CONT, PING, PONG = 1, 2, 0, 9, 10


@dataclass(frozen=True)
class Limits:
    """The server's limits; the defaults are the server's own."""

    handshake_s: float = 10.0
    stalled_s: float = 60.0
    ping_s: float = 20.0
    requests_per_minute: int = 12_000
    slack_s: float = 4.0
    """The body timeout counts from the last byte read, and includes time that the read is queued:
    up to three seconds in a storm. One second is added for this machine, which also runs the
    clients.
    """
    memory_mib: float = 64.0
    """Memory growth allowed over the users-only phase, whose pages and answers are kept as well."""
    before_s: float = 60.0
    """Seconds with users only, after which the number of their retained pages is at its maximum."""
    p99_ms: float | None = 250.0
    page_p99_ms: float = 4000.0
    """A page takes about 30 event loop iterations, and is queued behind other pages."""

    def settings(self) -> dict[str, object]:
        return {
            "handshake_s": self.handshake_s,
            "stalled_s": self.stalled_s,
            "ping_interval_s": self.ping_s,
            "ping_timeout_s": self.ping_s,
            "requests_per_minute_address": self.requests_per_minute,
        }


# ---- abusive clients -----------------------------------------------------------------------------


class Abuser:
    """One abusive connection. The kernel reports whether it was closed, so no read is needed."""

    def __init__(self, address: str, port: int, dice: random.Random, stream: str) -> None:
        self.address = address
        self.port = port
        self.dice = dice
        self.stream = stream
        self.since = 0.0
        self.is_turned_away = False
        """Whether it requested a WebSocket and was refused."""
        self._sock = socket.socket()

    async def connect(self, small_buffer: bool) -> None:
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if small_buffer:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._sock.bind((self.address, 0))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._sock, ("127.0.0.1", self.port))
        self.since = time.monotonic()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def receive(self, size: int = 65536) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._sock, size)
        if not data:
            raise ConnectionError
        return data

    async def upgrade(self, path: str = "/ws/ai-chat", *headers: str) -> bool:
        """Perform the WebSocket handshake; return whether it was accepted."""
        self.is_turned_away = True
        await self.send(handshake(path, *headers))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += await self.receive(1)
        self.since = time.monotonic()
        self.is_turned_away = not answer.startswith(b"HTTP/1.1 101")
        return not self.is_turned_away

    async def frame(self, opcode: int, data: bytes = b"", **flags: bool) -> None:
        await self.send(frame(opcode, data, **flags))

    def is_freed(self) -> bool:
        """Whether the server has closed the connection completely, not only half of it."""
        state = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state == CLOSE_WAIT:
            with contextlib.suppress(OSError):
                self._sock.send(b"?")  # the kernel answers with a reset when the socket is gone
        return state == CLOSED

    def answered(self, data: bytes) -> None:
        """Record an answer.

        A client within its address's allowance is a regular user: a flood is abuse from that limit
        on.
        """
        if b"HTTP/1.1 429" not in data:
            self.since = time.monotonic()

    def close(self) -> None:
        self._sock.close()


Act = Callable[[Abuser], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """A kind of abuse. ``freed_by`` names the limit that ends it."""

    name: str
    act: Act
    freed_by: str = "handshake"
    small_buffer: bool = False
    weight: int = 4
    shares_address: bool = False


def handshake(path: str, *headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, packed: bool = False) -> bytes:
    """Return a client's frame, masked with zeros."""
    head = (0x80 if fin else 0) | (0x40 if packed else 0) | opcode
    return bytes((head,)) + _size(len(data)) + bytes(4) + data


def _size(size: int) -> bytes:
    if size < 126:
        return bytes((0x80 | size,))
    return struct.pack("!BH", 0xFE, size) if size < 65536 else struct.pack("!BQ", 0xFF, size)


def packed(size: int) -> bytes:
    """Return ``size`` zero bytes compressed by permessage-deflate to about a thousandth."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate"
PAGE_SOCKET: Final = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
POLLING: Final = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
BOMB: Final = packed(64 * 2**20)
SMALL_BOMB: Final = packed(900_000)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def sends(data: bytes) -> Act:
    async def act(abuser: Abuser) -> None:
        await abuser.send(data)
        abuser.since = time.monotonic()

    return act


def drips(data: bytes, then: bytes) -> Act:
    """Send ``data``, then one byte of ``then`` per second, repeatedly."""

    async def act(abuser: Abuser) -> None:
        await abuser.send(data)
        while True:
            for byte in then:
                await asyncio.sleep(1)
                await abuser.send(bytes((byte,)))

    return act


def upgrades_and_sends(*frames: bytes, again: bytes = b"", pause_s: float = 0.0) -> Act:
    async def act(abuser: Abuser) -> None:
        await abuser.upgrade("/ws/ai-chat", DEFLATE)
        for data in frames:
            await abuser.send(data)
        abuser.since = time.monotonic()
        while again:
            await abuser.send(again)
            await asyncio.sleep(pause_s)

    return act


async def never_reads(abuser: Abuser) -> None:
    await abuser.upgrade()
    for number in range(8):
        await abuser.frame(TEXT, resume(abuser.stream, number))


async def crawls(abuser: Abuser) -> None:
    await never_reads(abuser)
    while True:
        await asyncio.sleep(1)
        await abuser.receive(1)


async def pings_and_never_reads(abuser: Abuser) -> None:
    """Send each ping within the limit; each adds a pong to the unread ones."""
    await never_reads(abuser)
    while True:
        await abuser.send(frame(PING, bytes(125)) * 15)
        await asyncio.sleep(0.1)


async def wants_echoes(abuser: Abuser) -> None:
    """Send 1 MB pings, whose content each ``pong`` repeats."""
    await abuser.upgrade()
    echo = json.dumps({"type": "ping", "id": "1", "t": "x" * 1_000_000}).encode()
    for _ in range(90):
        await abuser.frame(TEXT, echo)


async def floods_requests(abuser: Abuser) -> None:
    """Send several requests at once: a busy machine answers too slowly for one after another."""
    while True:
        await abuser.send(get("/api/health/live") * 8)
        abuser.answered(await abuser.receive())


async def floods_pages(abuser: Abuser) -> None:
    while True:
        await abuser.send(get("/"))
        received = b""
        while not received.endswith(b"</html>"):
            received = (received + await abuser.receive())[-65536:]
            if received.endswith((b"0\r\n\r\n", b"}")):
                break
        abuser.answered(received)


async def floods_polling(abuser: Abuser) -> None:
    while True:
        await abuser.send(get(POLLING))
        abuser.answered(await abuser.receive())


async def holds_poll(abuser: Abuser) -> None:
    """Open a session of the page's socket by polling, then keep a poll open in it."""
    await abuser.send(get(POLLING))
    answer = await abuser.receive()
    if b'"sid":"' in answer:
        sid = answer.partition(b'"sid":"')[2].partition(b'"')[0].decode()
        while True:
            await abuser.send(get(f"{POLLING}&sid={sid}"))
            await abuser.receive()


async def squats_on_page_socket(abuser: Abuser) -> None:
    """Connect as a page does and answer each ping, without naming a page."""
    await abuser.upgrade(PAGE_SOCKET)
    await abuser.frame(TEXT, b"40")
    while True:
        data = await abuser.receive()
        if data[-1:] == b"2":
            await abuser.frame(TEXT, b"3")
        elif data[:1] == b"\x89":
            await abuser.frame(PONG, data[2:6])


async def churns(abuser: Abuser) -> None:
    """Upgrade, disconnect and reconnect, repeatedly."""
    await abuser.upgrade()
    while True:
        again = Abuser(abuser.address, abuser.port, abuser.dice, abuser.stream)
        try:
            await again.connect(small_buffer=False)
            await again.upgrade()
        finally:
            again.close()


def resume(stream: str, number: int) -> bytes:
    return json.dumps({"type": "resume", "id": str(number), "stream": stream, "offset": 0}).encode()


POST: Final = (
    b"POST /api/conversations/import HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Length: 10000000\r\n\r\n"
)
TRICKLE: Final = frame(TEXT, b"x", fin=False) + frame(CONT, b"x" * 20_000, fin=False) * 2

KINDS: Final = (
    Kind("silent", sends(b""), weight=8),
    Kind("half a request line", sends(b"GET / HT")),
    Kind("half the headers", sends(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: a")),
    Kind("a header byte a second", drips(b"GET / HTTP/1.1\r\nX: ", b"a")),
    Kind("half a handshake", sends(handshake("/ws/ai-chat")[:-2])),
    Kind("huge headers", sends(b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"a" * 1000) * 1000)),
    Kind("a body byte a second", drips(POST, b"{")),
    Kind("body, then silence", sends(POST + b" " * 500_000)),
    Kind("pipelined requests", sends(get("/api/health/live") * 20_000)),
    Kind("request flood", floods_requests, weight=4, shares_address=True),
    Kind("page flood", floods_pages, weight=4, shares_address=True),
    Kind("polling flood", floods_polling, weight=4, shares_address=True),
    Kind("poll without a page", holds_poll),
    Kind("page socket, silent", lambda a: _ignore(a.upgrade(PAGE_SOCKET))),
    Kind("page socket, no page", squats_on_page_socket),
    Kind("upgrade flood", churns, "ping", weight=2, shares_address=True),
    Kind("over the limit", lambda a: _ignore(a.upgrade()), "ping", weight=8, shares_address=True),
    Kind("flood of connections", sends(b""), weight=10, shares_address=True),
    Kind("ping flood", upgrades_and_sends(again=frame(PING, bytes(125)) * 50)),
    Kind("pong flood", upgrades_and_sends(again=frame(PONG, bytes(125)) * 50)),
    Kind(
        "empty fragments",
        upgrades_and_sends(frame(TEXT, fin=False), again=frame(CONT, fin=False) * 50),
    ),
    Kind("fragments without end", upgrades_and_sends(frame(TEXT, fin=False), TRICKLE[7:] * 20)),
    Kind(
        "a fragment byte a second",
        upgrades_and_sends(
            frame(TEXT, bytes(900_000), fin=False), again=frame(CONT, b"x", fin=False), pause_s=1
        ),
    ),
    Kind("half a frame", upgrades_and_sends(frame(TEXT, bytes(1_000_000))[:-1])),
    Kind(
        "inflated fragments",
        upgrades_and_sends(frame(TEXT, SMALL_BOMB, fin=False, packed=True)),
    ),
    Kind("deflate bomb", upgrades_and_sends(frame(TEXT, BOMB, packed=True))),
    Kind("frame over the limit", upgrades_and_sends(frame(TEXT, bytes(3_000_000)))),
    Kind("binary frame", upgrades_and_sends(frame(BINARY, b"\x00"))),
    Kind("not UTF-8", upgrades_and_sends(frame(TEXT, b"\xc3\x28"))),
    Kind("not masked", upgrades_and_sends(b"\x81\x02hi")),
    Kind("message flood", upgrades_and_sends(again=frame(TEXT, b"{}") * 50)),
    Kind("deaf WebSocket", upgrades_and_sends(), "ping"),
    Kind("never reads", never_reads, "stalled", small_buffer=True),
    Kind("reads a byte a second", crawls, "stalled", small_buffer=True),
    Kind("pings, never reads", pings_and_never_reads, "stalled", small_buffer=True),
    Kind("echoes, never reads", wants_echoes, "stalled", small_buffer=True, weight=1),
    Kind(
        "downloads, never reads",
        sends(get("/api/conversations/export?ids=all") * 3 + get("/assets/client/x") * 3),
        small_buffer=True,
    ),
)


async def _ignore(act: Awaitable[object]) -> None:
    await act


@dataclass
class Outcome:
    """Results of the abusive connections of one kind."""

    freed_by: str
    count: int = 0
    never: int = 0
    refused: int = 0
    """Connections that failed to connect."""
    turned_away: int = 0
    """Connections that needed a WebSocket and were refused one."""
    seconds: list[float] = field(default_factory=list)

    @property
    def made(self) -> int:
        """Number of connections that did what they are meant to do and were then closed."""
        return len(self.seconds) - self.turned_away


class Storm:
    """All abusive clients, in a separate process."""

    def __init__(self, port: int, count: int, limit_s: float, stream: str) -> None:
        self._port = port
        self._count = count
        self._limit_s = limit_s
        self._stream = stream
        self._dice = random.Random(1)
        self._live: dict[Abuser, Kind] = {}
        self.outcomes = {kind.name: Outcome(kind.freed_by) for kind in KINDS}

    async def run(self) -> dict[str, Any]:
        began = time.monotonic()
        kinds = self._dice.sample(KINDS, k=len(KINDS), counts=None)
        mix = [kind for kind in kinds for _ in range(kind.weight)]
        chosen = [mix[number % len(mix)] for number in range(self._count)]
        watching = asyncio.create_task(self._watch(began + self._limit_s))
        opened = asyncio.gather(
            *(self._abuse(kind, address) for kind, address in self._placed(chosen))
        )
        await asyncio.wait([watching])
        opened.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await opened
        return {name: vars(outcome) for name, outcome in self.outcomes.items()}

    def _placed(self, kinds: list[Kind]) -> Iterator[tuple[Kind, str]]:
        for number, kind in enumerate(kinds):
            if kind.shares_address:
                yield kind, f"127.0.1.{KINDS.index(kind) + 1}"
            else:
                place = number // PER_ADDRESS
                yield kind, f"127.0.{2 + place // 250}.{1 + place % 250}"

    async def _abuse(self, kind: Kind, address: str) -> None:
        abuser = Abuser(address, self._port, self._dice, self._stream)
        outcome = self.outcomes[kind.name]
        outcome.count += 1
        try:
            await abuser.connect(kind.small_buffer)
        except OSError:
            outcome.refused += 1
            abuser.close()
            return
        self._live[abuser] = kind
        with contextlib.suppress(OSError):
            await kind.act(abuser)

    async def _watch(self, until: float) -> None:
        """Check ten times a second which connections were closed."""
        await asyncio.sleep(0.5)
        while time.monotonic() < until and self._live:
            for abuser, kind in list(self._live.items()):
                if abuser.is_freed():
                    seconds = time.monotonic() - abuser.since
                    outcome = self.outcomes[kind.name]
                    outcome.seconds.append(round(seconds, 2))
                    # most of the connections that share an address are expected to be refused
                    outcome.turned_away += abuser.is_turned_away and not kind.shares_address
                    del self._live[abuser]
                    abuser.close()
            await asyncio.sleep(0.1)
        for kind in self._live.values():
            self.outcomes[kind.name].never += 1
        for abuser in self._live:
            abuser.close()


# ---- real users ----------------------------------------------------------------------------------


@dataclass
class Seen:
    """Observations of the real users."""

    pongs_ms: list[float] = field(default_factory=list)
    firsts_ms: list[float] = field(default_factory=list)
    pages_ms: list[float] = field(default_factory=list)
    answers: int = 0
    wrong: list[str] = field(default_factory=list)


class User:
    """Pings each second, asks continuously, and opens the page every ten seconds."""

    def __init__(self, number: int, port: int, seen: Seen) -> None:
        self._address = f"127.0.9.{number + 1}"
        self._number = number
        self._port = port
        self._seen = seen
        self._is_over = False
        self._pinged: dict[int, float] = {}

    def leave(self) -> None:
        """Stop asking; answers in progress are read to their end."""
        self._is_over = True

    async def run(self) -> None:
        try:
            async with connect(
                f"ws://127.0.0.1:{self._port}/ws/ai-chat", local_addr=(self._address, 0)
            ) as connection:
                pinging = asyncio.create_task(self._ping(connection))
                opening = asyncio.create_task(self._open_pages())
                await self._ask(connection)
                pinging.cancel()
                await asyncio.wait([pinging, opening])
        except Exception as error:  # any exception means that a user lost something
            self._seen.wrong.append(f"user {self._number}: {error!r}")

    async def _ping(self, connection: ClientConnection) -> None:
        await asyncio.sleep(self._number / 40)
        for number in range(10**6):
            self._pinged[number] = time.monotonic()
            await connection.send(json.dumps({"type": "ping", "id": "p", "t": number}))
            await asyncio.sleep(1)

    async def _ask(self, connection: ClientConnection) -> None:
        round_ = 0
        while not self._is_over:
            round_ += 1
            seed = self._number * 1000 + round_
            message = f"/lab tokens 120 60 {seed}"
            asked = time.monotonic()
            await connection.send(json.dumps({"type": "chat", "id": "c", "message": message}))
            text = ""
            async for data in connection:
                now = time.monotonic()
                got = json.loads(data)
                if got["type"] == "pong":
                    self._seen.pongs_ms.append((now - self._pinged.pop(got["t"])) * 1000)
                elif got["type"] == "chunk":
                    if not text:
                        self._seen.firsts_ms.append((now - asked) * 1000)
                    text += got["content"]
                elif got["type"] == "done":
                    break
                elif got["type"] == "error":
                    self._seen.wrong.append(f"user {self._number}: {data!r}")
                    return
            self._seen.answers += 1
            if text != FakeOpenAI.text(120, seed):
                self._seen.wrong.append(f"user {self._number}: {len(text)} characters are not it")

    async def _open_pages(self) -> None:
        """Open pages ten seconds apart: each is retained for a minute, as for a real visitor."""
        await asyncio.sleep(self._number / 4)
        while not self._is_over:
            began = time.monotonic()
            page = await _get(self._port, "/", self._address)
            self._seen.pages_ms.append((time.monotonic() - began) * 1000)
            if b" 200 " not in page[:15] or b"</html>" not in page:
                self._seen.wrong.append(f"user {self._number}: no page, but {page[:60]!r}")
            for _ in range(20):
                await asyncio.sleep(0 if self._is_over else 0.5)


async def _get(port: int, path: str, address: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    try:
        return await reader.read(-1)
    finally:
        writer.close()


# ---- the server and its resources ----------------------------------------------------------------


class Watched:
    """The server's process, sampled ten times a second."""

    def __init__(self, pid: int, port: int) -> None:
        self._process = psutil.Process(pid)
        self._port = port
        self.before_mib = 0.0
        self.peak_mib = 0.0
        self.most_files = 0

    @property
    def mib(self) -> float:
        return float(self._process.memory_info().rss) / 2**20

    @property
    def sockets(self) -> int:
        """Number of connections to the server's port that the process holds open."""
        found = self._process.net_connections("tcp")
        return sum(one.laddr.port == self._port for one in found)

    async def run(self) -> None:
        while True:
            self.peak_mib = max(self.peak_mib, self.mib)
            # Counts all files, including a few that are not sockets: telling them apart takes
            # 10 ms, which would delay users.
            self.most_files = max(self.most_files, self._process.num_fds())
            await asyncio.sleep(0.1)


@dataclass
class Report:
    """All measurements, and the limits that they exceed."""

    limits: Limits
    outcomes: dict[str, Outcome]
    seen: Seen
    before_mib: float
    peak_mib: float
    after_mib: float
    most_files: int
    sockets_left: int

    @property
    def broken(self) -> list[str]:
        found = list(self.seen.wrong)
        for name, outcome in self.outcomes.items():
            limit_s = self._limit_s(outcome) + self.limits.slack_s
            late = [s for s in outcome.seconds if s > limit_s]
            if outcome.never or late:
                found.append(f"{name}: {outcome.never} never freed, {len(late)} too late")
        wanted = sum(outcome.count for outcome in self.outcomes.values())
        made = sum(outcome.made for outcome in self.outcomes.values())
        if made < MADE_AT_LEAST * wanted or not wanted:
            found.append(f"of {wanted} abusive connections {made} were made and freed")
        if idle := [name for name, outcome in self.outcomes.items() if not outcome.made]:
            found.append(f"nothing was tried of: {', '.join(idle)}")
        if self.peak_mib - self.before_mib > self.limits.memory_mib:
            found.append(f"memory grew by {self.peak_mib - self.before_mib:.0f} MiB")
        if self.sockets_left > 0:
            found.append(f"the server holds {self.sockets_left} sockets more than before")
        if not self.seen.answers or not self.seen.pages_ms:
            found.append("no user got anything")
        if self.limits.p99_ms is not None:
            found += [
                f"{name}: p99 {_part(values, 0.99):.0f} ms"
                for name, values, limit_ms in self._latencies(self.limits.p99_ms)
                if _part(values, 0.99) > limit_ms
            ]
        return found

    def _limit_s(self, outcome: Outcome) -> float:
        limits = self.limits
        if outcome.freed_by == "stalled":
            return limits.stalled_s
        if outcome.freed_by == "ping":
            return 2 * limits.ping_s + GOODBYE_S
        return limits.handshake_s

    def _latencies(self, limit_ms: float = 0.0) -> list[tuple[str, list[float], float]]:
        seen = self.seen
        return [
            ("ping to pong", seen.pongs_ms, limit_ms),
            ("chat to first chunk", seen.firsts_ms, limit_ms),
            ("page", seen.pages_ms, self.limits.page_p99_ms),
        ]

    def table(self) -> str:
        head = f"{'abuser':<26}{'count':>6}{'median s':>10}{'last s':>8}"
        lines = [f"{head}{'never':>7}{'made':>6}{'limit':>7}"]
        for name, outcome in self.outcomes.items():
            half, last = _part(outcome.seconds, 0.5), max(outcome.seconds, default=0.0)
            lines.append(
                f"{name:<26}{outcome.count:>6}{half:>10.1f}{last:>8.1f}{outcome.never:>7}"
                f"{outcome.made:>6}"
                f"{self._limit_s(outcome):>7.0f}"
            )
        lines.append("")
        lines.append(f"{'users':<26}{'count':>6}{'p50 ms':>10}{'p99 ms':>8}")
        for name, values, _ in self._latencies():
            half, last = _part(values, 0.5), _part(values, 0.99)
            lines.append(f"{name:<26}{len(values):>6}{half:>10.1f}{last:>8.1f}")
        lines.append(f"{'whole answers':<26}{self.seen.answers:>6}")
        lines.append("")
        lines.append(
            f"memory MiB: {self.before_mib:.0f} before, {self.peak_mib:.0f} at most"
            f" (+{self.peak_mib - self.before_mib:.0f}), {self.after_mib:.0f} after;"
            f" files: {self.most_files} at most; sockets: {self.sockets_left} left"
        )
        return "\n".join(lines)


def _part(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


async def run(count: int, users: int, limits: Limits) -> Report:
    """Run ``count`` abusive connections and ``users`` real users against a separate server."""
    async with serving(limits) as server:
        return await _measure(server.process.pid, server.port, count, users, limits)


async def _measure(pid: int, port: int, count: int, users: int, limits: Limits) -> Report:
    stream = await _long_answer(port)
    first, seen, watched = Seen(), Seen(), Watched(pid, port)
    await _use(users, port, first, asyncio.sleep(limits.before_s))
    if first.wrong:
        raise RuntimeError(first.wrong[0])
    sockets = watched.sockets
    watched.before_mib = watched.mib
    watching = asyncio.create_task(watched.run())
    limit_s = max(limits.stalled_s, 2 * limits.ping_s, limits.handshake_s) + 10
    storm: asyncio.Future[dict[str, Any]] = asyncio.ensure_future(
        _storm(port, count, limit_s, stream)
    )
    await _use(users, port, seen, storm)
    watching.cancel()
    until = time.monotonic() + 5 + limits.slack_s
    while watched.sockets > sockets and time.monotonic() < until:
        await asyncio.sleep(0.1)
    return Report(
        limits,
        {name: Outcome(**outcome) for name, outcome in storm.result().items()},
        seen,
        watched.before_mib,
        watched.peak_mib,
        watched.mib,
        watched.most_files,
        max(0, watched.sockets - sockets),
    )


async def _use(count: int, port: int, seen: Seen, work: Awaitable[object]) -> None:
    """Run users until ``work`` is done, and for two seconds longer."""
    users = [User(number, port, seen) for number in range(count)]
    running = [asyncio.create_task(user.run()) for user in users]
    await asyncio.sleep(1)
    await work
    await asyncio.sleep(2)
    for user in users:
        user.leave()
    await asyncio.wait(running)


async def _storm(port: int, count: int, limit_s: float, stream: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "10"),  # the abusive clients have their own processors in reality
        *(sys.executable, "-m", "tests.faults.abuse"),
        *("--storm", str(port), "--count", str(count)),
        *("--limit", str(limit_s), "--stream", stream),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    outcomes: dict[str, Any] = json.loads(told)
    return outcomes


async def _long_answer(port: int) -> str:
    """Generate an answer too large for one socket write; return its stream."""
    async with connect(f"ws://127.0.0.1:{port}/ws/ai-chat") as connection:
        ask = {"type": "chat", "id": "1", "message": "/lab tokens 20000 20000"}
        await connection.send(json.dumps(ask))
        stream: str = json.loads(await connection.recv())["stream"]
        async for data in connection:
            if json.loads(data)["type"] == "done":
                break
        return stream


@contextlib.contextmanager
def _lab() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "wireside.testing"], stdout=subprocess.PIPE, text=True
    ) as lab:
        try:
            assert lab.stdout is not None
            yield lab.stdout.readline().strip()
        finally:
            lab.terminate()


@contextlib.asynccontextmanager
async def serving(limits: Limits, **settings: object) -> AsyncIterator[ServerProcess]:
    """Run a server and its model, each in a separate process.

    Errors that the server logs are printed at its end.
    """
    with tempfile.TemporaryDirectory() as folder, _lab() as url:
        more: dict[str, Any] = {
            "OPENAI_API_KEY": "lab",
            "log_level": "error",
            **limits.settings(),
            **settings,
        }
        server = ServerProcess(Path(folder), url, **more)
        try:
            async with server:
                yield server
        finally:
            sys.stderr.write(server.log)


def main() -> int:
    """Run the abusive clients and print the results; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="abusive connections")
    parser.add_argument("--users", type=int, default=20, help="real users at the same time")
    parser.add_argument("--storm", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--stream", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.storm:  # the process of the abusive clients
        storm = Storm(given.storm, given.count, given.limit, given.stream)
        print(json.dumps(asyncio.run(storm.run())))
        return 0
    report = asyncio.run(run(given.count, given.users, Limits()))
    print(report.table())
    for sentence in report.broken:
        print("broken:", sentence)
    return int(bool(report.broken))


if __name__ == "__main__":
    sys.exit(main())
