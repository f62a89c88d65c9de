"""The open WebSockets of a server that shares its database, which the other servers may remove."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.middleware.revocable_socket import RevocableSocket

RESTARTED: Final = 1012
"""Close code of a service that restarts: clients connect again at once, and resume."""


class OpenSockets:
    """Registry of the open WebSockets."""

    def __init__(self) -> None:
        self._open: set[RevocableSocket] = set()

    def add(self, socket: RevocableSocket) -> None:
        """Register a WebSocket."""
        self._open.add(socket)

    def discard(self, socket: RevocableSocket) -> None:
        """Unregister a WebSocket."""
        self._open.discard(socket)

    def close_all(self) -> None:
        """Close all; messages sent to them from now on are dropped."""
        for socket in tuple(self._open):
            socket.close_socket(RESTARTED, "the server was replaced")


class RegisteredSockets:
    """Middleware that registers WebSockets while they are open."""

    def __init__(self, app: ASGIApp, *, sockets: OpenSockets) -> None:
        self.app = app
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, registered if it is a WebSocket."""
        if scope["type"] != "websocket":
            return await self.app(scope, receive, send)
        socket = RevocableSocket(send)
        self._sockets.add(socket)
        try:
            await self.app(scope, receive, socket.send)
        finally:
            self._sockets.discard(socket)
            await socket.wait_closed()
