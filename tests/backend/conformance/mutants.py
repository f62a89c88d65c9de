"""Servers that break one rule: a proxy that changes frames of a real server, and a raw server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Fields = dict[str, Any]


@dataclass(frozen=True)
class Lie:
    """Changes the frames of one connection.

    ``up`` gets what the client sends and returns what the server gets, None for nothing.
    ``reply`` returns an answer to what the client sends, which then does not reach the server.
    ``down`` returns what the client gets for a frame of the server.
    """

    up: Callable[[Any], Any] = lambda data: data
    reply: Callable[[Any], str | None] = lambda data: None
    down: Callable[[Fields], Iterable[Fields]] = lambda frame: [frame]


@asynccontextmanager
async def mutant(target: str, make_lie: Callable[[], Lie]) -> AsyncIterator[str]:
    """Run a proxy to ``target``, the URL of a WebSocket; each connection has a lie of its own."""

    async def handle(client: ServerConnection) -> None:
        lie = make_lie()
        assert client.request is not None
        query = client.request.path.partition("?")[2]
        async with connect(
            f"{target}?{query}", proxy=None, max_size=None, compression=None
        ) as server:
            pumps = [
                asyncio.create_task(pump_up(client, server, lie)),
                asyncio.create_task(pump_down(client, server, lie)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            with contextlib.suppress(ConnectionClosed):
                await client.close(server.close_code or 1000)

    async def pump_up(client: ServerConnection, server: Any, lie: Lie) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in client:
                if (answer := lie.reply(data)) is not None:
                    await client.send(answer)
                elif (sent := lie.up(data)) is not None:
                    await server.send(sent)

    async def pump_down(client: ServerConnection, server: Any, lie: Lie) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in server:
                try:
                    frames = list(lie.down(json.loads(data)))
                except ValueError:
                    await client.send(data)
                    continue
                for frame in frames:
                    await client.send(json.dumps(frame, ensure_ascii=False))

    async with serve(handle, "127.0.0.1", 0, max_size=None, close_timeout=1) as proxy:
        port = next(iter(proxy.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws/ai-chat"


# ---- lies ----------------------------------------------------------------------------------------


def fields_of(data: Any) -> Fields:
    """Return a client's frame as fields; empty if it is not an object."""
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def edit(kind: str, change: Callable[[Fields], object], *, once: bool = False) -> Lie:
    """Change the server's frames of a type in place."""
    changed: list[Fields] = []

    def down(frame: Fields) -> Iterable[Fields]:
        if frame["type"] == kind and not (once and changed):
            changed.append(frame)
            change(frame)
        return [frame]

    return Lie(down=down)


def put(kind: str, **fields: Any) -> Lie:
    """Set fields of the server's frames of a type."""
    return edit(kind, lambda frame: frame.update(fields))


def drop(kind: str, *names: str, once: bool = False) -> Lie:
    """Remove fields of the server's frames of a type; without names, the frames."""
    if names:
        return edit(kind, lambda frame: [frame.pop(name, None) for name in names], once=once)
    return Lie(down=lambda frame: [] if frame["type"] == kind else [frame])


def twice(kind: str) -> Lie:
    """Send the server's frames of a type twice."""
    return Lie(down=lambda frame: [frame, frame] if frame["type"] == kind else [frame])


def ignore(kind: str) -> Lie:
    """Swallow the client's frames of a type."""
    return Lie(up=lambda data: None if fields_of(data).get("type") == kind else data)


def strip(kind: str, *names: str) -> Lie:
    """Remove fields of the client's frames of a type."""
    return change_up(kind, lambda frame: [frame.pop(name, None) for name in names])


def change_up(kind: str, change: Callable[[Fields], object]) -> Lie:
    """Change the client's frames of a type in place."""

    def up(data: Any) -> Any:
        frame = fields_of(data)
        if frame.get("type") != kind:
            return data
        change(frame)
        return json.dumps(frame)

    return Lie(up=up)


def answer(is_meant: Callable[[Any], bool], reply: Fields | str) -> Lie:
    """Reply to some of the client's messages, which don't reach the server."""
    text = reply if isinstance(reply, str) else json.dumps(reply)
    return Lie(reply=lambda data: text if is_meant(data) else None)


def answer_to(kind: str, reply: Fields | str) -> Lie:
    """Reply to the client's frames of a type."""
    return answer(lambda data: fields_of(data).get("type") == kind, reply)


# ---- a raw server --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A response to a request, and bytes behind it. 101 has the right accept key."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Respond = Callable[[str, Mapping[str, str]], Answer]


@asynccontextmanager
async def raw_server(respond: Respond) -> AsyncIterator[str]:
    """Run a server that answers each request by ``respond(target, headers)``, and nothing more."""
    connections: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines if line)
            }
            writer.write(encoded(respond(first.split()[1], headers), headers))
            await writer.drain()
            await reader.read()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/ai-chat"
        for writer in connections:
            writer.transport.abort()


def encoded(answer: Answer, request: Mapping[str, str]) -> bytes:
    fields = dict(answer.headers)
    if answer.status == 101:
        key = request.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        fields["Upgrade"] = "websocket"
        fields["Connection"] = "Upgrade"
        fields["Sec-WebSocket-Accept"] = base64.b64encode(
            hashlib.sha1(key.encode()).digest()
        ).decode()
    else:
        fields["Content-Length"] = str(len(answer.body))
    lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body
