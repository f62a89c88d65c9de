"""Refuses HTTP requests and WebSocket handshakes with a JSON body."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from starlette.types import Receive, Scope, Send

from wireside.api.errors import body_of, headers_of, openai_body, status_of, whole_seconds
from wireside.api.policy import policy_of
from wireside.errors import WiresideError
from wireside.protocol.handshake import Refuse

POLICY_VIOLATION: Final = 1008
"""Close code of a refused handshake, for servers that can't refuse one by an HTTP response."""

Headers = Iterable[tuple[bytes, bytes]]


class RefusalCounter(Protocol):
    """Counts refused requests; implemented by the telemetry."""

    def count_refusal(self) -> None:
        """Count a refused request."""


async def send_refusal(
    scope: Scope, receive: Receive, send: Send, error: WiresideError, *, headers: Headers = ()
) -> None:
    """Refuse a request or a handshake with an error, as ``api/errors.py`` maps it."""
    status = status_of(error)
    added = [
        (name.lower().encode(), value.encode()) for name, value in headers_of(error, status).items()
    ]
    await _send_json(
        scope, receive, send, status=status, body=_body(scope, error), headers=[*headers, *added]
    )


async def refuse_handshake(
    scope: Scope, receive: Receive, send: Send, refusal: Refuse, *, after_s: float = 0.0
) -> None:
    """Refuse a request or a handshake by a verdict that has no code of the protocol.

    ``after_s`` is sent as ``Retry-After``, and the connection is closed.
    """
    headers: list[tuple[bytes, bytes]] = []
    if after_s:
        headers += [
            (b"retry-after", str(whole_seconds(after_s)).encode()),
            (b"connection", b"close"),
        ]
    if refusal.status == 426:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    body: Mapping[str, Any] = {"message": refusal.sentence}
    if policy_of(scope).has_openai_errors:
        body = openai_body(refusal.sentence, refusal.status, code=None)
    await _send_json(scope, receive, send, status=refusal.status, body=body, headers=headers)


def _body(scope: Scope, error: WiresideError) -> Mapping[str, Any]:
    if policy_of(scope).has_openai_errors:
        return openai_body(str(error), status_of(error), code=error.code)
    return body_of(error)


async def _send_json(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    status: int,
    body: Mapping[str, Any],
    headers: Headers,
) -> None:
    """Send a response with a JSON object, also in place of a WebSocket handshake."""
    data = json.dumps(body).encode()
    all_headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(data)).encode()),
        *headers,
    ]
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        kind = "websocket.http.response"
        if kind not in scope.get("extensions", {}):
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
    await send({"type": f"{kind}.start", "status": status, "headers": all_headers})
    await send({"type": f"{kind}.body", "body": data})
