"""An MCP server by HTTP without the package ``mcp``, for what the package refuses to do."""

from __future__ import annotations

import asyncio
import gzip
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

TOOL = {
    "name": "call",
    "inputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}
BOMB = gzip.compress(bytes(10_000_000), 1)
CHANGE = (
    b'event: message\ndata: {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}\n\n'
)
RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "raw", "version": "1"},
    },
    "tools/list": {"tools": [TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "Result."}]},
}


@dataclass
class RawServer:
    """A server with a habit that concerns the requests of one method."""

    habit: str = ""
    method: str = "tools/call"
    elsewhere: str = ""
    """The address to which the habit ``redirect`` points."""
    port: int = 0
    session: str = "one"
    """The id of the session that it knows."""
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """HTTP method, header fields and message of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def methods(self) -> list[str]:
        return [str(message.get("method")) for _, _, message in self.requests]

    async def handle(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while True:
                await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: StreamReader, writer: StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): text for name, text in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        message = json.loads(body or "{}")
        self.requests.append((first.split()[0], headers, message))
        if first.startswith("GET") and self.habit == "changes":
            await stream(writer, "text/event-stream", CHANGE, 3)
            return await asyncio.sleep(3600)
        if first.startswith(("GET", "DELETE")):
            return respond(writer, 405, b"", "text/plain")
        if "id" not in message:
            if message["method"] == self.method and self.habit == "hang":
                await asyncio.sleep(3600)
            return respond(writer, 202, b"", "text/plain")
        if message["method"] == self.method and self.habit:
            return await self._misbehave(writer, message["id"])
        if headers.get("mcp-session-id", self.session) != self.session:
            return respond(writer, 404, b"", "text/plain")
        result = RESULTS.get(message["method"])
        kind = f"application/json\r\nMcp-Session-Id: {self.session}"
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        error = {"code": -32601, "message": "Method not found"}
        reply |= {"error": error} if result is None else {"result": result}
        respond(writer, 200, json.dumps(reply).encode(), kind)

    async def _misbehave(self, writer: StreamWriter, request_id: Any) -> None:
        result = {"jsonrpc": "2.0", "id": request_id, "result": RESULTS["tools/call"]}
        match self.habit:
            case "hang":
                await asyncio.sleep(3600)
            case "500":
                respond(writer, 500, b"<h1>sesame</h1>" * 100_000, "text/html")
            case "404":
                respond(writer, 404, b"", "text/plain")
            case "reset":
                writer.transport.abort()
            case "html":
                respond(writer, 200, b"<h1>Log in</h1>", "text/html")
            case "not json":
                respond(writer, 200, b"{" * 1_000)
            case "202":
                respond(writer, 202, b"", "text/plain")
            case "wrong id":
                respond(writer, 200, json.dumps({**result, "id": 999}).encode())
            case "large":
                await stream(writer, "application/json", b"[" + b"1," * 500_000, 100)
            case "large event":
                await stream(writer, "text/event-stream", b"data: " + b"x" * 1_000_000, 100)
            case "events without end":
                event = b'event: message\ndata: {"jsonrpc": "2.0", "method": "notifications/x"}\n\n'
                await stream(writer, "text/event-stream", event * 1_000, 100_000)
            case "bytes without end":
                await stream(writer, "text/event-stream", b": x\n" * 100_000, 100_000)
            case "bomb":
                respond(writer, 200, BOMB, "application/json\r\nContent-Encoding: gzip")
            case "broken stream":
                await stream(writer, "text/event-stream", b"event: message\ndata: {", 1)
                writer.transport.abort()
            case "broken body":
                head = "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 99"
                writer.write(f"{head}\r\n\r\n{{".encode())
                await writer.drain()
                writer.transport.abort()
            case "redirect":
                respond(writer, 307, b"", f"text/plain\r\nLocation: {self.elsewhere}")


def respond(
    writer: StreamWriter, status: int, body: bytes, content_type: str = "application/json"
) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    writer.write(f"{head}\r\n\r\n".encode() + body)


async def stream(writer: StreamWriter, content_type: str, data: bytes, times: int) -> None:
    writer.write(f"HTTP/1.1 200 X\r\nContent-Type: {content_type}\r\n\r\n".encode())
    for _ in range(times):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def raw_http(habit: str = "", **more: Any) -> AsyncIterator[RawServer]:
    """Serve on a free port of this machine."""
    server = RawServer(habit, **more)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, limit=2**20)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
