"""uvicorn's HTTP connection, with time limits on incoming requests."""

from __future__ import annotations

import asyncio
import socket
import urllib.parse
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wireside.errors import ResponseAborted
from wireside.server.limits import SocketConfig, reset_connection
from wireside.server.websocket import WebSocketConnection

if TYPE_CHECKING:
    from starlette.types import Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState


MAX_HEAD_BYTES: Final = 64 * 1024
"""Largest size of a request line with its headers; the parser itself has no limit."""

HEAD_END: Final = b"\r\n\r\n"

LOCAL_PEER: Final = ("127.0.0.1", 0)
"""Peer address of a Unix socket: a local program that the socket's permissions admit."""

PIPELINED: Final = 16
"""Largest number of pipelined requests. Browsers and proxies pipeline none."""

TOO_MANY: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b'Content-Length: 65\r\n\r\n{"message": "This address has too many connections; close some."}'
)


def _is_unix_socket(transport: asyncio.Transport) -> bool:
    """Whether a connection uses a Unix socket."""
    sock = transport.get_extra_info("socket")
    family = getattr(socket, "AF_UNIX", None)
    return family is not None and sock is not None and sock.family == family


class HttpConnection(HttpToolsProtocol):
    """Aborts connections whose requests arrive too slowly, before an application sees them.

    A request must arrive within ``handshake_s`` and its body at ``least_bytes_per_second`` or
    faster. Such a connection reaches no application, so no higher layer could detect it. Upgrade
    requests are handed to :class:`WebSocketConnection`. As there, ``enforce_limits`` replaces
    timers.
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
        # Loop time at which more input is due; None while none is missing
        self._due: float | None = self.loop.time() + config.limits.arrival_s
        self._closing_since: float | None = None
        self._running: RequestResponseCycle | None = None
        self._network: str | None = None  # network that the connection is counted under
        self._size = 0  # bytes in the write buffer; ``_moved_at`` is when that last shrank
        self._moved_at = 0.0
        self._reads_headers = False
        self._head_bytes = 0
        self._unpassed: bytearray | None = None  # an incomplete head that may be passed on

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it with a 429."""
        super().connection_made(transport)
        if self.client is None and _is_unix_socket(transport):
            self.client = LOCAL_PEER
        self._network = self._socket_config.addresses.count_connection(
            self.client[0] if self.client else ""
        )
        if self._network is None:
            transport.write(TOO_MANY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport, always last."""
        self._stop_counting()
        self._disconnect_cycles()
        super().connection_lost(exc)
        # After a reset, uvicorn leaves this timer running, which holds the connection for seconds.
        self._unset_keepalive_if_required()
        # Requests reference their connection: leaving these would need the garbage collector.
        self.pipeline.clear()
        self.cycle = self._running = None  # type: ignore[assignment]  # the initial value
        self.scope, self.headers = cast("Any", None), []

    def _stop_counting(self) -> None:
        if self._network is not None:
            self._socket_config.addresses.uncount_connection(self._network)
            self._network = None

    def data_received(self, data: bytes) -> None:
        """Parse incoming data and set the deadline for what is still missing."""
        if self.transport.is_closing() or self._is_passed_on(data):
            return
        super().data_received(data)
        if self.parser is None:  # the connection was upgraded
            return
        if self._reads_headers:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The headers are too large.")
        is_reading_body = not self._reads_headers and self.cycle is not None
        now = self.loop.time()
        if is_reading_body and not self.cycle.more_body:
            self._due = None
        elif self._due is None:
            if self._reads_headers or is_reading_body:  # not for an empty line between requests
                self._due = now + self._limits.arrival_s
        elif is_reading_body:
            self._due = self._limits.next_deadline(self._due, now, len(data))

    def _is_passed_on(self, data: bytes) -> bool:
        """Pass the connection to another worker, if that one has the page of a new request.

        That is known at the end of the head, which may arrive in several reads: until then they
        are both parsed and kept.
        """
        hand_over = self._socket_config.hand_over
        if hand_over is None:
            return False
        if not self._reads_headers:
            is_new = self.cycle is None and not self.pipeline
            self._unpassed = bytearray() if is_new else None
        if self._unpassed is None:
            return False
        searched = max(0, len(self._unpassed) - len(HEAD_END) + 1)
        self._unpassed += data
        if self._unpassed.find(HEAD_END, searched) < 0:
            if len(self._unpassed) > MAX_HEAD_BYTES:
                self._unpassed = None
            return False
        read, self._unpassed = bytes(self._unpassed), None
        if not hand_over.pass_on(read, self.transport):
            return False
        self._unset_keepalive_if_required()
        self.transport.abort()  # closes this process's descriptor only
        return True

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        super().on_message_begin()
        self.scope.setdefault("extensions", {})["wireside.transport"] = {}
        self._reads_headers = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Called by the parser after the empty line that ends the headers."""
        self._reads_headers = False
        if len(self.pipeline) >= PIPELINED:
            self._abort_connection()
            raise ConnectionAbortedError  # stops the parser; its 400 is not sent
        super().on_headers_complete()
        if self._due is not None:  # the deadline is the body's from here on
            self._due = self.loop.time() + self._limits.arrival_s

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle

        async def run_app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except ResponseAborted:
                cycle.disconnected = True
                self.transport.close()

        super()._start_asgi_task(cycle, run_app)

    def on_response_complete(self) -> None:
        """Called by the cycle with the last byte of a response.

        An idle connection keeps no reference to the request.
        """
        super().on_response_complete()
        if self.cycle is None or not self.cycle.response_complete or self.cycle.more_body:
            return
        self.cycle = self._running = None  # type: ignore[assignment]  # the initial value
        if not self._reads_headers:
            self.scope, self.headers = cast("Any", None), []

    def handle_websocket_upgrade(self) -> None:
        """Hand the TCP connection to a ``WebSocketConnection`` and release everything here."""
        self.connections.discard(self)
        self._stop_counting()
        method = self.scope["method"]
        connection = WebSocketConnection(self._socket_config, self.server_state, self.loop)
        self.transport.set_protocol(connection)
        connection.open(self.transport, self._websocket_scope(), method)
        # The reference cycle would keep both alive until garbage collection.
        self.parser = None  # type: ignore[assignment]

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
                name
                for value in offered
                for part in value.decode("latin-1").split(",")
                if (name := part.strip())
            ],
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}, "wireside.transport": {}},
        }

    def enforce_limits(self, now: float) -> None:
        """Enforce the time limits. Called about every ``SocketLimits.tick_s`` seconds."""
        if self.transport.is_closing():
            if self._closing_since is None:
                self._closing_since = now
            elif now - self._closing_since >= self._limits.closing_s:
                reset_connection(
                    self.transport
                )  # close() waits for a flush, which a dead peer never allows
        elif self._due is not None and now >= self._due:
            if self.flow.read_paused:  # the delay is the server's, not the client's
                self._due = now + self._limits.arrival_s
            else:
                self._abort_connection()
        elif self.flow.write_paused and self._has_stalled(now):
            self._abort_connection()

    def _abort_connection(self) -> None:
        self._disconnect_cycles()
        reset_connection(self.transport)

    def _disconnect_cycles(self) -> None:
        """Tell all pending cycles that the client has disconnected.

        uvicorn tells only the newest one, which may still be queued.
        """
        waiting = [cycle for cycle, _ in self.pipeline]
        for cycle in [*waiting, self.cycle, self._running]:
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed request and close the connection."""
        self._disconnect_cycles()
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _has_stalled(self, now: float) -> bool:
        size = self.transport.get_write_buffer_size()
        if size < self._size or not self._moved_at:
            self._moved_at = now
        self._size = size
        return now - self._moved_at >= self._limits.patience_s

    def pause_writing(self) -> None:
        """Called by the transport when the write buffer is full."""
        super().pause_writing()
        self._moved_at = 0.0


class PassedConnection(HttpConnection):
    """A connection that another worker has accepted, and the bytes that it has read of it.

    They are parsed in ``connection_made``: with uvloop, bytes that are in the kernel by then are
    received before ``connect_accepted_socket`` returns.
    """

    def __init__(
        self, data: bytes, config: SocketConfig, state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, state, app_state)
        self._passed = data

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and parse what was read before."""
        super().connection_made(transport)
        data, self._passed = self._passed, b""
        self.data_received(data)
