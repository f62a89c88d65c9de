"""Middleware that reads request bodies whole, within a limit per request and one over all.

FastAPI, form parsing and the socket behind a page would each hold what has arrived of a body for as
long as the rest takes, without a limit, on any number of connections.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.middleware.paths import PAGE_SOCKET, SAFE_METHODS
from wireside.api.middleware.refusals import refuse
from wireside.errors import Overloaded, TooLarge
from wireside.limits.unfinished import Unfinished

MAX_BODY_BYTES: Final = 1024 * 1024
"""Largest body of one request. Larger bodies are files, whose routes read them as a stream."""

UNFINISHED_BYTES: Final = 4 * 1024 * 1024
"""Largest total of unfinished bodies in memory, over all connections."""

IN_PIECES: Final = frozenset({"/api/conversations/import", "/api/doctor/large"})
"""Paths of routes that read their body as a stream, up to a limit of their own."""


class BodyLimits:
    """Reads each request body before calling the application; refuses one that is too large.

    When the unfinished bodies of all connections exceed their limit, the largest is dropped and its
    request gets a 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._unfinished = Unfinished(UNFINISHED_BYTES)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Buffer the body, unless the request has none or its route reads it as a stream."""
        if scope["type"] != "http" or scope["path"] in IN_PIECES:
            return self.app(scope, receive, send)
        if scope["method"] in SAFE_METHODS and PAGE_SOCKET not in scope["path"]:
            return self.app(scope, receive, send)
        return self._read(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if message.get("more_body", False):
            body = _Body(self._unfinished)
            try:
                while body.take(message):
                    del message  # else this piece stays in memory while the next one is awaited
                    message = await receive()
            finally:
                body.forget()
            if body.is_given_up:
                return await refuse(scope, receive, send, Overloaded(_AT_ONCE))
            if body.is_too_large:
                return await refuse(scope, receive, send, TooLarge(_TOO_LARGE))
            message = {**message, "body": bytes(body.data)}
            del body
        if message["type"] == "http.disconnect":
            return None  # the client has disconnected; nothing to send
        await self.app(scope, _after(message, receive), send)


_TOO_LARGE: Final = f"The body of a request may have {MAX_BODY_BYTES // 2**20} MiB."
_AT_ONCE: Final = "Too much is being sent to this server at once; try again in a moment."


class _Body:
    """The received part of one request body."""

    def __init__(self, unfinished: Unfinished) -> None:
        self.data = bytearray()
        self.is_given_up = False
        self.is_too_large = False
        self._unfinished = unfinished

    def take(self, message: Message) -> bool:
        """Add a piece; return whether more pieces follow."""
        if self.is_given_up or message["type"] != "http.request":
            return False
        self.data += message.get("body", b"")
        if len(self.data) > MAX_BODY_BYTES:
            self.is_too_large = True
            return False
        self._unfinished.hold(self._give_up, len(self.data))
        return bool(message.get("more_body", False)) and not self.is_given_up

    def forget(self) -> None:
        """Stop counting the body: it is complete or was abandoned."""
        self._unfinished.hold(self._give_up, 0)

    def _give_up(self) -> None:
        self.is_given_up = True
        self.data = bytearray()


def _after(first: Message, receive: Receive) -> Receive:
    """Return a ``receive`` that returns ``first``, then the messages of ``receive``."""
    waiting = [first]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next
