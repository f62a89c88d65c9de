"""Checks the ``Host`` and ``Origin`` of requests, against DNS rebinding and foreign pages."""

from __future__ import annotations

from collections.abc import Awaitable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.middleware.client_address import peer_address
from wireside.api.middleware.cors import answer_preflight, is_preflight, listed_origin
from wireside.api.middleware.methods import SAFE_METHODS
from wireside.api.middleware.refusals import RefusalCounter, refuse_handshake
from wireside.api.policy import Kind, logged_path, policy_of
from wireside.protocol.handshake import Accept, Handshake, HandshakePolicy, Refuse, Verdict

_log = structlog.get_logger(__name__)


class HostOriginCheck:
    """Checks Host and Origin of each request."""

    def __init__(self, app: ASGIApp, *, door: HandshakePolicy, refusals: RefusalCounter) -> None:
        self.app = app
        self._door = door
        self._refusals = refusals

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, or refuse the request."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            return self.app(scope, receive, send)
        verdict = self._check_handshake(scope)
        if isinstance(verdict, Refuse):
            self._refusals.count_refusal()
            _log.info(
                "refused", status=verdict.status, path=logged_path(scope), peer=peer_address(scope)
            )
            return refuse_handshake(scope, receive, send, verdict)
        if kind == "websocket":
            return self.app(scope, receive, send)
        if is_preflight(scope) and (origin := listed_origin(scope, self._door)):
            return answer_preflight(scope, origin, send)
        if policy_of(scope).kind is Kind.PAGE_SOCKET:
            return self.app(scope, receive, _without_cors(send))
        return self.app(scope, receive, send)

    def _check_handshake(self, scope: Scope) -> Verdict:
        handshake = _handshake(scope)
        policy = policy_of(scope)
        is_page_socket = policy.kind is Kind.PAGE_SOCKET
        is_safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        if is_safe and not policy.checks_host:
            return Accept()
        if is_safe and not is_page_socket:
            return self._door.judge_host(handshake)
        return self._door.judge(handshake, takes_allowed=not is_page_socket)


def _handshake(scope: Scope) -> Handshake:
    hosts: list[str] = []
    origins: list[str] = []
    for name, value in scope["headers"]:
        if name == b"host":
            hosts.append(value.decode("latin-1"))
        elif name == b"origin":
            origins.append(value.decode("latin-1"))
    is_secure = scope["scheme"] in ("https", "wss")
    is_socket = scope["type"] == "websocket" and policy_of(scope).kind is not Kind.PAGE_SOCKET
    return Handshake(
        hosts=hosts,
        origins=origins,
        is_secure=is_secure,
        is_socket=is_socket,
        subprotocols=scope.get("subprotocols", ()),
    )


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
