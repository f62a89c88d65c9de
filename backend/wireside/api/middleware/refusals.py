"""Refuses HTTP requests and WebSocket handshakes with a JSON body."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

from wireside.api.middleware.limit_headers import seconds
from wireside.protocol.handshake import Refuse

POLICY_VIOLATION: Final = 1008
"""Close code of a refused handshake, for servers that can't refuse one by an HTTP response."""


class RefusalCounter(Protocol):
    """Counts refused requests; implemented by the telemetry."""

    def refuse(self) -> None:
        """Count a refused request."""


async def answer(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    sentence: str,
    code: str,
    more: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Refuse a request or a handshake with a message and an error code.

    Args:
        scope: the request's ASGI scope.
        receive: its ASGI ``receive``.
        send: its ASGI ``send``.
        status: HTTP status; 401 adds ``WWW-Authenticate``.
        sentence: message for the user.
        code: error code, as in the frames of the protocol.
        more: further headers.
    """
    headers = list(more)
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="wireside"'))
    fields = {"message": sentence, "code": code}
    await send_json(scope, receive, send, status=status, fields=fields, headers=headers)


async def send_json(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    status: int,
    fields: dict[str, str],
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send a response with a JSON object, also in place of a WebSocket handshake."""
    body = json.dumps(fields).encode()
    all_headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        kind = "websocket.http.response"
        if kind not in scope.get("extensions", {}):
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
    await send({"type": f"{kind}.start", "status": status, "headers": all_headers})
    await send({"type": f"{kind}.body", "body": body})


async def refuse(
    scope: Scope, receive: Receive, send: Send, refusal: Refuse, *, after_s: float = 0.0
) -> None:
    """Refuse a request or a handshake by a verdict on it; ``after_s`` is sent as Retry-After."""
    headers: list[tuple[bytes, bytes]] = []
    if after_s:
        headers += [
            (b"retry-after", str(seconds(after_s)).encode()),
            (b"connection", b"close"),
        ]
    if refusal.status == 426:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    fields = {"message": refusal.sentence}
    await send_json(scope, receive, send, status=refusal.status, fields=fields, headers=headers)
