"""Middleware in front of the application: ids, logs, security headers, limits, Host and Origin.

Pure ASGI around everything, including the sockets of other packages: NiceGUI's own accepts any
Origin and Host. None of these classes keeps a frame on the call stack of a WebSocket that it has
nothing to do for.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Final, Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from wireside.api.middleware.cors import CrossOrigin, answer_preflight, is_preflight, listed_origin
from wireside.api.middleware.fair_queue import (
    PAGE_COST,
    SOCKET_COST,
    FairQueue,
    StartQueue,
    TokenBuckets,
)
from wireside.api.middleware.limit_headers import seconds
from wireside.api.middleware.refusals import send_json
from wireside.api.middleware.request_ids import RequestIds, caller_of
from wireside.limits.windows import network_of
from wireside.ports.clock import Clock
from wireside.protocol.handshake import (
    Accept,
    Handshake,
    HandshakePolicy,
    Refuse,
    Verdict,
    named_origin,
)
from wireside.settings.model import Settings

CHAT_PATH: Final = "/ws/ai-chat"
SOCKETS: Final = frozenset({CHAT_PATH, "/ws/doctor"})
PROTOCOL_PATH: Final = "/docs/protocol"
"""Path of the description of the frames."""

PROBES: Final = "/api/health/"
"""Prefix of the health probes, whose ``Host`` is not checked.

Probes send whatever address they were configured with, and learn nothing secret.
"""

PAGE_SOCKET: Final = "/_nicegui_ws/"
"""In the path of the socket behind a page, and of the polling that replaces it."""

NO_PAGES: Final = ("/api/", "/assets/", "/_nicegui/", PAGE_SOCKET)
"""Prefixes of paths that are not pages: an unknown path below them gets a one-line error."""

FILES: Final = frozenset({"/logo", "/manifest.webmanifest", "/favicon.ico", PROTOCOL_PATH})
"""Single paths that are not pages either. All other paths get a page, at least a 404 page."""

PAGES_AT_ONCE: Final = 2
"""Pages rendered concurrently: other work waits for at most this many steps of 10 ms."""

STARTS_PER_TURN: Final = 6
"""Requests started in one turn of the event loop, at half a millisecond each."""

REFUSED_AFTER_S: Final = 1.0
"""Seconds before a 429 is sent; a refusal costs as much as an answer."""

REFUSED_LATE: Final = 256
"""Refusals delayed at once; further ones are sent without delay."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_log = structlog.get_logger(__name__)


class RefusalCounter(Protocol):
    """Counts requests refused by the guards; implemented by the telemetry."""

    def refuse(self) -> None:
        """Count a refused request."""


class Guards:
    """All guards in order: ids, log, headers, request limit, Host and Origin, connection limit.

    Raises:
        ValueError: a host or an origin in the settings is invalid; the text is a sentence.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, telemetry: RefusalCounter) -> None:
        policy = door_of(settings)
        door = HostOriginGuard(app, policy, settings.connections_per_address, telemetry)
        allowances = TokenBuckets(settings.requests_per_minute_address)
        inner = CrossOrigin(RateLimitGuard(door, allowances, telemetry, time.monotonic), policy)
        frames = [
            str(named_origin(text, "WIRESIDE_FRAME_ANCESTORS")) for text in settings.frame_ancestors
        ]
        known = AccessLog(
            SecurityHeaders(
                inner,
                image_hosts=settings.image_hosts,
                frame_ancestors=frames,
                is_https=settings.is_https,
            )
        )
        proxies = list(settings.trusted_proxies)
        # uvicorn declares separate ASGI types.
        self.app = PeerAddress(ProxyHeadersMiddleware(RequestIds(known), proxies))  # type: ignore[arg-type]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the first guard."""
        return self.app(scope, receive, send)


def door_of(settings: Settings) -> HandshakePolicy:
    """Return the rules for Host and Origin. Raises ``ValueError`` with a sentence."""
    if (problem := settings.origins_without_accounts) is not None:
        raise ValueError(problem)
    return HandshakePolicy(
        host=settings.host_name,
        trusted_hosts=settings.trusted_hosts,
        public_url=settings.public_url,
        allowed_origins=settings.allowed_origins,
    )


class PeerAddress:
    """Stores the TCP peer in ``scope["wireside.peer"]``.

    A trusted proxy's header replaces ``scope["client"]`` afterwards.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Store the peer, then call the application."""
        if scope["type"] in ("http", "websocket"):
            scope["wireside.peer"] = peer(scope)
            scope["wireside.is_relayed"] = _is_relayed(scope)
        return self.app(scope, receive, send)


def _is_relayed(scope: Scope) -> bool:
    """Whether the scope's client address may not be the TCP peer's.

    A server other than ours may already have replaced it by ``X-Forwarded-For``, which anyone can
    send.
    """
    is_ours = "wireside.transport" in scope.get("extensions", {})
    return not is_ours and any(name == b"x-forwarded-for" for name, _ in scope["headers"])


class HostOriginGuard:
    """Checks Host and Origin of each request, and limits the WebSockets of each address."""

    def __init__(
        self,
        app: ASGIApp,
        door: HandshakePolicy,
        connections_per_address: int,
        refusals: RefusalCounter,
    ) -> None:
        self.app = app
        self._door = door
        self._limit = connections_per_address
        self._refusals = refusals
        self._connections: Counter[str] = Counter()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, or refuse the request."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            return self.app(scope, receive, send)
        verdict = self._judge(scope)
        if isinstance(verdict, Refuse):
            self._refusals.refuse()
            _log.info("refused", status=verdict.status, path=_told(scope["path"]), peer=peer(scope))
            return _refuse(scope, receive, send, verdict)
        if kind == "websocket":
            return self._hold(scope, receive, send)
        if scope["path"].rstrip("/") in SOCKETS:
            return _refuse(scope, receive, send, _upgrade_required(scope))
        if is_preflight(scope) and (origin := listed_origin(scope, self._door)):
            return answer_preflight(scope, origin, send)
        if PAGE_SOCKET in scope["path"]:
            return self.app(scope, receive, _without_cors(send))
        return self.app(scope, receive, send)

    def _judge(self, scope: Scope) -> Verdict:
        handshake = _handshake(scope)
        is_page_socket = PAGE_SOCKET in scope["path"]
        is_safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        if is_safe and scope["path"].startswith(PROBES):
            return Accept()
        if is_safe and not is_page_socket:
            return self._door.judge_host(handshake)
        return self._door.judge(handshake, takes_allowed=not is_page_socket)

    async def _hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = network_of(peer(scope))
        if self._connections[address] >= self._limit:
            self._refusals.refuse()
            _log.warning("too_many_connections", peer=address, limit=self._limit)
            await _refuse(
                scope,
                receive,
                send,
                Refuse(
                    429,
                    f"This address has {self._limit} connections open; close some first.",
                ),
            )
            return
        self._connections[address] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._connections[address] -= 1
            if not self._connections[address]:
                del self._connections[address]


def peer(scope: Scope) -> str:
    """Return the client's address; "" if there is none."""
    client = scope.get("client")
    return client[0] if client else ""


def _handshake(scope: Scope) -> Handshake:
    hosts: list[str] = []
    origins: list[str] = []
    for name, value in scope["headers"]:
        if name == b"host":
            hosts.append(value.decode("latin-1"))
        elif name == b"origin":
            origins.append(value.decode("latin-1"))
    is_secure = scope["scheme"] in ("https", "wss")
    is_socket = scope["type"] == "websocket" and PAGE_SOCKET not in scope["path"]
    return Handshake(
        hosts=hosts,
        origins=origins,
        is_secure=is_secure,
        is_socket=is_socket,
        subprotocols=scope.get("subprotocols", ()),
    )


def _upgrade_required(scope: Scope) -> Refuse:
    host = next(value.decode("latin-1") for name, value in scope["headers"] if name == b"host")
    root = scope.get("root_path", "")
    return Refuse(
        426,
        "This is a WebSocket endpoint: connect to it with a WebSocket client. The frames it speaks"
        f" are described at {scope['scheme']}://{host}{root}{PROTOCOL_PATH}",
    )


class RateLimitGuard:
    """Rate-limits the requests of each address and schedules them fairly.

    It starts few requests in each turn of the event loop and renders few pages at once. Refusals
    carry ``Retry-After``, are delayed, and close the connection.
    """

    def __init__(
        self, app: ASGIApp, allowances: TokenBuckets, refusals: RefusalCounter, clock: Clock
    ) -> None:
        self.app = app
        self._allowances = allowances
        self._refusals = refusals
        self._clock = clock
        self._turns = FairQueue(PAGES_AT_ONCE)
        self._starts = StartQueue(STARTS_PER_TURN)
        self._refused_late = 0

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, or refuse the request with a 429."""
        if scope["type"] not in ("http", "websocket"):
            return self.app(scope, receive, send)
        is_page = scope["type"] == "http" and not (
            scope["path"] in FILES or scope["path"].startswith(NO_PAGES)
        )
        cost = PAGE_COST if is_page else _cost(scope)
        wait_s = self._allowances.take(peer(scope), cost, self._clock())
        if wait_s:
            self._refusals.refuse()
            _log.info("too_many_requests", path=_told(scope["path"]), peer=peer(scope))
            return self._refuse_later(scope, receive, send, wait_s)
        if is_page:
            return self._make_page(scope, receive, send)
        start = self._starts.enter(network_of(peer(scope)))
        if start is None:
            return self.app(scope, receive, send)
        return self._begin(start, scope, receive, send)

    async def _begin(
        self, start: Awaitable[None], scope: Scope, receive: Receive, send: Send
    ) -> None:
        await start
        await self.app(scope, receive, send)

    async def _refuse_later(
        self, scope: Scope, receive: Receive, send: Send, wait_s: float
    ) -> None:
        if self._refused_late < REFUSED_LATE:
            self._refused_late += 1
            try:
                await asyncio.sleep(REFUSED_AFTER_S)
            finally:
                self._refused_late -= 1
        await _refuse(scope, receive, send, _too_many(wait_s), after_s=wait_s)

    async def _make_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._turns.enter(network_of(peer(scope)))
        is_made = False

        async def send_made(message: Message) -> None:
            nonlocal is_made
            if not is_made:  # a slow reader must not occupy the slot
                is_made = True
                self._turns.leave()
            await send(message)

        try:
            await self.app(scope, receive, send_made)
        finally:
            if not is_made:
                self._turns.leave()


def _cost(scope: Scope) -> int:
    if scope["type"] == "websocket":
        return SOCKET_COST
    if PAGE_SOCKET in scope["path"] and b"sid=" not in scope["query_string"]:
        return PAGE_COST  # starts polling, for which the socket behind a page allocates a session
    return 1


def _too_many(wait_s: float) -> Refuse:
    return Refuse(
        429,
        "There were too many requests from this address (WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS);"
        f" come back in {seconds(wait_s)} s.",
    )


async def _refuse(
    scope: Scope, receive: Receive, send: Send, refusal: Refuse, *, after_s: float = 0.0
) -> None:
    headers: list[tuple[bytes, bytes]] = []
    if after_s:
        headers += [
            (b"retry-after", str(seconds(after_s)).encode()),
            (b"connection", b"close"),
        ]
    if refusal.status == 426:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    fields = {"message": refusal.sentence}
    await send_json(scope, receive, send, status=refusal.status, fields=fields, headers=headers)


def _without_cors(send: Send) -> Send:
    """Return a ``send`` that strips CORS headers.

    Our own pages don't need them, and the socket's library would allow too much.
    """

    async def send_without(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, value)
                for name, value in message.get("headers", ())
                if not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": headers}
        await send(message)

    return send_without


_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    # browsers may resolve the hosts of all links on a page: a name can leak data without a click
    (b"x-dns-prefetch-control", b"off"),
    (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_HTTPS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")
"""HSTS for a year. Without subdomains, which may be run by others."""

_NO_FRAMES: Final = (b"x-frame-options", b"DENY")

_NOT_A_PAGE: Final = (
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'; sandbox"
)
"""Policy for documents that are not our pages, such as an SVG or an error opened directly."""

_SCRIPT: Final = re.compile(rb"<script(?=[\s>])")


class SecurityHeaders:
    """Adds security headers to each response, and a policy with a nonce to each page.

    Only pages (``X-NiceGUI-Content: page``) are buffered whole, to add the nonce to their scripts.
    Their template escapes all data, so no injected script can obtain the nonce. NiceGUI needs
    ``unsafe-eval`` (Vue compiles templates) and inline styles.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        image_hosts: Iterable[str] = (),
        frame_ancestors: Iterable[str] = (),
        is_https: bool = False,
    ) -> None:
        self.app = app
        self.headers = (*_ALWAYS, _HTTPS_ONLY) if is_https else _ALWAYS
        self._frames = " ".join(frame_ancestors) or "'none'"
        # X-Frame-Options can't list origins: with frame ancestors, only the policy is sent.
        self.page_headers = [] if frame_ancestors else [_NO_FRAMES]
        self._images = " ".join(
            ["'self' data: blob:", *(f"https://{host}" for host in image_hosts)]
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application; the response passes through ``_Response``."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        return self.app(scope, receive, _Response(self, scope, send).send)

    def policy(self, nonce: str, host: str) -> bytes:
        """Return the Content-Security-Policy of a page; ``host`` is the request's ``Host``."""
        return (
            f"default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval';"
            f" style-src 'self' 'unsafe-inline'; img-src {self._images}; font-src 'self';"
            # Older Safari does not match WebSockets by 'self'.
            f" media-src 'self' blob:; connect-src 'self' ws://{host} wss://{host};"
            " object-src 'none'; frame-src 'none'; base-uri 'none'; form-action 'self';"
            f" frame-ancestors {self._frames}"
        ).encode("latin-1")


class _Response:
    """Adds headers to one response."""

    def __init__(self, guard: SecurityHeaders, scope: Scope, send: Send) -> None:
        self._guard = guard
        self._scope = scope
        self._send = send
        self._start: Message | None = None  # buffered until the body of a page is complete
        self._body = b""

    async def send(self, message: Message) -> None:
        """Send a message of the response; the messages of a page are buffered."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page(self._start)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        present = {name.lower() for name, _ in headers}
        headers += [item for item in self._guard.headers if item[0] not in present]
        if (b"x-nicegui-content", b"page") in headers:
            self._start = {**message, "headers": headers}
            return
        if b"content-security-policy" not in present:
            headers += [(b"content-security-policy", _NOT_A_PAGE), _NO_FRAMES]
        await self._send({**message, "headers": headers})

    async def _send_page(self, start: Message) -> None:
        headers = dict(start["headers"])
        is_packed = headers.get(b"content-encoding") == b"gzip"
        body = gzip.decompress(self._body) if is_packed and self._body else self._body
        self._body = b""  # a page references its request, and so this response, for its whole life
        nonce = secrets.token_urlsafe(16)
        body = _SCRIPT.sub(b'<script nonce="%s"' % nonce.encode(), body)
        if is_packed and body:
            body = gzip.compress(body, 6, mtime=0)
        out = [
            item
            for item in start["headers"]
            if item[0] not in (b"content-length", b"content-security-policy")
        ]
        host = next(v.decode("latin-1") for k, v in self._scope["headers"] if k == b"host")
        out += [
            (b"content-length", str(len(body)).encode()),
            (b"content-security-policy", self._guard.policy(nonce, host)),
            *self._guard.page_headers,
        ]
        await self._send({**start, "headers": out})
        await self._send({"type": "http.response.body", "body": body})


def _told(path: str) -> str:
    """Return the path for logs. The link to a snapshot is masked, as it grants access."""
    return "/s/…" if path.startswith("/s/") else path


class AccessLog:
    """Logs each request without its query, which may hold private data."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application; log when the response starts."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        began = time.perf_counter()

        async def send_logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                level = "debug" if status < 400 else "info" if status < 500 else "error"
                getattr(_log, level)(
                    "request",
                    method=scope["method"],
                    path=_told(scope["path"]),
                    status=status,
                    ms=round((time.perf_counter() - began) * 1000, 1),
                    peer=peer(scope),
                    **({} if (user := caller_of(scope)) is None else {"user": user}),
                )
            await send(message)

        return self.app(scope, receive, send_logged)
