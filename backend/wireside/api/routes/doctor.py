"""Endpoints of the connection doctor: request echo, timed stream, silence, upload, diagnosis.

Like the rest of the API they require a caller. They reveal no secrets and are bounded: in time, in
size, and in the number of concurrent examinations per address and in total.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import TypeAdapter, ValidationError
from starlette.types import Message, Receive, Scope, Send

from wireside.api.dependencies import CurrentCaller
from wireside.api.middleware.client_address import peer_address as client_address
from wireside.api.middleware.refusals import send_refusal
from wireside.api.policy import API, SOCKET, route_policy, with_policy
from wireside.diagnosis.judge import run_checks
from wireside.diagnosis.measured import Measured, Seen
from wireside.errors import BadMessage, RateLimited, TooLarge
from wireside.identity import Caller
from wireside.limits.networks import TrustedNetworks, network_of
from wireside.ports.clock import Clock

PIECES: Final = 12
GAP_S: Final = 0.1
"""Seconds between two of the ``PIECES`` of a stream."""

SILENCE_S: Final = 300.0
"""Longest silence that a client may request, in seconds."""

SOCKET_S: Final = SILENCE_S + 60
FRAMES: Final = 100
FRAME_CHARS: Final = 1000
"""Characters of one frame; a connection accepts ``FRAMES`` of them within ``SOCKET_S`` seconds."""

SEATS: Final = 32
SEATS_OF_ADDRESS: Final = 6
"""Streams, WebSockets and large uploads at once: per address, and ``SEATS`` in total."""

LARGE_BYTES: Final = 2 * 2**20
MEASURED_BYTES: Final = 32 * 1024

_SHOWN: Final = frozenset(
    {
        "connection",
        "forwarded",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-server",
        "x-real-ip",
    }
)
"""Headers that are echoed: only those of connections and proxies, as others may hold secrets."""

_OF_CLIENTS: Final = frozenset({"connection", "upgrade"})
_VALUE_CHARS: Final = 200
_FULL: Final = "Too many examinations run at once; try again in a minute."

_read = TypeAdapter(Measured)


@dataclass(frozen=True, slots=True)
class DoctorRules:
    """The settings that the doctor needs."""

    trusted_proxies: TrustedNetworks
    ping_interval_s: float


class ProbeSlots:
    """Limits concurrent examinations, per network and in total."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @contextmanager
    def occupy_slot(self, address: str) -> Iterator[None]:
        """Occupy a seat while the context is open. Raises ``RateLimited``."""
        network = network_of(address)
        if self._taken.total() >= SEATS or self._taken[network] >= SEATS_OF_ADDRESS:
            raise RateLimited(_FULL, retry_after=60)
        self._taken[network] += 1
        try:
            yield
        finally:
            self._taken[network] -= 1
            self._taken += Counter()  # removes zero counts


@route_policy(SOCKET)
class Doctor:
    """Routes under ``/api/doctor`` and the WebSocket endpoint ``/ws/doctor``."""

    def __init__(self, rules: DoctorRules, wall_clock: Clock, clock: Clock) -> None:
        self._rules = rules
        self._now = wall_clock
        self._clock = clock
        self._seats = ProbeSlots()

    def build_router(self) -> APIRouter:
        """Return the routes. They are not public API; only the doctor's two probes use them."""
        router = APIRouter(prefix="/api/doctor", include_in_schema=False)
        router.get("/echo")(self.echo)
        router.post("/echo")(self.echo)
        router.get("/stream")(self.stream)
        router.post("/large")(self.large)
        router.post("/judge")(self.judge)
        router.get("/judge")(self.judge_in_query)
        return with_policy(router, API)

    async def echo(self, who: CurrentCaller, request: Request) -> JSONResponse:
        """Return the request as the server sees it."""
        return _uncached_json(asdict(self._describe_request(request.scope, who)))

    async def stream(self, who: CurrentCaller, request: Request) -> StreamingResponse:
        """Stream numbered pieces at fixed intervals, as server-sent events."""
        pieces = self._numbered_pieces(client_address(request.scope))
        first = await anext(pieces)  # a rate-limit error must be raised before the response starts

        async def all_pieces() -> AsyncIterator[str]:
            yield first
            async for piece in pieces:
                yield piece

        return StreamingResponse(
            all_pieces(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _numbered_pieces(self, address: str) -> AsyncIterator[str]:
        with self._seats.occupy_slot(address):
            began = self._clock()
            for number in range(PIECES):
                if number:
                    await asyncio.sleep(GAP_S)
                ms = round((self._clock() - began) * 1000)
                yield f"data: {json.dumps({'number': number, 'sent_ms': ms})}\n\n"

    @route_policy(replace(API, max_body_bytes=None))  # read as a stream, up to ``LARGE_BYTES``
    async def large(self, who: CurrentCaller, request: Request) -> JSONResponse:
        """Read a large body and discard it."""
        size = 0
        with self._seats.occupy_slot(client_address(request.scope)):
            async for data in request.stream():
                size += len(data)
                if size > LARGE_BYTES:
                    raise TooLarge(f"No more than {LARGE_BYTES // 2**20} MB.")
        return _uncached_json({"bytes": size})

    async def judge(self, who: CurrentCaller, request: Request) -> JSONResponse:
        """Return findings for a probe's measurements."""
        body = bytearray()
        async for data in request.stream():
            body += data
            if len(body) > MEASURED_BYTES:
                raise TooLarge("No measurements are so long.")
        return _findings_response(bytes(body))

    async def judge_in_query(
        self, who: CurrentCaller, measured: Annotated[str, Query(max_length=MEASURED_BYTES)]
    ) -> JSONResponse:
        """Like ``judge``, for pages with a refused ``Origin``, which the doctor must detect."""
        return _findings_response(measured.encode())

    # ---- the request as the server sees it -----------------------------------------------------

    def _describe_request(self, scope: Scope, caller: Caller) -> Seen:
        headers: dict[str, str] = {}
        for raw_name, value in scope["headers"]:
            name = raw_name.decode("latin-1")
            if name in _SHOWN or name in ("host", "origin"):
                text = value.decode("latin-1")[:_VALUE_CHARS]
                headers[name] = f"{headers[name]}, {text}" if name in headers else text
        peer = scope.get("wireside.peer") or client_address(scope)
        client = scope.get("client") or ("", 0)
        return Seen(
            host=headers.pop("host", ""),
            origin=headers.pop("origin", ""),
            scheme=scope["scheme"],
            http_version=scope["http_version"],
            # an internal address is shown only to administrators
            peer=peer if caller.may("admin") or peer == client[0] else "",
            client=client[0],
            port=client[1] if client[0] == peer else 0,
            is_peer_trusted=self._rules.trusted_proxies.is_trusted(peer),
            headers={k: v for k, v in headers.items() if k not in _OF_CLIENTS},
            now=self._now(),
            ping_interval_s=self._rules.ping_interval_s,
        )

    # ---- the WebSocket -------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket: pings, pieces, silence."""
        try:
            with self._seats.occupy_slot(client_address(scope)):
                await self._serve_socket(scope, receive, send)
        except RateLimited as full:
            await send_refusal(scope, receive, send, full)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        caller: Caller = scope["state"]["caller"]
        # Send only what is requested: a keepalive ping would hide a proxy's timeout.
        await send({"type": "websocket.accept", "wireside.pings": False})
        await _send_frame(
            send, {"type": "seen", "seen": asdict(self._describe_request(scope, caller))}
        )
        reason = "That is all."
        try:
            async with asyncio.timeout(SOCKET_S):
                for _ in range(FRAMES):
                    message = await receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    if not await self._handle_frame(message, receive, send):
                        reason = "The doctor does not know this frame."
                        break
        except TimeoutError:
            reason = "Time is up."
        await send({"type": "websocket.close", "code": 1008, "reason": reason})

    async def _handle_frame(self, message: Message, receive: Receive, send: Send) -> bool:
        """Handle a frame; return whether it is a known one."""
        match _parse_frame(message.get("text") or ""):
            case {"type": "ping"}:
                await _send_frame(send, {"type": "pong", "now": self._now()})
            case {"type": "pieces"}:
                await self._send_pieces(send)
            case {"type": "silence", "seconds": int() | float() as seconds} if (
                0 < seconds <= SILENCE_S
            ):
                await _be_silent(float(seconds), receive, send)
            case _:
                return False
        return True

    async def _send_pieces(self, send: Send) -> None:
        began = self._clock()
        for number in range(PIECES):
            if number:
                await asyncio.sleep(GAP_S)
            ms = round((self._clock() - began) * 1000)
            await _send_frame(send, {"type": "piece", "number": number, "sent_ms": ms})


async def _be_silent(seconds: float, receive: Receive, send: Send) -> None:
    """Send nothing for ``seconds``; any incoming message ends the silence."""
    try:
        async with asyncio.timeout(seconds):
            await receive()
    except TimeoutError:
        await _send_frame(send, {"type": "over"})


async def _send_frame(send: Send, frame: dict[str, Any]) -> None:
    await send({"type": "websocket.send", "text": json.dumps(frame)})


def _parse_frame(text: str) -> object:
    if len(text) > FRAME_CHARS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _findings_response(text: bytes) -> JSONResponse:
    try:
        measured = _read.validate_json(text)
    except ValidationError as error:
        raise BadMessage("These are no measurements.") from error
    return _uncached_json({"findings": [asdict(finding) for finding in run_checks(measured)]})


def _uncached_json(value: dict[str, Any]) -> JSONResponse:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
