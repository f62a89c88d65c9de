"""Binds ids to log lines: those of the request or the connection, and of the user."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SANE: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_HEADER: Final = b"x-request-id"


class RequestIds:
    """Outermost middleware: gives each request a request id, and each WebSocket a connection id.

    A valid ``X-Request-Id`` of the client or a proxy is used instead; the response carries the id.
    Everything that a request causes is logged with it, including the answers it starts.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application with the id bound; the binding ends with the request's task."""
        if scope["type"] not in ("http", "websocket"):
            return self.app(scope, receive, send)
        chosen = _asked_for(scope) or secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = chosen
        if scope["type"] == "websocket":  # ``send`` is not wrapped, so frames cost nothing extra
            structlog.contextvars.bind_contextvars(connection=chosen)
            return self.app(scope, receive, send)
        structlog.contextvars.bind_contextvars(request=chosen)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (_HEADER, chosen.encode())]
                message = {**message, "headers": headers}
            await send(message)

        return self.app(scope, receive, send_with_id)


class CallerIds:
    """Middleware behind authentication: binds the user's id to log lines, if there is one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application with the user's id bound."""
        if (user := caller_of(scope)) is not None:
            structlog.contextvars.bind_contextvars(user=user)
        return self.app(scope, receive, send)


def caller_of(scope: Scope) -> str | None:
    """Return the user id of the request's caller; None if it is not authenticated."""
    caller = scope.get("state", {}).get("caller")
    user_id = getattr(caller, "user_id", None)
    return None if user_id is None else str(user_id)


def _asked_for(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            text = value.decode("latin-1")
            return text if _SANE.fullmatch(text) else None
    return None
