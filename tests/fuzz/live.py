"""Frames against a real server: it must stay up, answer each request once, and not grow.

Many concurrent clients: most send frames (valid, nearly valid, not frames at all) and check each of
the server's frames against the protocol; some disconnect during an answer and resume it; some
violate the WebSocket protocol itself. The model is the fault lab, so answers fail as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import random
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.fuzz import words
from tests.fuzz.dice import Dice
from tests.fuzz.served import Served, served
from wireside.protocol import frames
from wireside.protocol.frames import BatchFrame, CancelFrame, Heartbeat, PingFrame

CLIENTS = 96
PATIENCE_S = 60.0
"""Time limit of an answer, in seconds: the lab's end at once, and silence ends after 2 s."""

MAX_GROWTH_MB = 200
MAX_BATCH = 3
"""Maximum size of most batches: each of their messages is an answer to wait for."""

MAX_CHARS = 2_000

SETTINGS: dict[str, object] = {
    "messages_per_minute": 10_000_000,
    "messages_per_minute_address": 100_000_000,
    "connections_per_address": 10_000,
    "max_message_chars": MAX_CHARS,
    "silence_s": 2,
    "first_token_s": 2,
    "resume_window_s": 30,
}

QUESTIONS = (
    *("Hi", "é😀", "/lab tokens 40", "/lab reasoning", "/lab tool", "/lab length", "/lab filter"),
    *(
        "/lab cut",
        "/lab reset",
        "/lab short",
        "/lab error",
        "/lab broken",
        "/lab html",
        "/lab json",
    ),
    *("/lab status 400", "/lab status 401", "/lab status 404", "/lab crlf", "/lab gzip"),
    *("/lab bytes", "/lab say <script>alert(1)</script>", "/lab tokens 200 2000", "/lab say "),
)
LAST = ("done", "error")


@dataclass
class Tally:
    """Counts of observations. ``wrong`` must stay empty."""

    frames: int = 0
    connections: int = 0
    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    rude: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Live:
    """One run against one server."""

    server: Served
    goal: int
    dice: random.Random
    tally: Tally = field(default_factory=Tally)
    streams: list[tuple[str, int]] = field(default_factory=list)
    """Names of streams that clients have received, and offsets in them."""

    async def run(self) -> Tally:
        """Send frames until ``goal`` is reached."""
        await asyncio.gather(
            *(self._go_on(random.Random(self.dice.random())) for _ in range(CLIENTS))
        )
        return self.tally

    async def _go_on(self, dice: random.Random) -> None:
        while self.tally.frames < self.goal and len(self.tally.wrong) < 20:
            self.tally.connections += 1
            if dice.random() < 0.12:
                await Rude(self, dice).run()
            else:
                await Client(self, dice).run()

    @property
    def url(self) -> str:
        """URL of the endpoint."""
        return self.server.url.replace("http", "ws") + "/ws/ai-chat"


class Client:
    """One connection that follows the WebSocket protocol, and the chat protocol nearly."""

    def __init__(self, live: Live, dice: random.Random) -> None:
        self._live = live
        self._dice = dice
        self._expected = 0  # number of last frames
        self._seen = 0
        self._pongs = 0
        self._ids: set[str] = set()
        self._sent: list[str] = []
        self._changed = asyncio.Event()
        self._ended = False

    async def run(self) -> None:
        """Send some frames, then wait for the required answers; or disconnect without waiting."""
        compression = self._dice.choice((None, "deflate"))
        try:
            async with connect(self._live.url, compression=compression) as socket:
                reader = asyncio.create_task(self._read(socket))
                try:
                    await self._talk(socket)
                finally:
                    reader.cancel()
                    await asyncio.wait([reader])
        except (ConnectionClosed, OSError, TimeoutError) as error:
            if not self._ended:
                self._wrong(f"the connection ended by itself: {error!r}")

    async def _talk(self, socket: ClientConnection) -> None:
        for _ in range(self._dice.randint(1, 60)):
            text = self._frame()
            self._expect(text)
            self._live.tally.frames += 1
            await socket.send(text)
            if self._dice.random() < 0.1:
                await asyncio.sleep(self._dice.random() * 0.02)
            if self._ended:
                return
        leaves = self._dice.random()
        if leaves < 0.1:
            self._ended = True
            return  # with a close frame, during an answer
        if leaves < 0.15:
            self._ended = True
            socket.transport.abort()
            return
        if leaves < 0.2:
            self._ended = True
            self._live.tally.frames += 1
            await socket.send(self._dice.randbytes(9))
            await socket.wait_closed()
            if socket.close_code != 1003:
                self._wrong(f"a binary frame closed with {socket.close_code}")
            return
        await self._settle(socket)

    async def _settle(self, socket: ClientConnection) -> None:
        """Wait for the last frames; after them, only the answer to a ping may arrive."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._until(lambda: self._seen >= self._expected)
                self._pongs += 1
                self._live.tally.frames += 1
                await socket.send('{"type":"ping","t":"end"}')
                await self._until(lambda: self._pongs <= 0)
        except TimeoutError:
            self._wrong(
                f"{self._seen} of {self._expected} last frames, {self._pongs} pongs to come"
            )
        if self._seen > self._expected:
            self._wrong(f"{self._seen} last frames for {self._expected} requests")
        self._ended = True

    async def _until(self, is_so: Any) -> None:
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    # ---- sending -----------------------------------------------------------------------------

    def _frame(self) -> str:
        dice = self._dice
        kind = dice.random()
        if kind < 0.3:
            return json.dumps({"type": "chat", "message": dice.choice(QUESTIONS)} | self._options())
        if kind < 0.38 and self._live.streams:
            stream, offset = dice.choice(self._live.streams[-200:])
            at = dice.choice((0, offset, offset, offset + 1, 2**53 - 1))
            self._live.tally.resumed += 1
            name = dice.choice("abcdefghij")
            return json.dumps({"type": "resume", "id": name, "stream": stream, "offset": at})
        if kind < 0.42:
            return dice.randbytes(dice.randint(0, 60)).decode("utf-8", "replace")
        if kind < 0.43:
            return json.dumps(
                {"type": "chat", "message": "x" * dice.choice((2_000, 2_001, 500_000))}
            )
        while True:
            text = words.frame(Dice(dice.randbytes(120))).encode("utf-8", "replace").decode()
            parsed = frames.parse_client_frame(text, max_message_chars=MAX_CHARS)
            if not isinstance(parsed, BatchFrame):
                return text
            if parsed.parallel is not None:
                continue  # its last frames can't be told from those of a batch in order
            if len(parsed.messages) <= MAX_BATCH or dice.random() < 0.05:
                return text

    def _options(self) -> dict[str, object]:
        dice = self._dice
        if dice.random() < 0.4:
            return {}
        options: dict[str, object] = {
            "conversation": "new",
            "key": f"k{dice.randint(0, 10**12)}",
            "sanitize": True,
            "system": "Be brief.",
            "temperature": 0.5,
            "max_tokens": 100,
            "offset": dice.choice((0, 0, 3)),
            "attachments": ["none"],
            "model": dice.choice(("lab-1", "lab-2", "gpt-9", "")),
        }
        names = dice.sample(sorted(options), dice.choice((0, 0, 1, 1, 2, 4)))
        return {"id": dice.choice("abcdefghij")} | {name: options[name] for name in names}

    def _expect(self, text: str) -> None:
        parsed = frames.parse_client_frame(text, max_message_chars=MAX_CHARS)
        self._sent.append(text[:300])
        if request_id := getattr(parsed, "id", None):
            self._ids.add(request_id)
        match parsed:
            case PingFrame():
                self._pongs += 1
            case Heartbeat():
                self._pongs += parsed.reply is not None
            case CancelFrame():
                pass
            case BatchFrame():
                self._expected += len(parsed.messages)
            case _:
                self._expected += 1

    # ---- receiving ---------------------------------------------------------------------------

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                if (
                    str(data).strip('"_').lower() == "pong"
                ):  # the answer to a heartbeat, not a frame
                    self._pongs -= 1
                    self._changed.set()
                    continue
                try:
                    self._take(json.loads(data, parse_constant=self._wrong))
                except Exception as error:
                    self._wrong(f"{error!r} at {data[:300]!r}")
                self._changed.set()

    def _take(self, frame: dict[str, Any]) -> None:
        kind, request_id = frame["type"], frame.get("id")
        if request_id is not None and request_id not in self._ids:
            self._wrong(f"a frame about a request that was never made: {frame}")
        match kind:
            case "start" | "resumed":
                self._live.streams.append((frame["stream"], frame.get("head", 0)))
                del self._live.streams[:-2_000]
            case "pong":
                self._pongs -= 1
            case "done":
                self._live.tally.answers += 1
                if request_id is None and set(frame) != {"type"}:
                    self._wrong(f"level 1 got {frame}")
            case "error":
                code = frame.get("code", "level 1")
                self._live.tally.errors[code] += 1
                if code == "internal" or not frame["message"]:
                    self._wrong(f"{frame}")
            case "chunk":
                if request_id is None and set(frame) != {"type", "content"}:
                    self._wrong(f"level 1 got {frame}")
                if request_id is None and "<script" in frame["content"].lower():
                    self._wrong(f"level 1 got a tag: {frame}")
            case "reasoning" | "tool" if request_id is not None:
                pass
            case _:
                self._wrong(f"a frame of no known kind: {frame}")
        if kind in LAST:
            self._seen += 1

    def _wrong(self, what: str) -> None:
        sent = "\n    ".join(self._sent[-8:])
        self._live.tally.wrong.append(f"{what}\n    {sent}")


class Rude:
    """One connection that violates the layers below: HTTP, the handshake, WebSocket."""

    def __init__(self, live: Live, dice: random.Random) -> None:
        self._live = live
        self._dice = dice

    async def run(self) -> None:
        """Send invalid bytes, read the reaction, and disconnect; any reaction is allowed."""
        host, _, port = self._live.server.url.removeprefix("http://").partition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except OSError as error:
            self._live.tally.wrong.append(f"nobody answers: {error!r}")
            return
        try:
            async with asyncio.timeout(5):
                writer.write(self._handshake(f"{host}:{port}"))
                if self._dice.random() < 0.8:
                    await reader.readuntil(b"\r\n\r\n")
                for _ in range(self._dice.randint(1, 30)):
                    writer.write(self._frame())
                    self._live.tally.frames += 1
                    self._live.tally.rude += 1
                    await writer.drain()
                    if writer.is_closing() or reader.at_eof():
                        break
                await reader.read(4096)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.transport.abort()

    def _handshake(self, host: str) -> bytes:
        lines = [
            "GET /ws/ai-chat HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Extensions: permessage-deflate",
            "Sec-WebSocket-Protocol: ai-chat",
        ]
        head = bytearray("\r\n".join([*lines, "", ""]).encode())
        if self._dice.random() < 0.2:
            for _ in range(self._dice.randint(1, 4)):
                at = self._dice.randrange(len(head))
                head[at : at + self._dice.randint(0, 2)] = self._dice.randbytes(1)
        return bytes(head)

    def _frame(self) -> bytes:
        dice = self._dice
        if dice.random() < 0.1:
            return dice.randbytes(dice.randint(1, 200))
        first = dice.choice(
            (0x81, 0x81, 0x01, 0x80, 0x00, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0x91, 0x83)
        )
        data = dice.choice(
            (b"", b'{"type":"ping"}', b"\xff\xfe", b"\x03\xe8", b"\x00", dice.randbytes(125))
        )
        masked = 0x80 if dice.random() < 0.97 else 0
        size = bytes((masked | len(data),))
        if dice.random() < 0.03:
            size = bytes((masked | 127,)) + dice.choice(
                (b"\x00\x00\x00\x00\xff\xff\xff\xff", b"\xff" * 8)
            )
        return bytes((first,)) + size + bytes(4 if masked else 0) + data


async def check_after(live: Live) -> None:
    """Check that all resources are released after the clients have disconnected."""
    tally, server = live.tally, live.server
    until = time.monotonic() + PATIENCE_S
    while (ready := await asyncio.to_thread(_ready, server.url))["streams"]:
        if time.monotonic() > until:
            tally.wrong.append(f"{ready['streams']} answers go on with nobody there")
            break
        await asyncio.sleep(0.2)
    try:
        async with connect(live.url) as socket:
            await socket.send('{"type":"chat","message":"Are you there?"}')
            while (frame := json.loads(await socket.recv()))["type"] not in LAST:
                pass
            if frame["type"] != "done":
                tally.wrong.append(f"afterwards: {frame}")
    except (ConnectionClosed, InvalidHandshake, OSError) as error:
        tally.wrong.append(f"afterwards: {error!r}")


def _ready(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/api/health/ready", timeout=10) as response:
        ready: dict[str, Any] = json.load(response)
        return ready


def main() -> int:
    """Send frames and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it counts writes to closed connections
    with served(**SETTINGS) as server:
        live = Live(server, given.frames, random.Random(given.seed))
        _ready(server.url)
        before, began = server.memory_mb, time.monotonic()
        tally = asyncio.run(_all(live))
        seconds, growth = time.monotonic() - began, server.memory_mb - before
        faults = server.faults()
    for name in ("frames", "connections", "answers", "resumed", "rude"):
        print(f"{name:<24} {getattr(tally, name):>10,}")
    for code, count in sorted(tally.errors.items()):
        print(f"error {code:<18} {count:>10,}")
    print(f"{'seconds':<24} {seconds:>10.1f}")
    print(f"{'memory grew, MB':<24} {growth:>10.1f}")
    print(f"{'seed':<24} {given.seed:>10}")
    print(f"{'wrong':<24} {len(tally.wrong):>10,}")
    if growth > MAX_GROWTH_MB + given.frames / 1_000:
        tally.wrong.append(f"memory grew by {growth:.0f} MB")
    for line in [*tally.wrong[:10], *faults]:
        print(" ", line)
    return int(bool(tally.wrong or faults))


async def _tell(live: Live) -> None:
    """Print the progress once a minute."""
    for minutes in itertools.count(1):
        await asyncio.sleep(60)
        tally = live.tally
        print(
            f"{minutes:4} min: {tally.frames:,} of {live.goal:,} frames, {len(tally.wrong)} wrong",
            flush=True,
        )


async def _all(live: Live) -> Tally:
    telling = asyncio.create_task(_tell(live))
    try:
        await live.run()
    finally:
        telling.cancel()
    await check_after(live)
    return live.tally


if __name__ == "__main__":
    sys.exit(main())
