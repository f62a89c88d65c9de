"""HTTP requests and handshakes written byte by byte, as libraries can't send invalid ones."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wireside.conformance.address import Address
from wireside.conformance.results import TimedOut, Violation, shown

MAX_HEAD_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = 65_536
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class RawReply:
    """The response to a request: status, header fields in lower case, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """Return the body as an object; empty if it is not one."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def __str__(self) -> str:
        body = f": {self.body.decode('utf-8', 'replace')}" if self.body else ""
        return shown(f"HTTP {self.status}{body}")


async def request(
    address: Address,
    *,
    target: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float,
) -> RawReply:
    """Send a request on a connection of its own and return the response.

    Raises:
        Violation: the connection failed, or the response can't be read.
    """
    fields = {
        "Host": address.authority,
        "Connection": "close",
        **({"Content-Length": str(len(body))} if body or method != "GET" else {}),
        **(headers or {}),
    }
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(address, head + body)
    except TimeoutError:
        raise TimedOut("an HTTP response", f"nothing within {timeout_s:g} s") from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        came = f"{type(error).__name__}: {error}"
        raise Violation("an HTTP response", shown(came)) from None


async def handshake(
    address: Address,
    *,
    target: str,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
) -> RawReply:
    """Send the handshake of a WebSocket, end the connection, and return the response.

    Raises:
        Violation: as for ``request``, or the response to the key is wrong.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    fields = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        **(headers or {}),
    }
    reply = await request(address, target=target, headers=fields, timeout_s=timeout_s)
    digest = hashlib.sha1(key.encode() + _GUID.encode(), usedforsecurity=False).digest()
    accept = base64.b64encode(digest).decode()
    if reply.status == 101 and reply.headers.get("sec-websocket-accept") != accept:
        raise Violation(f"Sec-WebSocket-Accept: {accept}", shown(dict(reply.headers)))
    return reply


async def _exchange(address: Address, data: bytes) -> RawReply:
    tls = ssl.create_default_context() if address.is_secure else None
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=tls, limit=MAX_HEAD_BYTES
    )
    try:
        writer.write(data)
        await writer.drain()
        return await _read_reply(reader)
    finally:
        writer.transport.abort()


async def _read_reply(reader: asyncio.StreamReader) -> RawReply:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(first.split()[1]) if len(first.split()) > 1 else 0
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if status == 101:
        return RawReply(status, headers)
    length = headers.get("content-length")
    if length is not None:
        return RawReply(status, headers, await reader.readexactly(min(int(length), MAX_BODY_BYTES)))
    body = b""
    while len(body) < MAX_BODY_BYTES and (data := await reader.read(MAX_BODY_BYTES)):
        body += data
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _unchunked(body)
    return RawReply(status, headers, body)


def _unchunked(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, rest = data.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        if not length:
            return body
        body += rest[:length]
        data = rest[length + 2 :]
