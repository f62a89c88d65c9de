"""One WebSocket connection below ASGI: limits that no application can enforce, little memory.

It replaces uvicorn's ``WebSocketsSansIOProtocol`` on the same sans-I/O core (websockets), and is
not a subclass of it: nearly all of that class's state either costs memory (a queue, two events, the
parsed request, timers) or has to behave differently (closing, counting, compressing).

Theory of operation:

- Input is parsed in slices, as far as the application has received what came before. Large reads
  go through ``Shares``, so that a flood does not block the event loop. While input waits in
  ``_backlog`` or ``_inbox``, reading from the transport is paused.
- Output of one turn of the event loop is joined. While the transport's buffer is full,
  ``_writable`` exists and the application waits in ``send``.
- A closing connection (``_closing_since`` is set) still reads, for the peer's close frame, but
  delivers nothing. A lost connection (``_is_lost``) has released all its buffers.
- There are no timers: the server calls ``enforce_limits`` for each connection about once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import http.client
import logging
import math
import random
import struct
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from uvicorn.protocols.utils import ClientDisconnected
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, SEND_EOF, SERVER, Protocol
from websockets.server import ServerProtocol

from wireside.server.compression import LazyDeflate, LazyDeflateFactory, readable_offers
from wireside.server.limits import FLUSH_S, SocketConfig, reset_connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope
    from uvicorn.server import ServerState

SLICE_BYTES: Final = 1024
"""Input is parsed in slices of this size.

A flood of tiny frames is thus stopped by its limit, and not only after a whole read (256 KB, 40,000
frames).
"""

LAST_BYTES: Final = 4096
"""Bytes still parsed on a closing connection: frames in flight, then the peer's close frame."""

LAST_READS: Final = 32
"""Reads from a closing connection between two ticks.

Enough for the data in flight, and a bound on the cost of a flood of tiny messages.
"""

BEGUN_BYTES: Final = 64
"""Overhead counted for an unfinished message, so that an empty one is counted too."""

TINY_BYTES: Final = 64
"""Fragments below this size count against the limits of tiny ones. No client library sends them."""

PAUSED_S: Final = 0.1
"""Seconds for which reading pauses after ``control_frames_per_second`` larger fragments."""

HELD_STEP: Final = 4096
"""Step, in bytes, in which unfinished data is recorded: most messages never reach the first one."""

JOINED_BYTES: Final = 16 * 1024
"""Size from which joined output is written, so that an endless sender meets back-pressure."""

UNSENT_BYTES: Final = 16 * 1024
"""Bytes in the transport's write buffer, plus one frame, from which the application has to wait."""

_CLOSE_NONE: Final = 1005
_CLOSE_LOST: Final = 1006

_REQUEST_FIELDS = frozenset(field.name for field in fields(Request))
_wire_log = logging.getLogger("wireside.websockets")  # the sans-I/O core's: one line per connection
_wire_log.setLevel(logging.WARNING)
_log = structlog.get_logger(__name__)
_deflate = [LazyDeflateFactory()]


class _Core(Protocol):
    """The sans-I/O core, fixed to accept a close frame between two fragments.

    The core fails such a connection. But a control frame may be sent there (RFC 6455, 5.4), and an
    endpoint that closes need not finish its message.
    """

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class WebSocketConnection(asyncio.Protocol):
    """One connection, from the upgrade request to the end of its TCP connection."""

    __slots__ = (
        "_accepted",
        "_app",
        "_awaits_pong",
        "_backlog",
        "_closing_since",
        "_conn",
        "_control_count",
        "_control_second",
        "_cut_at",
        "_deflate",
        "_denial",
        "_due",
        "_fragments",
        "_frames",
        "_held",
        "_inbox",
        "_is_binary",
        "_is_lost",
        "_is_reading",
        "_is_slowed",
        "_last_bytes",
        "_last_reads",
        "_limits",
        "_loop",
        "_moved_at",
        "_out",
        "_out_bytes",
        "_peer",
        "_ping_at",
        "_response",
        "_server",
        "_shares",
        "_size",
        "_state",
        "_task",
        "_tiny_fragments",
        "_unfinished",
        "_waiter",
        "_whole",
        "_writable",
        "transport",
    )

    def __init__(
        self,
        config: SocketConfig,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._limits = config.limits
        self._app: ASGIApp = cast("ASGIApp", config.loaded_app)
        self._server = server_state
        self._loop = loop
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._conn: Protocol = cast("Protocol", None)
        self._response: Response | None = None  # response to the handshake, until it is sent
        self._denial: tuple[int, Headers, bytes] | None = None
        self._deflate: LazyDeflate | None = None
        self._accepted = False
        self._is_lost = False
        self._task: asyncio.Task[None] | None = None
        self._peer = ""
        self._state: dict[str, Any] = {}  # the scope's state: caller and request id
        # Incoming
        self._inbox: list[Message] = []
        self._waiter: asyncio.Future[None] | None = None
        self._backlog = b""
        self._is_reading = True
        self._shares = config.shares
        self._frames: bytearray | None = None  # payload of the unfinished message
        self._fragments = 0  # since the last pause
        self._tiny_fragments = 0  # tiny fragments of the unfinished message
        self._is_slowed = False  # reading is paused because of fragments
        self._is_binary = False
        self._unfinished = config.unfinished
        self._due: float | None = None  # deadline for more of an unfinished message
        self._held = 0
        self._whole = 0  # bytes of large messages not yet received by the application
        self._control_second = 0
        self._control_count = 0
        # Outgoing
        self._out: list[bytes] | None = None  # frames of the current turn of the event loop
        self._out_bytes = 0
        self._writable: asyncio.Event | None = None  # exists while writing is paused
        self._size = 0
        self._moved_at = 0.0
        # Times, by the loop's clock
        self._closing_since: float | None = None
        self._last_bytes = 0  # parsed since closing began
        self._last_reads = 0
        self._ping_at = 0.0  # when the next ping, or the awaited pong, is due
        self._awaits_pong: bytes | None = None
        self._cut_at: float | None = None

    # Opening

    def open(self, transport: asyncio.Transport, scope: Scope, method: str) -> None:
        """Take over a connection whose upgrade request was parsed into ``scope``."""
        self.transport = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own classes
        if client := scope["client"]:
            self._peer = f"{client[0]}:{client[1]}"
        self._state = scope["state"]
        handshake = ServerProtocol(extensions=_deflate, logger=_wire_log)
        response = handshake.accept(_handshake_request(scope, method))
        if response.status_code != 101:
            self._refuse_handshake(response)
            return
        self._response = response
        self._conn = _Core(
            SERVER, state=OPEN, max_size=self._limits.max_frame_bytes, logger=_wire_log
        )
        self._conn.extensions = handshake.extensions
        for extension in handshake.extensions:
            if isinstance(extension, LazyDeflate):
                self._deflate = extension
        self._inbox.append({"type": "websocket.connect"})
        self._task = self._loop.create_task(self._run_application(scope))
        self._server.tasks.add(self._task)
        self._task.add_done_callback(self._server.tasks.discard)

    async def _run_application(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._receive_message, self._send_message)
        except ClientDisconnected:
            pass
        except Exception:  # nothing above this task would log it
            is_over = self._is_lost or self._closing_since is not None
            if is_over and not self._accepted:  # applications don't expect such an early disconnect
                _log.debug("websocket_left_early", path=scope["path"], exc_info=True)
            else:
                _log.exception("websocket_failed", path=scope["path"])
            if self._accepted:
                self._start_close(1011, "")
        if not self._accepted and self._closing_since is None:
            self._refuse_handshake(_plain_response(500, "The server failed to answer."))
        elif self._closing_since is None:
            self._start_close(1000, "")

    # Incoming

    def data_received(self, data: bytes) -> None:
        """Parse incoming data, unless the application has yet to receive earlier input."""
        if self._is_lost:
            return
        if self._closing_since is not None:
            self._look_for_close(data)
        elif not self._accepted or self._backlog:
            self._backlog += data
            self._pause_reading()  # clients must not send before the handshake is answered
        elif len(data) <= SLICE_BYTES:
            self._parse_input(data)
        else:
            self._backlog = data
            if not self._shares.run_or_queue(self._resume_parsing):
                self._pause_reading()

    def _resume_parsing(self) -> None:
        if self._is_lost:
            return
        self._is_reading = True
        self._parse_backlog()
        if self._is_reading and not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse_backlog(self) -> None:
        data, self._backlog = self._backlog, b""
        start = 0
        while start < len(data) and self._is_reading and self._closing_since is None:
            # What is buffered of a frame shows that it is a large one.
            size = max(SLICE_BYTES, len(self._conn.reader.buffer))
            self._parse_input(data[start : start + size])
            if self._is_lost:
                return
            start += size
        if self._closing_since is not None:
            self._look_for_close(data[start:])
        else:
            self._backlog = data[start:]

    def _look_for_close(self, data: bytes) -> None:
        """Parse a little more, for the echo of our close frame; discard the rest of a flood."""
        if self._is_lost or not self._accepted:
            return
        self._last_reads += 1
        if self._last_reads == LAST_READS:
            self.transport.pause_reading()  # until the next tick
        data = data[: LAST_BYTES - self._last_bytes]
        self._last_bytes += len(data)
        for start in range(0, len(data), SLICE_BYTES):
            if not self._is_lost:
                self._parse_input(data[start : start + SLICE_BYTES])

    def _parse_input(self, data: bytes) -> None:
        conn = self._conn
        conn.receive_data(data)
        for event in conn.events_received():
            frame = cast("Frame", event)
            self._handle_frame(frame)
            frame.data = b""  # the parser keeps a reference to the frame until the next one
            if self._is_lost:
                return
        if conn.parser_exc is not None:
            self._parser_failed()
        elif self._writable is not None and self._closing_since is None:
            conn.writes.clear()  # discard pongs to a peer that reads nothing: they would pile up
        elif conn.writes:
            self._flush_output()  # pongs, and the echo of a close frame
        if self._frames is not None or conn.reader.buffer or self._due is not None:
            self._track_unfinished(len(data))

    def _track_unfinished(self, arrived: int) -> None:
        """Record the size of the unfinished message and the deadline for more of it."""
        held = self._unfinished_bytes()
        now = self._loop.time()
        if not held:
            self._due = None
        elif self._due is None:
            self._due = now + self._limits.arrival_s
        else:
            self._due = self._limits.next_deadline(self._due, now, arrived)
        self._report_unfinished(held + self._whole)

    def _unfinished_bytes(self) -> int:
        if self._closing_since is not None:
            return 0
        held = len(self._conn.reader.buffer)
        if self._frames is not None:
            held += (self._conn.current_size or 0) + BEGUN_BYTES
        return held

    def _report_unfinished(self, held: int) -> None:
        if held // HELD_STEP != self._held // HELD_STEP or not held:
            self._held = held
            self._unfinished.record_size(self._drop_unfinished, held)

    def _drop_unfinished(self) -> None:
        self._held = 0
        self._abort_connection("too_much_unfinished")

    def _handle_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY:
                self._is_binary = frame.opcode is Opcode.BINARY
                self._frames = None if frame.fin else bytearray(frame.data)
                self._tiny_fragments = int(len(frame.data) < TINY_BYTES)
                if frame.fin:
                    self._deliver_message(frame.data)
            case Opcode.CONT:
                self._take_continuation(frame, len(frame.data))
            case Opcode.PING:
                self._count_control()
            case Opcode.PONG:
                self._count_control()
                if self._awaits_pong is not None and bytes(frame.data) == self._awaits_pong:
                    self._awaits_pong = None
                    self._ping_at = self._loop.time() + self._limits.ping_interval_s
            case Opcode.CLOSE:
                self._was_closed()

    def _take_continuation(self, frame: Frame, size: int) -> None:
        if size < TINY_BYTES and not frame.fin:
            self._count_control()
            self._tiny_fragments += 1
        else:
            self._slow_down()
        if self._frames is None or self._is_lost:
            return
        self._frames += frame.data
        if frame.fin:
            whole, self._frames = bytes(self._frames), None
            self._deliver_message(whole)
        elif self._tiny_fragments >= self._limits.fragments_per_message:
            self._abort_connection("too_many_fragments")

    def _slow_down(self) -> None:
        """Pause reading after a number of fragments: each costs as much as a message."""
        self._fragments += 1
        if self._fragments >= self._limits.control_frames_per_second and not self._is_slowed:
            self._fragments = 0
            self._is_slowed = True
            self._pause_reading()
            self._loop.call_later(PAUSED_S, self._go_on_reading)

    def _go_on_reading(self) -> None:
        self._is_slowed = False
        if not self._inbox:  # else the application has yet to receive earlier input
            self._resume_reading()

    def _deliver_message(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing_since is not None:
            return
        if self._is_binary:
            message: Message = {"type": "websocket.receive", "bytes": bytes(data)}
        else:
            try:
                message = {"type": "websocket.receive", "text": str(data, "utf-8")}
            except UnicodeDecodeError:
                self._conn.fail(1007, "not UTF-8")
                self._was_failed()
                return
        if len(data) >= HELD_STEP:
            self._whole += len(data)
            self._report_unfinished(self._whole)  # the message was counted as unfinished until now
        if not self._queue_message(message):
            self._pause_reading()

    def _queue_message(self, message: Message) -> bool:
        """Queue a message for the application; return whether ``receive`` was waiting for one."""
        self._inbox.append(message)
        if self._waiter is None or self._waiter.done():
            return False
        self._waiter.set_result(None)
        return True

    async def _receive_message(self) -> Message:
        while not self._inbox:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._backlog and len(self._inbox) == 1:
            # Let other tasks run, the application's writer first: one read holds 30,000 tiny
            # messages, and a reply to a flood was sent only after all of them.
            await asyncio.sleep(0)
        if len(self._inbox) == 1:
            message = self._inbox[0]
            if message["type"] == "websocket.disconnect":
                return message  # stays queued, as the application may call ``receive`` again
        message = self._inbox.pop(0)
        if not self._inbox:
            if self._whole:
                self._whole = 0
                self._report_unfinished(self._unfinished_bytes())
            self._resume_reading()
        return message

    def _pause_reading(self) -> None:
        if self._is_reading and not self._is_lost and self._closing_since is None:
            self._is_reading = False
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_reading or self._is_lost or not self._accepted:
            return
        if self._is_slowed and self._closing_since is None:
            return
        if self._backlog:
            self._shares.run_or_queue(self._resume_parsing)
            return
        self._is_reading = True
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _count_control(self) -> None:
        second = int(self._loop.time())
        if second != self._control_second:
            self._control_second = second
            self._control_count = 0
        self._control_count += 1
        if self._control_count > self._limits.control_frames_per_second:
            self._abort_connection("too_many_control_frames")

    # Outgoing

    async def _send_message(self, message: Message) -> None:
        kind = message["type"]
        # A close does not wait: a peer that reads nothing could go on sending otherwise.
        if self._writable is not None and kind != "websocket.close":
            await self._writable.wait()
        if kind == "websocket.send":
            self._send_data(message)
            if self._writable is not None:
                # Don't let the application take the next frame from its log until the socket
                # accepts data.
                del message
                await self._writable.wait()
        elif self._is_lost:
            raise ClientDisconnected
        elif kind == "websocket.close":
            self._close_connection(message)
        elif kind == "websocket.accept":
            self._accept_handshake(message)
        elif kind == "websocket.http.response.start":
            self._denial = (message["status"], _response_headers(message), b"")
        elif kind == "websocket.http.response.body":
            self._send_denial_body(message)
        else:
            raise RuntimeError(f"Unexpected ASGI message {kind!r}.")

    def _send_data(self, message: Message) -> None:
        if self._closing_since is not None or self._is_lost:
            raise ClientDisconnected
        if not self._accepted:
            raise RuntimeError("A frame was sent before the connection was accepted.")
        text = message.get("text")
        data, head = (message["bytes"], 0x82) if text is None else (text.encode(), 0x81)
        size = len(data)
        if self._deflate is not None and size >= self._limits.min_compressed_bytes:
            data = self._deflate.compress(data)
            size = len(data)
            head |= 0x40
        # Encoded by hand: the sans-I/O core takes four times as long for the same bytes.
        if size < 126:
            header = bytes((head, size))
        elif size < 65536:
            header = struct.pack("!BBH", head, 126, size)
        else:
            header = struct.pack("!BBQ", head, 127, size)
        self._write_later(header + data)

    def _write_later(self, frame: bytes) -> None:
        """Write the first frame of a turn of the event loop at once; join those that follow.

        A write costs uvloop 4 µs, regardless of its size.
        """
        if self._out is None:
            self.transport.write(frame)
            self._out = []
            self._out_bytes = 0
            self._loop.call_soon(self._write_out)
            return
        self._out.append(frame)
        self._out_bytes += len(frame)
        if self._out_bytes > JOINED_BYTES:
            self._write_out()

    def _write_out(self) -> None:
        frames, self._out = self._out, None
        if frames and not self._is_lost:
            self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _accept_handshake(self, message: Message) -> None:
        response = self._response
        if response is None:
            raise RuntimeError("The handshake was answered already.")
        self._response = None
        if subprotocol := message.get("subprotocol"):
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        for name, value in message.get("headers", ()):
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
        self.transport.write(response.serialize())
        self._accepted = True
        now = self._loop.time()
        # an application that disables pings has to detect dead peers itself
        pings = message.get("wireside.pings", True)
        self._ping_at = now + self._limits.ping_interval_s if pings else math.inf
        if self._limits.cut_s:
            self._cut_at = now + self._limits.cut_s * random.uniform(0.5, 1.5)  # noqa: S311
        if self._backlog:
            self._resume_reading()

    def _close_connection(self, message: Message) -> None:
        if self._accepted:
            self._start_close(message.get("code", 1000), message.get("reason") or "")
        elif self._closing_since is None:
            self._refuse_handshake(_plain_response(403, "The connection was refused."))

    def _send_denial_body(self, message: Message) -> None:
        if self._denial is None:
            raise RuntimeError("The body of a response came before its start.")
        status, headers, body = self._denial
        body += message.get("body", b"")
        self._denial = (status, headers, body)
        if not message.get("more_body", False):
            self._refuse_handshake(_denial_response(status, headers, body))

    def _refuse_handshake(self, response: Response) -> None:
        """Answer the handshake with a status other than 101, and close."""
        self._response = None
        self._closing_since = self._loop.time()
        self._queue_message({"type": "websocket.disconnect", "code": _CLOSE_LOST})
        if not self._is_lost:
            self.transport.write(response.serialize())
            self.transport.close()

    # Closing

    def _start_close(self, code: int, reason: str) -> None:
        """Send a close frame; the echo, the EOF or ``enforce_limits`` ends the connection."""
        if self._closing_since is not None or self._is_lost:
            return
        with contextlib.suppress(InvalidState):  # the peer has closed first
            self._conn.send_close(code, reason)
        self._begin_closing(code, reason)
        self._flush_output()

    def _was_failed(self) -> None:
        """Close after a protocol error; the core has written a close frame with its code."""
        sent = self._conn.close_sent
        if sent is None:  # the peer disconnected within a frame
            self._begin_closing(_CLOSE_LOST, "")
        else:
            self._begin_closing(sent.code, sent.reason)
        self._flush_output()

    def _parser_failed(self) -> None:
        # Its traceback references the inflated payload of the broken frame.
        self._conn.parser_exc = None
        self._conn.extensions = []
        self._deflate = None
        if self._closing_since is None:
            self._was_failed()

    def _was_closed(self) -> None:
        received = self._conn.close_rcvd
        if self._closing_since is None:
            code, reason = (received.code, received.reason) if received else (_CLOSE_NONE, "")
            self._begin_closing(code, reason)
        self._flush_output()
        self.transport.close()

    def _begin_closing(self, code: int, reason: str) -> None:
        self._closing_since = self._loop.time()
        self._discard_partial()
        self._queue_message({"type": "websocket.disconnect", "code": code, "reason": reason})
        # Further input is read and dropped. Otherwise the kernel would answer it with a reset, and
        # the peer would lose the close frame before reading it.
        self._resume_reading()

    def _flush_output(self) -> None:
        """Write the output of the sans-I/O core, after the application's frames."""
        self._write_out()
        for data in self._conn.data_to_send():
            if self._is_lost or self.transport.is_closing():
                return
            if data != SEND_EOF:
                self.transport.write(data)
            elif self._conn.close_rcvd is None and self.transport.can_write_eof():
                self.transport.write_eof()

    def _abort_connection(self, reason: str) -> None:
        connection = self._state.get("request_id")
        _log.info("websocket_aborted", reason=reason, peer=self._peer, connection=connection)
        self._is_lost = True
        self._release_buffers()
        reset_connection(self.transport)

    def _discard_partial(self) -> None:
        """Drop the received part of a message that will not be completed."""
        self._frames = None
        self._due = None
        self._whole = 0
        if self._held:
            self._held = 0
            self._unfinished.record_size(self._drop_unfinished, 0)

    def _release_buffers(self) -> None:
        """Release all input buffers at once.

        The parser is a generator that references its own object, and would keep both, with their
        buffers, until garbage collection.
        """
        self._backlog = b""
        self._discard_partial()
        self._deflate = None
        conn = self._conn
        if conn is not None:  # None if the handshake was refused
            conn.parser.close()
            conn.reader.buffer.clear()
            conn.events.clear()
            conn.writes.clear()
            conn.extensions = []
            conn.parser_exc = None

    def shutdown(self) -> None:
        """Close because the server shuts down. Called by uvicorn, once per connection."""
        if self._accepted:
            self._start_close(1001, "The server goes away.")
        elif self._closing_since is None:
            self._refuse_handshake(_plain_response(503, "The server goes away."))

    def enforce_limits(self, now: float) -> None:
        """Enforce the time limits. Called about every ``SocketLimits.tick_s`` seconds."""
        limits = self._limits
        if self._is_lost:
            return
        if self._closing_since is not None:
            if now - self._closing_since >= limits.closing_s:
                self._abort_connection("close_timeout")
            elif self._last_reads >= LAST_READS:
                self._last_reads = 0
                self.transport.resume_reading()
            return
        if not self._accepted:
            return
        if self._cut_at is not None and now >= self._cut_at:
            self._abort_connection("debug_cut")
        elif self._writable is not None and self._has_stalled(now):
            self._close_without_echo(now, 1013, "The connection takes nothing.")
        elif self._has_dawdled(now):
            self._abort_connection("unfinished_message")
        elif now >= self._ping_at:
            self._send_ping(now)

    def _has_dawdled(self, now: float) -> bool:
        """Whether an unfinished message arrives more slowly than allowed."""
        if self._due is None:
            return False
        if not self._is_reading:  # the delay is the server's, not the client's
            self._due = now + self._limits.arrival_s
        return now >= self._due

    def _send_ping(self, now: float) -> None:
        if self._awaits_pong is not None:
            self._close_without_echo(now, 1011, "No answer to a ping.")
            return
        self._ping_at = now + self._limits.ping_timeout_s
        self._awaits_pong = random.randbytes(4)  # noqa: S311  # only tells pings apart
        self._conn.send_ping(self._awaits_pong)
        self._flush_output()
        if self._deflate is not None:
            self._deflate.rest()

    def _close_without_echo(self, now: float, code: int, reason: str) -> None:
        """Send a close frame, but wait for the echo only briefly: the peer is most likely gone."""
        self._start_close(code, reason)
        self._closing_since = now - max(0.0, self._limits.closing_s - FLUSH_S)

    # The transport's side

    def pause_writing(self) -> None:
        """Called by the transport when the write buffer is full."""
        self._writable = asyncio.Event()
        self._size = self.transport.get_write_buffer_size()
        self._moved_at = self._loop.time()

    def resume_writing(self) -> None:
        """Called by the transport when most of the write buffer has been sent."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def _has_stalled(self, now: float) -> bool:
        """Whether the peer has read none of the buffered output for ``patience_s``."""
        size = self.transport.get_write_buffer_size()
        if size < self._size:
            self._moved_at = now
        self._size = size
        return now - self._moved_at >= self._limits.patience_s

    def eof_received(self) -> None:
        """Called at the peer's EOF; returning None closes the transport."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport, always last."""
        self._is_lost = True
        self._release_buffers()
        self._server.connections.discard(self)
        if self._closing_since is None:
            self._closing_since = self._loop.time()
            self._queue_message({"type": "websocket.disconnect", "code": _CLOSE_LOST})
        self.resume_writing()  # wakes the sender, which must notice the disconnect


def _handshake_request(scope: Scope, method: str) -> Request:
    target = scope["raw_path"].decode("ascii")
    if query := scope["query_string"]:
        target += "?" + query.decode("ascii")
    headers, offers = Headers(), list[str]()
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "sec-websocket-extensions":
            offers.append(value)
        elif name != "sec-websocket-protocol":  # the application chooses one from the scope
            headers[name] = value
    for offer in readable_offers(offers):
        headers["sec-websocket-extensions"] = offer
    # websockets 16 has neither method nor version; uvicorn then upgrades only HTTP/1.1 GET requests
    line = {"method": method, "protocol": f"HTTP/{scope['http_version']}"}
    known: Any = {name: value for name, value in line.items() if name in _REQUEST_FIELDS}
    return Request(target, headers, **known)


def _response_headers(message: Message) -> Headers:
    raw = message.get("headers", ())
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])


def _plain_response(status: int, sentence: str) -> Response:
    return _denial_response(status, Headers(), sentence.encode())


def _denial_response(status: int, headers: Headers, body: bytes) -> Response:
    headers.setdefault("Date", email.utils.formatdate(usegmt=True))
    headers.setdefault("Connection", "close")
    headers.setdefault("Content-Length", str(len(body)))
    headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    return Response(status, http.client.responses.get(status, ""), headers, body)
