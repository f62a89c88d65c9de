"""The access log: a line for each request, without what may be private."""

from __future__ import annotations

import time
from collections.abc import Awaitable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.middleware.client_address import peer_address
from wireside.api.middleware.request_ids import caller_of
from wireside.api.policy import logged_path

_log = structlog.get_logger(__name__)


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
                    path=logged_path(scope),
                    status=status,
                    ms=round((time.perf_counter() - began) * 1000, 1),
                    peer=peer_address(scope),
                    **({} if (user := caller_of(scope)) is None else {"user": user}),
                )
            await send(message)

        return self.app(scope, receive, send_logged)
