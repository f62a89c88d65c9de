"""Refuses requests whose transport their path does not have."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.middleware.refusals import refuse_handshake, send_refusal
from wireside.api.policy import Kind, policy_of
from wireside.errors import NotFound
from wireside.protocol.handshake import Refuse

CHAT_PATH: Final = "/ws/ai-chat"
PROTOCOL_PATH: Final = "/docs/protocol"
"""Path of the description of the frames."""


class TransportCheck:
    """Refuses an HTTP request to a WebSocket with a 426, a WebSocket elsewhere with a 404."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, or refuse the request."""
        kind = policy_of(scope).kind
        if scope["type"] == "http" and kind is Kind.WEBSOCKET:
            return refuse_handshake(scope, receive, send, _upgrade_required(scope))
        if scope["type"] == "websocket" and kind not in (Kind.WEBSOCKET, Kind.PAGE_SOCKET):
            return send_refusal(scope, receive, send, _no_websocket(scope))
        return self.app(scope, receive, send)


def _upgrade_required(scope: Scope) -> Refuse:
    host = next(value.decode("latin-1") for name, value in scope["headers"] if name == b"host")
    root = scope.get("root_path", "")
    return Refuse(
        426,
        "This is a WebSocket endpoint: connect to it with a WebSocket client. The frames it speaks"
        f" are described at {scope['scheme']}://{host}{root}{PROTOCOL_PATH}",
    )


def _no_websocket(scope: Scope) -> NotFound:
    chat = scope.get("root_path", "") + CHAT_PATH
    return NotFound(f"There is no WebSocket at {scope['path'][:200]}; the chat is at {chat}.")
