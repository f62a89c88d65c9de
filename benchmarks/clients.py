"""Clients of both servers and of the model: raw protocols that parse frames and check texts.

They run in the harness's process, separate from the measured servers.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Literal, cast

import msgspec

from benchmarks.answers import STAMP_CHARS, Plan
from benchmarks.answers import text as text_of
from benchmarks.servers import Server

Level = Literal[1, 2]

ANSWER_S = 180.0
"""Timeout of an answer, in seconds."""

_numbers = count()


class Frame(msgspec.Struct):
    """A frame of either server, reduced to the fields that the clients read."""

    type: str
    content: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(Frame).decode


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class Answer:
    """The received part of one answer, with the measured times."""

    plan: Plan
    asked_ns: int
    first_ns: int | None = None
    chars: int = 0
    pieces: list[str] = field(default_factory=list)
    delays_ns: list[int] = field(default_factory=list)
    begun: asyncio.Future[None] = field(default_factory=_future)
    ended: asyncio.Future[None] = field(default_factory=_future)

    def add(self, content: str, now_ns: int) -> None:
        """Record a piece that arrived at ``now_ns``."""
        if self.first_ns is None:
            self.first_ns = now_ns
            self.begun.set_result(None)
        self.chars += len(content)
        if self.plan.kind == "stamps":
            for start in range(0, len(content), STAMP_CHARS):
                self.delays_ns.append(now_ns - int(content[start : start + 16], 16))
        else:
            self.pieces.append(content)

    def end(self, error: str | None = None) -> None:
        """Resolve ``ended``, with an exception if ``error`` is given or the text is wrong."""
        if self.ended.done():
            return
        if error is None and self.plan.kind == "stamps":
            if self.chars != self.plan.tokens * STAMP_CHARS:
                error = "tokens are missing"
        elif error is None and "".join(self.pieces) != text_of(self.plan.kind, self.plan.tokens):
            error = "the text is not what the model sent"
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(RuntimeError(error))
            if not self.begun.done():
                self.begun.set_exception(RuntimeError(error))

    async def whole(self) -> None:
        """Wait for the end of the answer.

        Raises:
            RuntimeError: the answer failed or its text is wrong.
            TimeoutError: the answer took longer than ``ANSWER_S``.
        """
        async with asyncio.timeout(ANSWER_S):
            await self.ended


class _Peer(asyncio.Protocol):
    """A connection with at most one answer at a time."""

    answer: Answer | None = None

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport for writing."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the unfinished answer."""
        if self.answer is not None:
            self.answer.end("the connection was lost")

    def _expect(self, plan: Plan) -> Answer:
        self.answer = Answer(plan, time.monotonic_ns())
        return self.answer


class Direct(_Peer):
    """A client connected directly to the model: the baseline without a server in between."""

    _EVENT = re.compile(rb'"content":"((?:[^"\\]|\\.)+)"')

    def ask(self, plan: Plan) -> Answer:
        """Request an answer of ``stamps``."""
        body = f'{{"messages":[{{"role":"user","content":"{plan}"}}],"stream":true}}'.encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: upstream\r\nContent-Length: %d\r\n\r\n"
        answer = self._expect(plan)
        self.transport.write(head % len(body) + body)
        return answer

    def data_received(self, data: bytes) -> None:
        """Record the tokens of complete events."""
        now = time.monotonic_ns()
        whole, cut, self._rest = (self._rest + data).rpartition(b"\n\n")
        if self.answer is None:
            return
        for content in self._EVENT.findall(whole + cut):
            self.answer.add(content.decode(), now)
        if b"[DONE]" in whole:
            self.answer.end()


class Events(_Peer):
    """A client of a door that sends server-sent events: chat completions or responses."""

    _TEXTS: ClassVar = {
        "/v1/chat/completions": re.compile(rb'"content": ?("(?:[^"\\]|\\.)+")'),
        "/v1/responses": re.compile(rb'"delta": ?("(?:[^"\\]|\\.)+")'),
    }
    _ENDS: ClassVar = {"/v1/chat/completions": b"[DONE]", "/v1/responses": b"response.completed"}

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._text = self._TEXTS[path]
        self._end = self._ENDS[path]
        self._has_end = False

    def ask(self, plan: Plan) -> Answer:
        """Request an answer."""
        if self._path.endswith("completions"):
            asked = f'"messages":[{{"role":"user","content":"{plan}"}}]'
        else:
            asked = f'"store":false,"input":"{plan}"'
        body = f'{{{asked},"stream":true}}'.encode()
        head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
        answer = self._expect(plan)
        self.transport.write(head % (self._path.encode(), len(body)) + body)
        return answer

    def data_received(self, data: bytes) -> None:
        """Record the tokens of complete events."""
        now = time.monotonic_ns()
        whole, cut, self._rest = (self._rest + data).rpartition(b"\n\n")
        if self.answer is None:
            return
        for content in self._text.findall(whole + cut):
            self.answer.add(msgspec.json.decode(content), now)
        self._has_end = self._has_end or self._end in whole
        if self._has_end and data.endswith(b"0\r\n\r\n"):  # the server takes no request before it
            self._has_end = False
            self.answer.end()


class Socket(_Peer):
    """A WebSocket client of Wireside's protocol, which the relay uses too."""

    def __init__(
        self, path: str, port: int, level: Level, *, with_deflate: bool, is_stored: bool
    ) -> None:
        super().__init__()
        self._where = '"conversation":"new",' if is_stored else ""
        self.is_open = _future()
        self._level = level
        self._keeps_context = True
        self._inflate: Callable[[bytes], bytes] | None = None
        extensions = (
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            if with_deflate
            else ""
        )
        self._handshake = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{extensions}"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
        ).encode()

    def ask(self, plan: Plan) -> Answer:
        """Send a question; the returned answer is filled as frames arrive."""
        request_id = f'"id":"{next(_numbers)}",' if self._level == 2 else ""
        answer = self._expect(plan)
        self._send(1, f'{{"type":"chat",{request_id}{self._where}"message":"{plan}"}}'.encode())
        return answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        super().connection_made(transport)
        self.transport.write(self._handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the unfinished answer, and the handshake if it is still pending."""
        super().connection_lost(exc)
        if not self.is_open.done():
            self.is_open.set_exception(RuntimeError("the handshake failed"))

    def data_received(self, data: bytes) -> None:
        """Handle complete frames; the rest is buffered."""
        now = time.monotonic_ns()
        data = self._rest + data
        at = 0
        if not self.is_open.done():
            at = self._after_handshake(data)
        size = len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if size < start + length:
                break
            payload = data[start : start + length]
            if data[at] & 0x40:
                payload = self._inflated(payload)
            self._take(data[at] & 0x0F, payload, now)
            at = start + length
        self._rest = data[at:]

    def _after_handshake(self, data: bytes) -> int:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if data.startswith(b"HTTP/1.1 101"):
            self._keeps_context = b"server_no_context_takeover" not in data[:end]
            self.is_open.set_result(None)
        else:
            self.is_open.set_exception(RuntimeError(data[:200].decode(errors="replace")))
        return end + 4

    def _take(self, opcode: int, payload: bytes, now: int) -> None:
        if opcode == 9:
            self._send(10, payload)
        if opcode != 1 or self.answer is None:
            return
        frame = _decode(payload)
        if frame.type == "chunk":
            self.answer.add(frame.content, now)
        elif frame.type == "done":
            self.answer.end()
        elif frame.type == "error":
            self.answer.end(frame.message)

    def _inflated(self, payload: bytes) -> bytes:
        if self._inflate is None or not self._keeps_context:
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS).decompress
        return self._inflate(payload + b"\0\0\xff\xff")

    def _send(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        # a mask of zeros leaves the payload unchanged
        self.transport.write(bytes([0x80 | opcode]) + size + b"\0\0\0\0" + payload)


Peer = Socket | Direct | Events


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint to connect to, and its name in the table."""

    name: Literal["wireside", "relay", "direct", "door"]
    server: Server
    path: str = ""
    level: Level = 2
    is_stored: bool = False

    async def connect(self, number: int, *, with_deflate: bool = False) -> list[Peer]:
        """Open ``number`` connections, at most twenty at a time."""
        opened: list[Peer] = []
        for start in range(0, number, 20):
            opening = [self._one(with_deflate) for _ in range(start, min(number, start + 20))]
            opened += await asyncio.gather(*opening)
        return opened

    async def _one(self, with_deflate: bool) -> Peer:
        loop = asyncio.get_running_loop()
        port = self.server.port
        make: Callable[[], Peer] = Direct
        if self.name == "door":
            make = lambda: Events(self.path)  # noqa: E731
        elif self.name != "direct":
            make = lambda: Socket(  # noqa: E731  # the same call for both classes
                self.path, port, self.level, with_deflate=with_deflate, is_stored=self.is_stored
            )
        _, peer = await loop.create_connection(make, "127.0.0.1", port)
        if isinstance(peer, Socket):
            await peer.is_open
        return peer


def wireside(server: Server, level: Level = 2, *, is_stored: bool = False) -> Target:
    """Return the raw endpoint; with ``is_stored`` every question starts a conversation."""
    return Target("wireside", server, "/ws/ai-chat", level, is_stored)


def relay(server: Server) -> Target:
    """Return the endpoint of the bare relay."""
    return Target("relay", server, "/ws", 1)


def door(server: Server, path: str) -> Target:
    """Return an endpoint of a door that sends server-sent events."""
    return Target("door", server, path)


def direct(upstream: Server) -> Target:
    """Return the endpoint of the model itself."""
    return Target("direct", upstream)


@contextmanager
def closing(peers: list[Peer]) -> Iterator[list[Peer]]:
    """Abort the connections on exit."""
    try:
        yield peers
    finally:
        for peer in peers:
            peer.answer = None
            peer.transport.abort()
