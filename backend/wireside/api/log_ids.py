"""Names what log lines are about: the request or the connection, and who asks."""

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
    """Gives each request an id, each WebSocket one as its connection; the outermost of all.

    A sane ``X-Request-Id`` of the client, or of a proxy, is taken over; the response tells it.
    Everything that a request leads to is logged under it, the answers that it asks for included.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass on under the id. What is bound here ends with the task of this one request."""
        if scope["type"] not in ("http", "websocket"):
            return self.app(scope, receive, send)
        chosen = _asked_for(scope) or secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = chosen
        if scope["type"] == "websocket":  # its frames pass by untouched
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
    """Adds who asks, where that is known; the innermost of all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass on under the user's id."""
        if (user := caller_of(scope)) is not None:
            structlog.contextvars.bind_contextvars(user=user)
        return self.app(scope, receive, send)


def caller_of(scope: Scope) -> str | None:
    """Return the id of the user who asks, None where nobody is known."""
    caller = scope.get("state", {}).get("caller")
    user_id = getattr(caller, "user_id", None)
    return None if user_id is None else str(user_id)


def _asked_for(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            text = value.decode("latin-1")
            return text if _SANE.fullmatch(text) else None
    return None
