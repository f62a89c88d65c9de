"""Middleware that reads request bodies whole, within a limit per request and one over all.

FastAPI, form parsing and the socket behind a page would each hold what has arrived of a body for as
long as the rest takes, without a limit, on any number of connections.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.middleware.methods import SAFE_METHODS
from wireside.api.middleware.refusals import send_refusal
from wireside.api.policy import MAX_BODY_BYTES, Kind, policy_of
from wireside.errors import Overloaded, TooLarge
from wireside.limits.unfinished import Unfinished

UNFINISHED_BYTES: Final = 4 * 1024 * 1024
"""Largest total of unfinished bodies in memory, over all connections."""

UNFINISHED_LARGE_BYTES: Final = 96 * 1024 * 1024
"""The same for routes that accept larger bodies than others."""


class BodyLimits:
    """Reads each request body before calling the application; refuses one that is too large.

    When the unfinished bodies of all connections exceed their limit, the largest is dropped and its
    request gets a 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._unfinished = Unfinished(UNFINISHED_BYTES)
        self._unfinished_large = Unfinished(UNFINISHED_LARGE_BYTES)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Buffer the body, unless the request has none or its route reads it as a stream."""
        policy = policy_of(scope)
        if scope["type"] != "http" or policy.max_body_bytes is None:
            return self.app(scope, receive, send)
        # Socket.IO reads the body of a GET, too
        if scope["method"] in SAFE_METHODS and policy.kind is not Kind.PAGE_SOCKET:
            return self.app(scope, receive, send)
        return self._read_body(scope, receive, send, policy.max_body_bytes)

    async def _read_body(self, scope: Scope, receive: Receive, send: Send, max_bytes: int) -> None:
        message = await receive()
        if message.get("more_body", False):
            is_large = max_bytes > MAX_BODY_BYTES
            unfinished = self._unfinished_large if is_large else self._unfinished
            body = _Body(unfinished, max_bytes)
            try:
                while body.add_piece(message):
                    del message  # else this piece stays in memory while the next one is awaited
                    message = await receive()
            finally:
                body.stop_counting()
            if body.is_given_up:
                return await send_refusal(scope, receive, send, Overloaded(_AT_ONCE))
            if body.is_too_large:
                return await send_refusal(scope, receive, send, _too_large(max_bytes))
            message = {**message, "body": bytes(body.data)}
            del body
        elif len(message.get("body", b"")) > max_bytes:
            return await send_refusal(scope, receive, send, _too_large(max_bytes))
        if message["type"] == "http.disconnect":
            return None  # the client has disconnected; nothing to send
        receive = _receive_after(message, receive)
        del message  # else the body stays in memory until the response has ended
        await self.app(scope, receive, send)


_AT_ONCE: Final = "Too much is being sent to this server at once; try again in a moment."


class _Body:
    """The received part of one request body."""

    def __init__(self, unfinished: Unfinished, max_bytes: int) -> None:
        self.data = bytearray()
        self.is_given_up = False
        self.is_too_large = False
        self._unfinished = unfinished
        self._max_bytes = max_bytes

    def add_piece(self, message: Message) -> bool:
        """Add a piece; return whether more pieces follow."""
        if self.is_given_up or message["type"] != "http.request":
            return False
        self.data += message.get("body", b"")
        if len(self.data) > self._max_bytes:
            self.is_too_large = True
            return False
        self._unfinished.record_size(self._give_up, len(self.data))
        return bool(message.get("more_body", False)) and not self.is_given_up

    def stop_counting(self) -> None:
        """Stop counting the body: it is complete or was abandoned."""
        self._unfinished.record_size(self._give_up, 0)

    def _give_up(self) -> None:
        self.is_given_up = True
        self.data = bytearray()


def _too_large(max_bytes: int) -> TooLarge:
    is_whole = max_bytes % 2**20 == 0
    size = f"{max_bytes // 2**20} MiB" if is_whole else f"{max_bytes} bytes"
    return TooLarge(f"The body of a request may have {size}.")


def _receive_after(first: Message, receive: Receive) -> Receive:
    """Return a ``receive`` that returns ``first``, then the messages of ``receive``."""
    waiting = [first]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next
