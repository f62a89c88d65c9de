"""The address of the client: the TCP peer, and what a trusted proxy says about it."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send


class PeerAddress:
    """Stores the TCP peer in ``scope["wireside.peer"]``.

    A trusted proxy's header replaces ``scope["client"]`` afterwards.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Store the peer, then call the application."""
        if scope["type"] in ("http", "websocket"):
            scope["wireside.peer"] = peer_address(scope)
            scope["wireside.is_relayed"] = _is_relayed(scope)
        return self.app(scope, receive, send)


def _is_relayed(scope: Scope) -> bool:
    """Whether the scope's client address may not be the TCP peer's.

    A server other than ours may already have replaced it by ``X-Forwarded-For``, which anyone can
    send.
    """
    is_ours = "wireside.transport" in scope.get("extensions", {})
    return not is_ours and any(name == b"x-forwarded-for" for name, _ in scope["headers"])


def peer_address(scope: Scope) -> str:
    """Return the client's address; "" if there is none."""
    client = scope.get("client")
    return client[0] if client else ""
