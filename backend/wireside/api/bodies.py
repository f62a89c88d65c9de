"""Bodies of requests: small, whole before anything else sees them, bounded over all connections.

Whatever reads a body (FastAPI, forms, the socket behind a page) would hold all that has come of it
for as long as the rest takes, without a limit, on as many connections as there are.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.guards import PAGE_SOCKET
from wireside.api.socket_limits import Unfinished
from wireside.api.who import answer

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of one request; what is larger is a file and has a route that takes it piece by piece."""

UNFINISHED_BYTES: Final = 4 * 1024 * 1024
"""What is held of bodies that have begun, over all connections."""

IN_PIECES: Final = frozenset({"/api/conversations/import", "/api/doctor/large"})
"""Routes that take a body piece by piece, to a bound of their own."""

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Bodies:
    """Reads each body, then passes on; refuses one that is too large.

    Past the bound over all connections the largest of those that have begun is given up.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._unfinished = Unfinished(UNFINISHED_BYTES)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass on what has no body here, or a route that takes it in pieces."""
        if scope["type"] != "http" or scope["path"] in IN_PIECES:
            return self.app(scope, receive, send)
        if scope["method"] in _WITHOUT_BODY and PAGE_SOCKET not in scope["path"]:
            return self.app(scope, receive, send)
        return self._read(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if message.get("more_body", False):
            body = _Body(self._unfinished)
            try:
                while body.take(message):
                    del message  # it would be held while the next one is awaited
                    message = await receive()
            finally:
                body.forget()
            if body.is_given_up:
                return await answer(scope, receive, send, 503, _AT_ONCE, "overloaded")
            if body.is_too_large:
                return await answer(scope, receive, send, 413, _TOO_LARGE, "too_large")
            message = {**message, "body": bytes(body.data)}
            del body
        if message["type"] == "http.disconnect":
            return None  # whoever asked has left: nobody's fault, and nobody to tell
        await self.app(scope, _after(message, receive), send)


_TOO_LARGE: Final = f"The body of a request may have {MAX_BODY_BYTES // 2**20} MiB."
_AT_ONCE: Final = "Too much is being sent to this server at once; try again in a moment."


class _Body:
    """What has come of one body."""

    def __init__(self, unfinished: Unfinished) -> None:
        self.data = bytearray()
        self.is_given_up = False
        self.is_too_large = False
        self._unfinished = unfinished

    def take(self, message: Message) -> bool:
        """Add a piece; return whether another one is to come."""
        if self.is_given_up or message["type"] != "http.request":
            return False
        self.data += message.get("body", b"")
        if len(self.data) > MAX_BODY_BYTES:
            self.is_too_large = True
            return False
        self._unfinished.hold(self._give_up, len(self.data))
        return bool(message.get("more_body", False)) and not self.is_given_up

    def forget(self) -> None:
        """It is whole, or it will never be."""
        self._unfinished.hold(self._give_up, 0)

    def _give_up(self) -> None:
        self.is_given_up = True
        self.data = bytearray()


def _after(first: Message, receive: Receive) -> Receive:
    """Return a ``receive`` that begins with ``first``."""
    waiting = [first]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next
