"""CORS: the responses that pages of allowed origins can read.

These pages can use the REST API and import assets, authenticated by API keys or tickets.
Credentials that a browser adds by itself, such as cookies, are never allowed: no response permits
them, and a cross-origin request that carries them is handled as one without.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.policy import policy_of
from wireside.protocol.handshake import HandshakePolicy

MAX_AGE_S: Final = 600
"""Seconds for which a browser may cache the response to a preflight request."""

_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS: Final = b"authorization, content-type"
_NAMES: Final = re.compile(rb"[A-Za-z0-9_\-]+(?:\s*,\s*[A-Za-z0-9_\-]+)*")
_EXPOSED: Final = (
    b"retry-after, content-disposition, etag, www-authenticate, x-request-id,"
    b" ratelimit, ratelimit-policy, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset,"
    b" stream-next-offset, stream-cursor, stream-up-to-date, stream-closed"
)


def listed_origin(scope: Scope, door: HandshakePolicy) -> bytes | None:
    """Return the ``Origin`` whose pages can read the response; None if there is none."""
    if not policy_of(scope).is_cross_origin:
        return None
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    if len(origins) != 1 or not door.lists(origins[0].decode("latin-1")):
        return None
    return bytes(origins[0])


def is_preflight(scope: Scope) -> bool:
    """Whether this is a CORS preflight request."""
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )


async def answer_preflight(scope: Scope, origin: bytes, send: Send) -> None:
    """Allow all methods and headers to pages of an allowed origin."""
    asked = dict(scope["headers"])
    wanted = asked.get(b"access-control-request-headers", b"").strip()
    headers = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", wanted if _NAMES.fullmatch(wanted) else _HEADERS),
        (b"access-control-max-age", str(MAX_AGE_S).encode()),
        (b"content-length", b"0"),
    ]
    if asked.get(b"access-control-request-private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class CrossOrigin:
    """Adds the CORS headers to all responses, errors included."""

    def __init__(self, app: ASGIApp, door: HandshakePolicy) -> None:
        self.app = app
        self._door = door

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application; add the headers to its response."""
        if scope["type"] != "http" or not policy_of(scope).is_cross_origin:
            return self.app(scope, receive, send)
        origin = listed_origin(scope, self._door)

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"vary", b"Origin")]
                if origin is not None:
                    headers += [
                        (b"access-control-allow-origin", origin),
                        (b"access-control-expose-headers", _EXPOSED),
                    ]
                message = {**message, "headers": headers}
            await send(message)

        return self.app(scope, receive, send_shared)
