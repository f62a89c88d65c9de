"""Refuses HTTP requests and WebSocket handshakes with a JSON body."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from starlette.types import Receive, Scope, Send

POLICY_VIOLATION: Final = 1008
"""Close code of a refused handshake, for servers that can't refuse one by an HTTP response."""


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
