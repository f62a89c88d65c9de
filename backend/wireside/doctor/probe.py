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
    MeasuredReply,
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
    return await _Probe(address_of(url), key, origin, idle_s).measure_all()


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

    async def measure_all(self) -> Measured:
        async with httpx2.AsyncClient(
            base_url=self._asked,
            verify=self._tls or False,
            trust_env=False,
            timeout=REPLY_S,
            headers=self._key,
        ) as http:
            ready, memory_mb = await self._request_readiness(http)
            if not ready.is_ours:
                return Measured(prober="shell", asked=self._asked, origin=self._origin, ready=ready)
            paths = (CHAT, PROBE, PAGE)
            upgrades = list(await asyncio.gather(*(self._try_upgrade(path) for path in paths)))
            seen, local_port = await self._request_echo(http)
            silence, rest = await asyncio.gather(
                self._measure_silence() if upgrades[1].is_open else _do_nothing(),
                self._measure_in_turn(http, upgrades, knows=seen is not None),
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
            http=await self._negotiated_protocol(),
            local_port=local_port,
            **rest,
        )

    async def _measure_in_turn(
        self, http: httpx2.AsyncClient, upgrades: list[Upgrade], *, knows: bool
    ) -> dict[str, Any]:
        """Run the measurements that would disturb each other one after another."""
        found: dict[str, Any] = {}
        talked, pieces = await asyncio.gather(
            self._measure_websocket() if upgrades[1].is_open else _do_nothing(),
            self._time_http_stream(http) if knows else _do_nothing(),
        )
        found |= talked or {}
        if knows:
            found["stream"] = pieces
            if "trips_ms" not in found:  # not measured on a WebSocket
                found |= await self._measure_http_clock(http)
            found["post"] = await self._post_foreign_origin(http)
            found["large"] = await self._post_large_body(http)
        if upgrades[0].is_open and upgrades[0].closed_after_ms is None:
            found["answer"] = await self._time_answer()
        return found

    # ---- over HTTP ---------------------------------------------------------------------------

    async def _request_readiness(
        self, http: httpx2.AsyncClient
    ) -> tuple[MeasuredReply, float | None]:
        try:
            response = await http.get("/api/health/ready")
        except Failures as error:
            return MeasuredReply(message=_failure_reason(error)), None
        body = _parse_object(response.content)
        if "provider" not in body:
            refusal = _reply_from(response.status_code, response.headers, response.content)
            return refusal, None
        memory = body.get("memory_mb")
        reply = MeasuredReply(
            response.status_code,
            True,
            str(body.get("reason") or ""),
            *_server_and_via(response.headers),
        )
        return reply, memory if isinstance(memory, int | float) else None

    async def _request_echo(self, http: httpx2.AsyncClient) -> tuple[Seen | None, int]:
        try:
            response = await http.get("/api/doctor/echo")
        except Failures:
            return None, 0
        network = response.extensions.get("network_stream")
        local = network.get_extra_info("client_addr") if network is not None else None
        return _seen_from(_parse_object(response.content)), local[1] if local else 0

    async def _measure_http_clock(self, http: httpx2.AsyncClient) -> dict[str, Any]:
        """Measure round trips and clock skew over HTTP."""

        async def server_time() -> float:
            return float(_parse_object((await http.get("/api/doctor/echo")).content)["now"])

        try:
            return await _measure_clock(server_time)
        except (*Failures, LookupError):
            return {}

    async def _post_foreign_origin(self, http: httpx2.AsyncClient) -> MeasuredReply:
        try:
            response = await http.post("/api/doctor/echo", headers={"Origin": self._origin})
        except Failures as error:
            return MeasuredReply(message=_failure_reason(error))
        return _reply_from(response.status_code, response.headers, response.content)

    async def _post_large_body(self, http: httpx2.AsyncClient) -> MeasuredReply:
        try:
            response = await http.post("/api/doctor/large", content=b"\0" * LARGE_BYTES)
        except Failures as error:
            return MeasuredReply(message=_failure_reason(error))
        return _reply_from(response.status_code, response.headers, response.content)

    async def _time_http_stream(self, http: httpx2.AsyncClient) -> StreamTiming:
        arrivals = _Arrivals()
        reply, encoding = MeasuredReply(), ""
        try:
            async with http.stream("GET", "/api/doctor/stream") as response:
                encoding = response.headers.get("content-encoding", "")
                reply = _reply_from(response.status_code, response.headers, b"")
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        arrivals.add_arrival(
                            int(_parse_object(line[5:].encode()).get("sent_ms", 0))
                        )
        except Failures as error:
            reply = MeasuredReply(
                reply.status,
                is_ours=False,
                message=_failure_reason(error),
                server=reply.server,
                via=reply.via,
            )
        return arrivals.to_timing(reply, encoding)

    async def _negotiated_protocol(self) -> str:
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
    async def _open_websocket(self, path: str) -> AsyncIterator[ClientConnection]:
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

    async def _try_upgrade(self, path: str) -> Upgrade:
        try:
            async with self._open_websocket(path) as ws:
                extensions = ""
                if ws.response is not None:
                    extensions = ws.response.headers.get("Sec-WebSocket-Extensions", "")
                    names = _server_and_via(ws.response.headers)
                closed = await self._use_websocket(ws, path)
        except websockets.InvalidStatus as error:
            response = error.response
            reply = _reply_from(response.status_code, response.headers, bytes(response.body or b""))
            return Upgrade(path=path, is_open=False, reply=reply)
        except Failures as error:
            return Upgrade(
                path=path, is_open=False, reply=MeasuredReply(message=_failure_reason(error))
            )
        return Upgrade(
            path=path,
            is_open=True,
            reply=MeasuredReply(101, True, "", *names),
            closed_after_ms=closed,
            extensions=extensions,
        )

    async def _use_websocket(self, ws: ClientConnection, path: str) -> int | None:
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

    async def _measure_websocket(self) -> dict[str, Any]:
        """Measure round trips, clock skew and streaming on one WebSocket."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(3 * REPLY_S), self._open_websocket(PROBE) as ws:
                found["socket_seen"] = _seen_from(_parse_object(await ws.recv()).get("seen"))

                async def server_time() -> float:
                    await ws.send('{"type": "ping"}')
                    return float(_parse_object(await ws.recv()).get("now", 0.0))

                found |= await _measure_clock(server_time)
                found["socket_stream"] = await self._time_pieces(ws)
        except Failures:
            pass  # missing measurements are reported as such
        return found

    async def _time_pieces(self, ws: ClientConnection) -> StreamTiming:
        arrivals = _Arrivals()
        await ws.send('{"type": "pieces"}')
        await ws.send('{"type": "ping"}')  # its reply marks the end of the pieces
        while (frame := _parse_object(await ws.recv())).get("type") == "piece":
            arrivals.add_arrival(frame["sent_ms"])
        return arrivals.to_timing(MeasuredReply(101, True))

    async def _measure_silence(self) -> Silence | None:
        began, code = time.monotonic(), None
        try:
            async with self._open_websocket(PROBE) as ws:
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

    async def _time_answer(self) -> AnswerTiming:
        times: list[int] = []
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S), self._open_websocket(CHAT) as ws:
                await ws.send(json.dumps({"type": "chat", "message": QUESTION}))
                async for text in ws:
                    match _parse_object(text):
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
            return AnswerTiming(tuple(times), "cut", _failure_reason(error))
        return AnswerTiming(
            tuple(times), "cut", "the connection was closed before the end of the answer"
        )


class _Arrivals:
    """Times of a stream's pieces: when the server sent them, and when they arrived."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._sent_ms: list[int] = []
        self._came_ms: list[int] = []

    def add_arrival(self, sent_ms: int) -> None:
        self._sent_ms.append(sent_ms)
        self._came_ms.append(_ms_since(self._began))

    def to_timing(self, reply: MeasuredReply, encoding: str = "") -> StreamTiming:
        return StreamTiming(
            sent_ms=tuple(self._sent_ms),
            came_ms=tuple(self._came_ms),
            reply=reply,
            encoding=encoding,
        )


async def _do_nothing() -> None:
    return None


async def _measure_clock(tell: Callable[[], Awaitable[float]]) -> dict[str, Any]:
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


def _parse_object(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _reply_from(status: int, headers: Any, body: bytes) -> MeasuredReply:
    said = _parse_object(body)
    is_ours = isinstance(said.get("message"), str) or (status == 200 and bool(said))
    message = str(said["message"]) if "message" in said else body[:200].decode("latin-1")
    return MeasuredReply(
        status, is_ours, "" if status == 200 else message, *_server_and_via(headers)
    )


def _server_and_via(headers: Any) -> tuple[str, str]:
    return headers.get("server", "")[:100], headers.get("via", "")[:100]


def _seen_from(said: object) -> Seen | None:
    if not isinstance(said, dict) or "host" not in said:
        return None
    known = {name: said[name] for name in Seen.__dataclass_fields__ if name in said}
    return Seen(**known)


def _failure_reason(error: BaseException) -> str:
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
