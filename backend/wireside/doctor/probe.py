"""Command-line probe of the connection doctor: measures the network path to a server.

It only measures; ``wireside.diagnosis`` derives the findings, also for the browser's probe. It
connects directly, ignoring proxy variables of the environment.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import websockets
from websockets.asyncio.client import ClientConnection, connect

from wireside.diagnosis.measured import (
    BAD_CERTIFICATE,
    CHAT,
    NO_SUCH_NAME,
    NOTHING_LISTENS,
    PAGE,
    PROBE,
    AnswerTiming,
    Measured,
    Reply,
    Seen,
    Silence,
    StreamTiming,
    Upgrade,
)

REPLY_S: Final = 10.0
ANSWER_S: Final = 90.0
BRIEF_S: Final = 0.2
"""Time in which an immediate close of a WebSocket is expected, in seconds."""
TRIPS: Final = 10
LARGE_BYTES: Final = 1_310_720
QUESTION: Final = "Count from one to twenty."
QUICK_S: Final = 22.0
"""Default idle time in seconds: slightly more than the server's ping interval."""

Failures = (OSError, TimeoutError, EOFError, websockets.WebSocketException, httpx2.HTTPError)


_PAGE_PATH = re.compile(r"/(?:[cs]/[^/]*|login|join|settings|people|audit|dashboard|doctor)?/?$")
"""The path of a page, after the root path."""


class BadAddress(ValueError):
    """The address is not an HTTP URL; the text is a message for the user."""


async def probe(
    url: str,
    *,
    key: str | None = None,
    origin: str | None = None,
    idle_s: float = QUICK_S,
) -> Measured:
    """Measure the network path to ``url``; sends one short question to the model.

    Args:
        url: the server's URL; without a scheme, https is assumed.
        key: an API key, needed if the server has accounts.
        origin: origin of the simulated page; default: the server's own.
        idle_s: idle time of a WebSocket to test, in seconds.

    Raises:
        BadAddress: ``url`` is not an HTTP URL.
    """
    return await _Probe(address_of(url), key, origin, idle_s).run()


def address_of(url: str) -> str:
    """Return the address of the server that a page's URL belongs to.

    >>> address_of("chat.example.org/c/1")
    'https://chat.example.org'
    >>> address_of("https://example.org/tools/chat/doctor")
    'https://example.org/tools/chat'

    Raises:
        BadAddress: ``url`` is not an HTTP URL.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    try:
        is_good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or "@" in parts.netloc:
        raise BadAddress(f"{url} is not an HTTP URL. Example: https://chat.example.org")
    return f"{parts.scheme}://{parts.netloc}{_PAGE_PATH.sub('', parts.path)}"


def origin_of(address: str) -> str:
    """Return the origin of the pages of a server."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


class _Probe:
    def __init__(self, asked: str, key: str | None, origin: str | None, idle_s: float) -> None:
        self._asked = asked
        self._origin = (origin or origin_of(asked)).rstrip("/")
        self._key = {"Authorization": f"Bearer {key}"} if key else {}
        self._idle_s = idle_s
        self._tls = ssl.create_default_context() if asked.startswith("https:") else None

    async def run(self) -> Measured:
        async with httpx2.AsyncClient(
            base_url=self._asked,
            verify=self._tls or False,
            trust_env=False,
            timeout=REPLY_S,
            headers=self._key,
        ) as http:
            ready, memory_mb = await self._ready(http)
            if not ready.is_ours:
                return Measured(prober="shell", asked=self._asked, origin=self._origin, ready=ready)
            paths = (CHAT, PROBE, PAGE)
            upgrades = list(await asyncio.gather(*(self._upgrade(path) for path in paths)))
            seen, local_port = await self._echo(http)
            silence, rest = await asyncio.gather(
                self._silence() if upgrades[1].is_open else _nothing(),
                self._rest(http, upgrades, knows=seen is not None),
            )
        return Measured(
            prober="shell",
            asked=self._asked,
            origin=self._origin,
            ready=ready,
            memory_mb=memory_mb,
            upgrades=tuple(upgrades),
            seen=seen,
            silence=silence,
            http=await self._protocol(),
            local_port=local_port,
            **rest,
        )

    async def _rest(
        self, http: httpx2.AsyncClient, upgrades: list[Upgrade], *, knows: bool
    ) -> dict[str, Any]:
        """Run the measurements that would disturb each other one after another."""
        found: dict[str, Any] = {}
        talked, pieces = await asyncio.gather(
            self._talk() if upgrades[1].is_open else _nothing(),
            self._stream(http) if knows else _nothing(),
        )
        found |= talked or {}
        if knows:
            found["stream"] = pieces
            if "trips_ms" not in found:  # not measured on a WebSocket
                found |= await self._echoes(http)
            found["post"] = await self._post(http)
            found["large"] = await self._large(http)
        if upgrades[0].is_open and upgrades[0].closed_after_ms is None:
            found["answer"] = await self._ask()
        return found

    # ---- over HTTP ---------------------------------------------------------------------------

    async def _ready(self, http: httpx2.AsyncClient) -> tuple[Reply, float | None]:
        try:
            response = await http.get("/api/health/ready")
        except Failures as error:
            return Reply(message=_why(error)), None
        body = _object(response.content)
        if "provider" not in body:
            refusal = _reply(response.status_code, response.headers, response.content)
            return refusal, None
        memory = body.get("memory_mb")
        reply = Reply(
            response.status_code, True, str(body.get("reason") or ""), *_names(response.headers)
        )
        return reply, memory if isinstance(memory, int | float) else None

    async def _echo(self, http: httpx2.AsyncClient) -> tuple[Seen | None, int]:
        try:
            response = await http.get("/api/doctor/echo")
        except Failures:
            return None, 0
        network = response.extensions.get("network_stream")
        local = network.get_extra_info("client_addr") if network is not None else None
        return _seen(_object(response.content)), local[1] if local else 0

    async def _echoes(self, http: httpx2.AsyncClient) -> dict[str, Any]:
        """Measure round trips and clock skew over HTTP."""

        async def tell() -> float:
            return float(_object((await http.get("/api/doctor/echo")).content)["now"])

        try:
            return await _clocked(tell)
        except (*Failures, LookupError):
            return {}

    async def _post(self, http: httpx2.AsyncClient) -> Reply:
        try:
            response = await http.post("/api/doctor/echo", headers={"Origin": self._origin})
        except Failures as error:
            return Reply(message=_why(error))
        return _reply(response.status_code, response.headers, response.content)

    async def _large(self, http: httpx2.AsyncClient) -> Reply:
        try:
            response = await http.post("/api/doctor/large", content=b"\0" * LARGE_BYTES)
        except Failures as error:
            return Reply(message=_why(error))
        return _reply(response.status_code, response.headers, response.content)

    async def _stream(self, http: httpx2.AsyncClient) -> StreamTiming:
        arrivals = _Arrivals()
        reply, encoding = Reply(), ""
        try:
            async with http.stream("GET", "/api/doctor/stream") as response:
                encoding = response.headers.get("content-encoding", "")
                reply = _reply(response.status_code, response.headers, b"")
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        arrivals.add(int(_object(line[5:].encode()).get("sent_ms", 0)))
        except Failures as error:
            reply = Reply(reply.status, False, _why(error), reply.server, reply.via)
        return arrivals.timing(reply, encoding)

    async def _protocol(self) -> str:
        """Return the HTTP version that the first hop negotiates by ALPN; "" if unreachable."""
        if self._tls is None:
            return "http/1.1"
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        parts = urlsplit(self._asked)
        try:
            async with asyncio.timeout(REPLY_S):
                _, writer = await asyncio.open_connection(
                    parts.hostname, parts.port or 443, ssl=context, server_hostname=parts.hostname
                )
        except (OSError, TimeoutError):
            return ""
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.close()
        return chosen or "http/1.1"

    # ---- over WebSockets ---------------------------------------------------------------------

    @asynccontextmanager
    async def _open(self, path: str) -> AsyncIterator[ClientConnection]:
        query = "?EIO=4&transport=websocket" if path == PAGE else ""
        async with connect(
            self._asked.replace("http", "ws", 1) + path + query,
            origin=websockets.Origin(self._origin),
            additional_headers=self._key,
            ssl=self._tls,
            proxy=None,
            open_timeout=REPLY_S,
            close_timeout=1,
            ping_interval=None,
        ) as ws:
            yield ws

    async def _upgrade(self, path: str) -> Upgrade:
        try:
            async with self._open(path) as ws:
                extensions = ""
                if ws.response is not None:
                    extensions = ws.response.headers.get("Sec-WebSocket-Extensions", "")
                    names = _names(ws.response.headers)
                closed = await self._use(ws, path)
        except websockets.InvalidStatus as error:
            response = error.response
            reply = _reply(response.status_code, response.headers, bytes(response.body or b""))
            return Upgrade(path=path, is_open=False, reply=reply)
        except Failures as error:
            return Upgrade(path=path, is_open=False, reply=Reply(message=_why(error)))
        return Upgrade(
            path=path,
            is_open=True,
            reply=Reply(101, True, "", *names),
            closed_after_ms=closed,
            extensions=extensions,
        )

    async def _use(self, ws: ClientConnection, path: str) -> int | None:
        """Return after how many ms the WebSocket was closed; None if it could be used."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(REPLY_S):
                if path == CHAT:
                    await asyncio.sleep(BRIEF_S)
                    await ws.send('{"type": "ping"}')
                await ws.recv()
        except (TimeoutError, websockets.ConnectionClosed):
            return _ms_since(began)
        return None

    async def _talk(self) -> dict[str, Any]:
        """Measure round trips, clock skew and streaming on one WebSocket."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(3 * REPLY_S), self._open(PROBE) as ws:
                found["socket_seen"] = _seen(_object(await ws.recv()).get("seen"))

                async def tell() -> float:
                    await ws.send('{"type": "ping"}')
                    return float(_object(await ws.recv()).get("now", 0.0))

                found |= await _clocked(tell)
                found["socket_stream"] = await self._pieces(ws)
        except Failures:
            pass  # missing measurements are reported as such
        return found

    async def _pieces(self, ws: ClientConnection) -> StreamTiming:
        arrivals = _Arrivals()
        await ws.send('{"type": "pieces"}')
        await ws.send('{"type": "ping"}')  # its reply marks the end of the pieces
        while (frame := _object(await ws.recv())).get("type") == "piece":
            arrivals.add(frame["sent_ms"])
        return arrivals.timing(Reply(101, True))

    async def _silence(self) -> Silence | None:
        began, code = time.monotonic(), None
        try:
            async with self._open(PROBE) as ws:
                await ws.recv()
                began = time.monotonic()
                await ws.send(json.dumps({"type": "silence", "seconds": self._idle_s}))
                try:
                    async with asyncio.timeout(self._idle_s + REPLY_S):
                        await ws.recv()
                except websockets.ConnectionClosed as closed:
                    code = closed.rcvd.code if closed.rcvd is not None else 1006
                except TimeoutError:
                    code = 1006  # dropped on the path without a close frame
                lasted = round(time.monotonic() - began, 2)
        except Failures:
            return None
        return Silence(
            asked_s=self._idle_s,
            lasted_s=min(lasted, self._idle_s),
            is_cut=code is not None,
            code=code,
        )

    async def _ask(self) -> AnswerTiming:
        times: list[int] = []
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S), self._open(CHAT) as ws:
                await ws.send(json.dumps({"type": "chat", "message": QUESTION}))
                async for text in ws:
                    match _object(text):
                        case {"type": "chunk"}:
                            times.append(_ms_since(began))
                        case {"type": "done"}:
                            return AnswerTiming(tuple(times))
                        case {"type": "error", **rest}:
                            message = str(rest.get("message", ""))
                            return AnswerTiming(
                                tuple(times), str(rest.get("code", "error")), message
                            )
        except Failures as error:
            return AnswerTiming(tuple(times), "cut", _why(error))
        return AnswerTiming(
            tuple(times), "cut", "the connection was closed before the end of the answer"
        )


class _Arrivals:
    """Times of a stream's pieces: when the server sent them, and when they arrived."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._sent_ms: list[int] = []
        self._came_ms: list[int] = []

    def add(self, sent_ms: int) -> None:
        self._sent_ms.append(sent_ms)
        self._came_ms.append(_ms_since(self._began))

    def timing(self, reply: Reply, encoding: str = "") -> StreamTiming:
        return StreamTiming(
            sent_ms=tuple(self._sent_ms),
            came_ms=tuple(self._came_ms),
            reply=reply,
            encoding=encoding,
        )


async def _nothing() -> None:
    return None


async def _clocked(tell: Callable[[], Awaitable[float]]) -> dict[str, Any]:
    """Measure round trips and clock skew; ``tell`` requests the server's time."""
    trips, skews = [], []
    for _ in range(TRIPS):
        left, at = time.monotonic(), time.time()
        now = await tell()
        trips.append(time.monotonic() - left)
        skews.append(now - at - trips[-1] / 2)
    return {
        "trips_ms": tuple(round(trip * 1000, 2) for trip in trips),
        "skew_s": round(skews[trips.index(min(trips))], 3),
    }


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _reply(status: int, headers: Any, body: bytes) -> Reply:
    said = _object(body)
    is_ours = isinstance(said.get("message"), str) or (status == 200 and bool(said))
    message = str(said["message"]) if "message" in said else body[:200].decode("latin-1")
    return Reply(status, is_ours, "" if status == 200 else message, *_names(headers))


def _names(headers: Any) -> tuple[str, str]:
    return headers.get("server", "")[:100], headers.get("via", "")[:100]


def _seen(said: object) -> Seen | None:
    if not isinstance(said, dict) or "host" not in said:
        return None
    known = {name: said[name] for name in Seen.__dataclass_fields__ if name in said}
    return Seen(**known)


def _why(error: BaseException) -> str:
    """Return a short reason for a failed connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{BAD_CERTIFICATE}: {cause.verify_message}"
        if isinstance(cause, socket.gaierror):
            return NO_SUCH_NAME
        if isinstance(cause, ConnectionRefusedError):
            return NOTHING_LISTENS
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
