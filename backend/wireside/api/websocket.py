"""``/ws/ai-chat`` as an ASGI application: transfers frames between a socket and a session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import parse_qs

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.middleware.client_address import peer_address
from wireside.api.middleware.refusals import send_refusal
from wireside.api.middleware.root_path import route_path
from wireside.api.middleware.transport import CHAT_PATH
from wireside.api.policy import SOCKET, route_policy
from wireside.chat.service import ChatService
from wireside.errors import BadMessage
from wireside.limits.windows import AddressWindows
from wireside.ports.clock import Clock
from wireside.protocol.connection import Connection, ConnectionLimits
from wireside.protocol.frames import DEFAULT_FRAME_BYTES, checked_frame_bytes
from wireside.session.counts import FrameCounts
from wireside.session.departure import Departure
from wireside.session.session import Counters, Session

SUBPROTOCOL = "ai-chat"
INTERNAL_ERROR = 1011

_log = structlog.get_logger(__name__)


class ConnectionCounters(Counters, Protocol):
    """Counts connections as well as the events on them."""

    def connected(self) -> None:
        """Count an opened connection."""

    def disconnected(self) -> None:
        """Count a closed connection."""


@route_policy(SOCKET)
class ChatEndpoint:
    """Serves connections whose handshake ``middleware/stack.py`` has accepted."""

    def __init__(
        self,
        chat: ChatService,
        limits: ConnectionLimits,
        addresses: AddressWindows,
        counters: ConnectionCounters,
        clock: Clock,
        counts: FrameCounts | None = None,
        departure: Departure | None = None,
    ) -> None:
        self._departure = departure or Departure()
        self._chat = chat
        self._limits = limits
        self._addresses = addresses
        self._counters = counters
        self._clock = clock
        self._counts = counts or FrameCounts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its handshake to its end."""
        try:
            max_frame_bytes = _max_frame_bytes(scope)
        except BadMessage as error:
            return await send_refusal(scope, receive, send, error)
        if (await receive())["type"] != "websocket.connect":
            return
        offered = scope.get("subprotocols", ())
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        chat = chat_of(scope, self._chat)
        who = chat.caller.user_id or peer_address(scope)
        window = self._addresses.window_for(who, self._clock())
        connection = Connection(self._limits, window)
        session = Session(
            connection=connection,
            chat=chat,
            counters=self._counters,
            counts=self._counts,
            max_frame_bytes=max_frame_bytes,
        )
        self._counters.connected()
        unregister = self._departure.register_client(session.move)
        writer = asyncio.create_task(_write_frames(session, send), name="websocket writer")
        try:
            await self._receive_frames(session, receive)
        finally:
            unregister()
            self._counters.disconnected()
            session.handle_disconnect()
            writer.cancel()
            await asyncio.wait([writer])

    async def _receive_frames(self, session: Session, receive: Receive) -> None:
        """Receive continuously: pings are processed only while the application receives."""
        # no variable keeps a message alive during the wait
        while self._handle_message(session, await receive()):
            pass

    def _handle_message(self, session: Session, message: Message) -> bool:
        if message["type"] == "websocket.disconnect":
            return False
        text = message.get("text")
        if text is None and not message.get("bytes"):
            text = ""  # an empty text or binary frame is a heartbeat
        if text is None:
            session.receive_binary()
        else:
            session.receive_frame(text, self._clock())
        return True


class ChatSocket:
    """Middleware that serves ``/ws/ai-chat`` without the framework's routing.

    The router's coroutines would stay on the call stack as long as a connection is open, at 5 KB
    per connection.
    """

    def __init__(self, app: ASGIApp, endpoint: ASGIApp) -> None:
        self.app = app
        self._endpoint = endpoint

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve the connection, or call the application."""
        if scope["type"] == "websocket" and route_path(scope).rstrip("/") == CHAT_PATH:
            return self._endpoint(scope, receive, send)
        return self.app(scope, receive, send)


async def _write_frames(session: Session, send: Send) -> None:
    # Not `async`: a coroutine would keep the frame alive while the socket is blocked.
    def send_text(frame: str) -> Awaitable[None]:
        return send({"type": "websocket.send", "text": frame})

    def close_socket(code: int, reason: str) -> Awaitable[None]:
        return send({"type": "websocket.close", "code": code, "reason": reason})

    try:
        await session.write_frames(send_text, close_socket)
    except OSError:
        pass  # the peer is gone; the receiving task gets a disconnect as well
    except Exception as error:  # without its writer, the connection would hang
        if isinstance(error, RuntimeError):  # how some servers report a closed connection
            _log.debug("websocket_closed_while_writing", exc_info=error)
        else:
            _log.exception("websocket_failed")
        with suppress(OSError, RuntimeError):
            await close_socket(INTERNAL_ERROR, "")


def _max_frame_bytes(scope: Scope) -> int:
    """Return the value of the query's ``max_frame_bytes=N``. Raises ``BadMessage``."""
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("max_frame_bytes")
    if not values:
        return DEFAULT_FRAME_BYTES
    digits = values[-1]
    return checked_frame_bytes(int(digits) if re.fullmatch("[0-9]{1,9}", digits) else 0)


def chat_of(scope: Scope, otherwise: ChatService) -> ChatService:
    """Return the caller's chat service; ``otherwise`` if no middleware has set one."""
    state: dict[str, Any] = scope.get("state") or {}
    chat: ChatService | None = state.get("chat")
    return chat or otherwise
