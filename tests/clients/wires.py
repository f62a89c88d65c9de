"""Proxies and servers that fail on command, for clients in another process. Based on threads."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve


class Wire:
    """A TCP proxy that refuses (``shut``), forwards, swallows all bytes or cuts all connections."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._ends: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._swallows = False
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.connections = 0

    def open(self) -> None:
        """Listen and forward bytes.

        Silent connections are cut, as only Node 20 with ``ws`` can abandon them by itself.
        """
        if self._swallows:
            self.cut()
        self._swallows = False
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def swallow(self) -> None:
        """Accept connections and bytes, and forward nothing in either direction."""
        if self._listener is None:
            self.open()
        self._swallows = True

    def cut(self) -> None:
        """Close all connections; new ones are forwarded."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        """Close all connections, and refuse new ones."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._ends += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        lost = False  # swallowed bytes are lost: the connection never recovers
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                lost = lost or self._swallows
                if not lost:
                    sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Control:
    """Lets a program of another process call functions of the test: ``GET /name``."""

    def __init__(self, functions: dict[str, Callable[[], object]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = functions[self.path[1:]]()
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Double:
    """A WebSocket server controlled by a function, for behaviour that the real server never shows.

    ``behave(double, connection)`` handles each connection; ``frames`` holds what clients sent in
    all connections. If ``status`` is given, each handshake is refused with it.
    """

    def __init__(
        self,
        behave: Callable[[Double, ServerConnection], None] | None = None,
        *,
        status: int | None = None,
    ) -> None:
        self._behave = behave or (lambda _, connection: None)
        self._status = status
        self.frames: list[dict[str, Any]] = []
        self.times: list[float] = []
        self._server: Server

    def __enter__(self) -> Self:
        self._server = serve(
            self._handle,
            "127.0.0.1",
            0,
            process_request=self._judge,
            subprotocols=["ai-chat"],  # type: ignore[list-item]
            select_subprotocol=lambda _, offered: "ai-chat" if "ai-chat" in offered else None,  # type: ignore[arg-type,return-value]
            compression=None,
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    @property
    def port(self) -> int:
        return int(self._server.socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/ai-chat"

    def read(self, connection: ServerConnection) -> dict[str, Any]:
        """Return the next frame that is not a ping; pings are answered."""
        while True:
            frame: dict[str, Any] = json.loads(connection.recv())
            if frame["type"] != "ping":
                self.frames.append(frame)
                return frame
            self.send(connection, type="pong")

    @staticmethod
    def send(connection: ServerConnection, **frame: Any) -> None:
        connection.send(json.dumps(frame))

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.times.append(time.monotonic())
        if self._status is not None:
            return connection.respond(self._status, "refused\n")
        return None

    def _handle(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            self._behave(self, connection)
