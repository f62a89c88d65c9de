"""Names the server that has made a page in a cookie, where several servers share the work.

A page lives in the process that has made it: proxies send its WebSocket to the server that the
cookie names (docs/proxies.md, "Several servers").
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

REPLICA_COOKIE: Final = "wireside_replica"


class ReplicaCookie:
    """Sets ``wireside_replica=NAME`` with each HTML response.

    It is HttpOnly and SameSite=Lax, and lasts as long as the browser runs: it says nothing about
    the user, and a proxy that finds the server gone takes another one, whose response replaces it.
    """

    def __init__(self, app: ASGIApp, *, name: str) -> None:
        self.app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and add the cookie to a page."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope.get("root_path") or "/"
        value = f"{REPLICA_COOKIE}={self._name}; Path={path}; HttpOnly; SameSite=Lax"

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_html(message):
                headers = [*message["headers"], (b"set-cookie", value.encode("latin-1"))]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_named)


def _is_html(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/html")
        for name, value in message.get("headers", ())
    )
