"""One HTTP connection: uvicorn's, with an end to requests that never end."""

from __future__ import annotations

import asyncio
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wireside.api.socket_limits import SocketConfig
from wireside.api.websocket_protocol import WebSocketConnection

if TYPE_CHECKING:
    from starlette.types import Scope
    from uvicorn.server import ServerState


MAX_HEAD_BYTES: Final = 64 * 1024
"""Of a request line and its headers; the parser itself knows no limit."""


class HttpConnection(HttpToolsProtocol):
    """Aborts a connection whose request, or next part of a body, takes ``handshake_s`` to come.

    Such a connection reaches no application, so that nothing above can see it. Hands an upgrade
    to :class:`WebSocketConnection`. Like there, ``tick`` takes the place of timers.
    """

    def __init__(
        self,
        config: SocketConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._socket_config = config
        self._waits_since: float | None = self.loop.time()  # for bytes of the client
        self._closing_since: float | None = None
        self._size = 0  # of what waits to be written, and when it last became less
        self._moved_at = 0.0
        self._reads_headers = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and note what is still missing."""
        super().data_received(data)
        if self.parser is None:  # upgraded
            return
        if self._reads_headers:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The headers are too large.")
        is_reading_body = not self._reads_headers and self.cycle is not None
        if is_reading_body and not self.cycle.more_body:
            self._waits_since = None
        elif is_reading_body or self._waits_since is None:
            self._waits_since = self.loop.time()

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        super().on_message_begin()
        self._reads_headers = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Called by the parser behind the empty line."""
        super().on_headers_complete()
        self._reads_headers = False

    def handle_websocket_upgrade(self) -> None:
        """Hand the TCP connection to a WebSocket connection, and keep nothing."""
        self.connections.discard(self)
        method = self.scope["method"]
        connection = WebSocketConnection(self._socket_config, self.server_state, self.loop)
        self.transport.set_protocol(connection)
        connection.open(self.transport, self._websocket_scope(), method)
        self.parser = None  # type: ignore[assignment]  # a cycle that would keep both for the collector

    def _websocket_scope(self) -> Scope:
        url = httptools.parse_url(self.url)
        if url.path is None:
            raise ValueError("The target of the request is no path.")
        path = urllib.parse.unquote(url.path.decode("ascii"))
        offered = (v for k, v in self.headers if k == b"sec-websocket-protocol")
        return {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": self.scope["http_version"],
            "scheme": "wss" if self.scheme == "https" else "ws",
            "server": self.server,
            "client": self.client,
            "root_path": self.root_path,
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "subprotocols": [
                name.strip() for value in offered for name in value.decode("latin-1").split(",")
            ],
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    def tick(self, now: float) -> None:
        """Hold the limits that time decides. Called about every ``SocketLimits.tick_s``."""
        if self.transport.is_closing():
            if self._closing_since is None:
                self._closing_since = now
            elif now - self._closing_since >= self._limits.closing_s:
                self.transport.abort()  # close() waits for a flush that a dead peer never takes
        elif self._waits_since is not None and now - self._waits_since >= self._limits.handshake_s:
            if self.flow.read_paused:  # we don't take what the client sends: not its fault
                self._waits_since = now
            else:
                self.transport.abort()
        elif self.flow.write_paused and self._has_stalled(now):
            self.transport.abort()

    def _has_stalled(self, now: float) -> bool:
        size = self.transport.get_write_buffer_size()
        if size < self._size or not self._moved_at:
            self._moved_at = now
        self._size = size
        return now - self._moved_at >= self._limits.stalled_s

    def pause_writing(self) -> None:
        """Told by the transport: the peer is slower than the application."""
        super().pause_writing()
        self._moved_at = 0.0
