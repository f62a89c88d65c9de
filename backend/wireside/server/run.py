"""Runs the application: one listening socket, one event loop, a bounded shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sized
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from wireside.errors import NotConfigured
from wireside.server.http import HttpConnection
from wireside.server.limits import SocketConfig, SocketLimits
from wireside.server.systemd import notify_systemd
from wireside.server.websocket import WebSocketConnection
from wireside.settings.model import Settings

CLOSE_S: Final = 1.5
"""Seconds for clients to answer the close frame at shutdown; then they are aborted."""

END_S: Final = 1.5
"""Seconds for the application's tasks to end after that."""

LAST_S: Final = 2.0
"""Seconds for the lifespan to end: it closes the store, which takes longer on a busy machine."""

UNSENT_BYTES: Final = 32 * 1024
"""Bytes that the kernel buffers for a connection beyond those in flight (TCP_NOTSENT_LOWAT).

The unsent rest of an answer stays in the answer's log, where pieces are merged, and not in a buffer
of megabytes.
"""

SWITCH_S: Final = 0.001
"""Seconds for which a worker thread may keep the interpreter lock from the event loop.

While a long text was rendered on a busy machine, the p99 of 50 connections was 141 ms with Python's
default of 5 ms, and 71 ms with this.
"""

ACCEPTED_AT_ONCE: Final = 32
"""Number of listening sockets, one and its duplicates, that are passed to the event loop.

uvloop accepts one connection from a listening socket in each turn of the loop: with turns of 30 ms,
a flood of a thousand connections delays all others by half a minute.
"""

LARGE_BYTES: Final = 128 * 1024
"""Blocks of at least this size are returned to the system when they are freed."""

FILE_LIMITS: Final = (65_536, 10_240)
"""Limits on open files to try if the hard limit is refused."""

SIGNAL_POLL_S: Final = 0.1
"""Seconds between two checks for a signal while the server waits to start."""

MANY: Final = 500
"""Number of connections from which full garbage collections are made less often.

With two thousand connections each full collection stops the process for 200 ms. With fewer
connections the default applies, as garbage left by pages would pile up.
"""

TICKS_AT_ONCE: Final = 256
"""Connections checked before control returns to the event loop."""

Connection = HttpConnection | WebSocketConnection

_log = structlog.get_logger(__name__)


class CannotServe(Exception):  # not "Error": the settings are wrong, not the program
    """The server can't start with these settings; the text is a sentence that names the remedy."""


class ServedApplication:
    """An ASGI application, and what the server does for it around its lifespan: nothing here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def prepare(self) -> None:
        """Do what may take long or fail before the start.

        Raises ``NotConfigured`` if the server must not start.
        """

    async def drain(self) -> None:
        """Finish open work before sockets close, in at most ``shutdown_s``."""

    async def wait_until_warm(self) -> None:
        """Wait until the one-time work after the start has ended."""


def run_server(
    application: ServedApplication, settings: Settings, *, on_listening: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; a second SIGINT ends the process at once.

    The process is assumed to serve nothing else: its limit on open files, its memory allocator, its
    garbage collector and its event loop are configured for the server.

    Args:
        application: the application.
        settings: address, limits and times.
        on_listening: called with the address (``http://127.0.0.1:8080``) once the server accepts
            connections.

    Raises:
        CannotServe: the server can't start. Exposure, port and socket path are checked before
            anything is started.
    """
    if settings.exposure is not None:
        raise CannotServe(settings.exposure)
    _raise_file_limit()
    _give_large_blocks_back()
    path = settings.unix_path
    listener = _listen_on_path(path) if path else _bind_listener(settings.host, settings.port)
    with contextlib.closing(listener):
        server = WiresideServer(
            _socket_config(application.app, settings),
            settings.shutdown_s,
            on_listening,
            application,
        )
        server.run(sockets=[listener, *(listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1))])
    if path is not None:
        path.unlink(missing_ok=True)
    if server.refusal is not None:
        raise CannotServe(server.refusal)


def socket_limits(settings: Settings) -> SocketLimits:
    """Return the limits of one connection."""
    return SocketLimits(
        handshake_s=settings.handshake_s,
        ping_interval_s=settings.ping_interval_s,
        ping_timeout_s=settings.ping_timeout_s,
        stalled_s=settings.stalled_s,
        max_frame_bytes=settings.max_frame_bytes,
        control_frames_per_second=settings.control_frames_per_second,
        fragments_per_message=settings.fragments_per_message,
        cut_s=settings.debug_cut_s,
        connections_per_address=settings.connections_per_address,
    )


class WiresideServer(uvicorn.Server):
    """uvicorn's server with a periodic check of all connections and a bounded shutdown.

    ``run`` configures the process for the server; ``serve`` changes nothing outside the server.
    """

    def __init__(
        self,
        config: SocketConfig,
        shutdown_s: float,
        on_listening: Callable[[str], None],
        application: ServedApplication | None = None,
    ) -> None:
        super().__init__(config)
        self._application = application or ServedApplication(cast("ASGIApp", config.app))
        self._limits = config.limits
        self._shutdown_s = shutdown_s
        self._on_listening = on_listening
        self._owns_process = False
        self._tasks: list[asyncio.Task[None]] = []
        self._watchdog: threading.Timer | None = None
        self._has_none_left = False
        self.refusal: str | None = None
        """Why the server did not start, as a sentence."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Run in a new event loop, in a process that ends when this returns.

        Once a stop is requested, a watchdog ends the process even if a task swallows its
        cancellation or a thread does not return.
        """
        limit_s = self._shutdown_s + CLOSE_S + END_S + LAST_S
        self._watchdog = threading.Timer(limit_s, _exit_process)
        self._watchdog.daemon = True
        self._owns_process = True
        try:
            super().run(sockets)
        finally:
            self._watchdog.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        if self._owns_process:
            asyncio.get_running_loop().set_exception_handler(_log_unhandled)
        try:
            await self._unless_stopped(self._application.prepare())
        except NotConfigured as error:
            self.refusal = str(error)
            self.should_exit = True
        if self.should_exit:
            return
        await super().startup(sockets)
        if self.should_exit:  # the application failed to start and has logged the reason
            return
        self._start_task(self._enforce_limits(), name="connection limits")
        if self._owns_process:
            sys.setswitchinterval(SWITCH_S)
            self._start_task(self._tune_garbage_collector(), name="garbage collector")
        if sockets:
            self._on_listening(_address_of(sockets[0]))
        notify_systemd("READY=1")

    async def _unless_stopped(self, preparing: Awaitable[object]) -> None:
        """Await ``preparing``, which may wait for another server, until a signal arrives."""
        task = asyncio.ensure_future(preparing)
        while not task.done() and not self.should_exit:
            await asyncio.wait([task], timeout=SIGNAL_POLL_S)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        elif (error := task.exception()) is not None:
            raise error

    def _start_task(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _tune_garbage_collector(self) -> None:
        """Collect garbage once the application is warm, less often with many connections."""
        await self._application.wait_until_warm()
        gc.enable()  # the command line disables it for the start
        gc.freeze()  # some 150,000 permanent objects: traversing them stops the process for 75 ms
        while True:
            has_many = len(self.server_state.connections) >= MANY
            gc.set_threshold(700, 10, 20 if has_many else 10)  # Python's defaults, except the last
            await asyncio.sleep(self._limits.tick_s)

    async def _enforce_limits(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.tick_s)
            self._look_at_descriptors()
            await self._tick_connections(loop.time())

    async def _tick_connections(self, now: float) -> None:
        # In the loop above, the variable would keep the last connection alive while it sleeps.
        for number, connection in enumerate(self._connections()):
            connection.enforce_limits(now)
            if number % TICKS_AT_ONCE == TICKS_AT_ONCE - 1:
                await asyncio.sleep(0)

    def _look_at_descriptors(self) -> None:
        """Log when no file descriptor is left: the event loop then stops accepting silently."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if not self._has_none_left:
                self._has_none_left = True
                _log.error(
                    "descriptors_used_up",
                    connections=len(self.server_state.connections),
                    reason=error.strerror,
                    remedy="Let the process open more files (ulimit -n, LimitNOFILE).",
                )
        else:
            if self._has_none_left:
                self._has_none_left = False
                _log.warning("descriptors_left_again")

    def _connections(self) -> list[Connection]:
        return cast("list[Connection]", list(self.server_state.connections))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let answers finish, close connections, end the application."""
        notify_systemd("STOPPING=1")
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        if self._watchdog is not None:
            self._watchdog.start()
        await self._await_at_most(self._shutdown_s, self._application.drain())
        await self._close_connections()
        await self._end_tasks()
        await self._await_at_most(LAST_S, self.lifespan.shutdown())
        for task in self._tasks:
            task.cancel()

    async def _close_connections(self) -> None:
        for connection in self._connections():
            connection.shutdown()
        await self._await_at_most(CLOSE_S, _until_empty(self.server_state.connections))
        for connection in self._connections():
            connection.transport.abort()

    async def _end_tasks(self) -> None:
        tasks = list(self.server_state.tasks)
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=END_S / 2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=END_S / 2)

    @staticmethod
    async def _await_at_most(limit_s: float, work: Awaitable[object]) -> None:
        """Await ``work`` for at most ``limit_s`` seconds, then cancel it."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([task], timeout=limit_s)
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.1)
        elif not task.cancelled() and (error := task.exception()) is not None:
            _log.error("stop_failed", exc_info=error)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: the first one starts the shutdown, a second SIGINT ends the process."""
        if self.should_exit and sig == signal.SIGINT:
            _exit_process()
        self.should_exit = True


async def _until_empty(connections: Sized) -> None:
    while len(connections):  # noqa: ASYNC110  # a plain set of uvicorn's, without notification
        await asyncio.sleep(0.01)


def _exit_process() -> None:
    os._exit(128 + signal.SIGINT)


def _socket_config(app: Any, settings: Settings) -> SocketConfig:
    return SocketConfig(
        app,
        socket_limits(settings),
        proxies=settings.trusted_proxies,
        http=HttpConnection,
        ws=WebSocketConnection,
        loop="auto",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the guards do that, and keep the peer's address
    )


def _log_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception that no task handles. asyncio would quote its text in the log line."""
    _log.error("unexpected", what=context["message"], exc_info=context.get("exception"))


def _raise_file_limit() -> None:
    """Raise the process's limit on open files as far as possible: each connection needs one."""
    try:
        import resource  # not available on Windows
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS reports no hard limit and refuses the value it reports
    for wanted in (hard, *FILE_LIMITS):
        if soft != resource.RLIM_INFINITY and wanted != soft and (soft < wanted or wanted < 0):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return


def _give_large_blocks_back() -> None:
    """Fix glibc's mmap threshold, so that each large block is mapped separately.

    By default glibc raises the threshold to the largest block freed so far, up to 32 MB. After one
    large upload, the next ones lie between small blocks, whose gaps are never returned to the
    system.
    """
    mmap_threshold = -3
    with contextlib.suppress(OSError, TypeError, AttributeError):  # a C library other than glibc
        ctypes.CDLL(None).mallopt(mmap_threshold, LARGE_BYTES)


def _bind_listener(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket. Raises ``CannotServe``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio's own event loop switches Nagle's algorithm off only for sockets with this protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotServe(
            f"Port {port} on {host} can't be used ({error.strerror}). Stop what listens there, or"
            " set WIRESIDE_PORT to another one; 0 takes a free one."
        ) from error
    return listener


def _listen_on_path(path: Path) -> socket.socket:
    """Return a Unix socket bound for its user and group. Raises ``CannotServe``."""
    if not hasattr(socket, "AF_UNIX"):
        raise CannotServe("This system has no Unix sockets: set WIRESIDE_HOST to an address.")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale_socket(path)
        old_mask = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(old_mask)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise CannotServe(
            f"The Unix socket {path} can't be used ({reason}). Stop what listens there, or set"
            " WIRESIDE_HOST to unix:/path in a folder that this user can write."
        ) from error
    return listener


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket that a killed server left behind. Raises ``OSError`` if it is in use."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _address_of(listener: socket.socket) -> str:
    if listener.family == getattr(socket, "AF_UNIX", None):
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
