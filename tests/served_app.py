"""A real server on a free port, and clients that write raw bytes to it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.server.http import HttpConnection
from wireside.server.limits import SocketConfig, SocketLimits
from wireside.server.run import DrainTimes, WiresideServer
from wireside.server.websocket import WebSocketConnection

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class EchoApp:
    """Echoes text; ``flood N`` sends N frames of 1,000 characters; records what it receives."""

    def __init__(self) -> None:
        self.disconnects: list[int] = []
        self.received: list[Message] = []
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            self.paths.append(scope["path"])
            await self._answer(receive, send)
        else:
            self.paths.append(scope["path"])
            await self._echo(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _answer(self, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _echo(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.disconnects.append(message["code"])
                return
            self.received.append(message)
            text = message.get("text") or ""
            try:
                if text.startswith("flood"):
                    for _ in range(int(text.split()[1])):
                        await send({"type": "websocket.send", "text": "x" * 1000})
                elif text.startswith("close"):
                    await send({"type": "websocket.close", "code": int(text.split()[1])})
                else:
                    await send({"type": "websocket.send", "text": text})
            except OSError:
                pass  # the peer is gone; `receive` says so too


@dataclass
class Served:
    """A running server, and the app that it serves."""

    port: int
    server: WiresideServer

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/ai-chat"

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    async def until_connections(self, count: int) -> None:
        while self.connections != count:
            await asyncio.sleep(0.01)


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Call with an app and limits to start a server; all are stopped at the end."""
    running: list[tuple[WiresideServer, asyncio.Task[None]]] = []

    async def start(
        app: ASGIApp, *, shutdown_s: float = 0.5, proxies: Sequence[str] = (), **limits: Any
    ) -> Served:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = SocketConfig(
            app,
            SocketLimits(**limits),
            proxies=proxies,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            http=HttpConnection,
            ws=WebSocketConnection,
            lifespan="on",
            log_config=None,
            access_log=False,
            interface="asgi3",
        )
        listening = asyncio.Event()
        server = WiresideServer(config, DrainTimes(answers_s=shutdown_s), lambda _: listening.set())
        task = asyncio.create_task(server.serve(sockets=[listener]))
        running.append((server, task))
        await listening.wait()
        return Served(listener.getsockname()[1], server)

    yield start
    for server, task in running:
        server.should_exit = True
        await task


@pytest.fixture
def echo() -> EchoApp:
    return EchoApp()


class RawClient:
    """A raw WebSocket client: sends exactly the given bytes, without automatic replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, small_buffer: bool = False) -> RawClient:
        sock = socket.socket()
        # asyncio sets it on sockets whose protocol is given; frames in two writes would wait 40 ms
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if small_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        # Only a little is read ahead, so that a client that does not read applies back-pressure.
        return cls(*await asyncio.open_connection(sock=sock, limit=1024))

    async def upgrade(
        self, *headers: str, path: str = "/ws/ai-chat", host: str = "127.0.0.1"
    ) -> int:
        """Send a handshake; return the status, and read the body of a refusal."""
        lines = [
            f"GET {path} HTTP/1.1",
            *([f"Host: {host}"] if host else []),
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            *headers,
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        return await self.status()

    async def status(self) -> int:
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        return int(self.head.split()[1])

    async def message(self) -> str:
        """Return the message of a refusal."""
        sentence: str = json.loads(await self.reader.read())["message"]
        return sentence

    def send(self, opcode: int, data: bytes = b"", *, fin: bool = True) -> None:
        self.writer.write(frame(opcode, data, fin=fin))

    async def receive(self) -> tuple[int, bytes]:
        """Return the opcode and the payload of the next frame."""
        head, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return head & 15, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        """Read until the close frame; return its code."""
        while True:
            opcode, data = await self.receive()
            if opcode == CLOSE:
                (code,) = struct.unpack("!H", data[:2])
                return int(code)

    async def until_gone(self) -> None:
        """Read until the server has closed the TCP connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def abort(self) -> None:
        self.writer.transport.abort()


def frame(opcode: int, data: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a client's frame, masked with zeros."""
    head = (0x80 if fin else 0) | opcode
    if len(data) < 126:
        size = bytes((0x80 | len(data),))
    elif len(data) < 65536:
        size = struct.pack("!BH", 0xFE, len(data))
    else:
        size = struct.pack("!BQ", 0xFF, len(data))
    return bytes((head,)) + size + bytes(4) + data


Connect = Callable[..., Awaitable[RawClient]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Call with a port to connect; all connections are aborted at the end."""
    clients: list[RawClient] = []

    async def open_one(port: int, *, small_buffer: bool = False) -> RawClient:
        client = await RawClient.connect(port, small_buffer=small_buffer)
        clients.append(client)
        return client

    yield open_one
    for client in clients:
        client.abort()
