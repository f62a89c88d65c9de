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
from collections.abc import Awaitable, Callable, Coroutine, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from wireside.errors import NotConfigured
from wireside.server.handover import HandOver
from wireside.server.http import HttpConnection, PassedConnection
from wireside.server.limits import SocketConfig, SocketLimits
from wireside.server.systemd import keep_watchdog_quiet, notify_systemd, watchdog_interval_s
from wireside.server.websocket import WebSocketConnection
from wireside.server.worker import Worker
from wireside.settings.model import Settings

CLOSE_S: Final = 1.5
"""Seconds for clients to answer the close frame at shutdown; then they are aborted."""

END_S: Final = 1.5
"""Seconds for the application's tasks to end after that."""

LAST_S: Final = 2.0
"""Seconds for the lifespan to end: it closes the store, which takes longer on a busy machine."""

MOVE_S: Final = 10.0
"""Seconds over which clients are asked to connect to another server, so that they do not all
arrive there at once."""

MOVED_S: Final = 15.0
"""Seconds that this may take in all: a page waits until its user has stopped typing."""

HURRY_S: Final = 5.0
"""Seconds for answers to be interrupted and stored after a second signal."""

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

LOOKS_WITH_SOME_LEFT: Final = 2
"""Looks that must find a free file descriptor before it is logged that there are some again."""

TICKS_AT_ONCE: Final = 256
"""Connections checked before control returns to the event loop."""

Connection = HttpConnection | WebSocketConnection

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTimes:
    """How a server stops. Times are in seconds.

    ``notice_s``: it listens and serves, but is not ready, so that proxies stop sending.
    ``answers_s``: running answers may end. ``moves_clients``: before that, clients are asked to
    connect to another server.
    """

    notice_s: float = 0.0
    answers_s: float = 10.0
    moves_clients: bool = False

    @property
    def limit_s(self) -> float:
        """Maximum time of all."""
        return self.notice_s + (MOVED_S if self.moves_clients else 0.0) + self.answers_s


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

    def announce_stop(self) -> None:
        """Report from now on that the server is about to stop; it still serves."""

    async def move_clients(self, within_s: float) -> None:
        """Ask clients to connect to another server, one after another over ``within_s`` seconds."""

    async def drain(self) -> None:
        """Finish open work before sockets close, in at most ``DrainTimes.answers_s``."""

    def cut_drain_short(self) -> None:
        """Interrupt the work that ``drain`` waits for."""

    @property
    def replica_id(self) -> str | None:
        """The id of this server among those that share its database; None while it has none."""
        return None

    def handle_ended_worker(self, replica_id: str) -> None:
        """Handle the death of another worker of this machine, which had this id."""

    async def wait_until_warm(self) -> None:
        """Wait until the one-time work after the start has ended."""


def run_server(
    application: ServedApplication,
    settings: Settings,
    *,
    on_listening: Callable[[str], None],
    inherited: Sequence[socket.socket] = (),
    worker: Worker | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; a second SIGINT ends the process at once.

    The process is assumed to serve nothing else: its limit on open files, its memory allocator, its
    garbage collector and its event loop are configured for the server.

    Args:
        application: the application.
        settings: address, limits and times.
        on_listening: called with the address (``http://127.0.0.1:8080``) once the server accepts
            connections.
        inherited: listening sockets that the service manager has opened, at the address of the
            settings; without any, the server opens one.
        worker: what a supervisor passes to one of several workers.

    Raises:
        CannotServe: the server can't start. Exposure, port and socket path are checked before
            anything is started.
    """
    if settings.exposure is not None:
        raise CannotServe(settings.exposure)
    _raise_file_limit()
    _give_large_blocks_back()
    path = None if inherited else settings.unix_path
    listeners = inherited or [open_listener(settings)]
    with contextlib.ExitStack() as open_listeners:
        for listener in listeners:
            open_listeners.enter_context(listener)
        server = WiresideServer(
            _socket_config(application.app, settings),
            drain_times(settings),
            on_listening,
            application,
            worker=None if worker is None else _WorkerDoor(worker, settings),
        )
        server.run(
            sockets=[
                *listeners,
                *(one.dup() for one in listeners for _ in range(ACCEPTED_AT_ONCE - 1)),
            ]
        )
    if path is not None:
        path.unlink(missing_ok=True)
    if server.refusal is not None:
        raise CannotServe(server.refusal)


class _WorkerDoor:
    """The connections of one worker to the others and to the supervisor."""

    def __init__(self, worker: Worker, settings: Settings) -> None:
        self._worker = worker
        self._name = settings.effective_replica_name
        self._beat_s = settings.replica_beat_s
        self.hand_over = HandOver(self._name, worker.folder)

    def open(self, server: WiresideServer) -> None:
        """Take connections from others; stop the server when the supervisor has ended."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(self._worker.lifeline)
            server.handle_exit(signal.SIGTERM, None)

        loop.add_reader(self._worker.lifeline, stop)
        self.hand_over.open(server.serve_connection, server.application.handle_ended_worker)

    async def beat_until_cancelled(self, application: ServedApplication) -> None:
        """Tell the supervisor at each beat that the event loop runs."""
        while True:
            self._worker.report_beat(self._name, application.replica_id)
            await asyncio.sleep(self._beat_s)


def drain_times(settings: Settings) -> DrainTimes:
    """Return how the server stops."""
    return DrainTimes(
        notice_s=settings.effective_drain_notice_s,
        answers_s=settings.effective_drain_s,
        moves_clients=settings.replicas,
    )


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
        drain: DrainTimes,
        on_listening: Callable[[str], None],
        application: ServedApplication | None = None,
        *,
        worker: _WorkerDoor | None = None,
    ) -> None:
        super().__init__(config)
        self.application = application or ServedApplication(cast("ASGIApp", config.app))
        self._worker = worker
        if worker is not None:
            config.hand_over = worker.hand_over
        self._limits = config.limits
        self._drain = drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_hurried = False
        self._hurry = asyncio.Event()
        self._on_listening = on_listening
        self._owns_process = False
        self._tasks: list[asyncio.Task[None]] = []
        self._watchdog: threading.Timer | None = None
        self._has_none_left = False
        self._looks_with_some_left = 0
        self.refusal: str | None = None
        """Why the server did not start, as a sentence."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Run in a new event loop, in a process that ends when this returns.

        Once a stop is requested, a watchdog ends the process even if a task swallows its
        cancellation or a thread does not return.
        """
        self._owns_process = True
        try:
            super().run(sockets)
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()

    def _start_watchdog(self, limit_s: float) -> None:
        if not self._owns_process:
            return
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._watchdog = threading.Timer(limit_s + CLOSE_S + END_S + LAST_S, _exit_process)
        self._watchdog.daemon = True
        self._watchdog.start()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        self._loop = asyncio.get_running_loop()
        if self._owns_process:
            asyncio.get_running_loop().set_exception_handler(_log_unhandled)
        try:
            await self._unless_stopped(self.application.prepare())
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
        if self._worker is not None:
            self._worker.open(self)
            beating = self._worker.beat_until_cancelled(self.application)
            self._start_task(beating, name="beat to the supervisor")
        if sockets:
            self._on_listening(_address_of(sockets[0]))
        notify_systemd("READY=1")
        if (interval_s := watchdog_interval_s()) is not None:
            self._start_task(keep_watchdog_quiet(interval_s), name="systemd watchdog")

    async def serve_connection(self, connection: socket.socket, data: bytes) -> None:
        """Serve a connection that another worker has accepted, and what it has read of it."""

        def make_protocol() -> HttpConnection:
            config = cast("SocketConfig", self.config)
            return PassedConnection(data, config, self.server_state, self.lifespan.state)

        try:
            await asyncio.get_running_loop().connect_accepted_socket(make_protocol, connection)
        except OSError:  # the client has left
            connection.close()

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
        await self.application.wait_until_warm()
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
        """Log when no file descriptor is left: the event loop then stops accepting silently.

        One that is closed is used at once by a waiting connection: that is not logged.
        """
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            self._looks_with_some_left = 0
            if not self._has_none_left:
                self._has_none_left = True
                _log.error(
                    "descriptors_used_up",
                    connections=len(self.server_state.connections),
                    reason=error.strerror,
                    remedy="Let the process open more files (ulimit -n, LimitNOFILE).",
                )
        else:
            self._looks_with_some_left += 1
            if self._has_none_left and self._looks_with_some_left >= LOOKS_WITH_SOME_LEFT:
                self._has_none_left = False
                _log.warning("descriptors_left_again")

    def _connections(self) -> list[Connection]:
        return cast("list[Connection]", list(self.server_state.connections))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let answers finish, close connections, end the application.

        Where other servers share the work, proxies get time to notice, and clients are moved to
        another server before the answers have ended.
        """
        notify_systemd("STOPPING=1")
        if self._watchdog is None:  # stopped without a signal
            self._start_watchdog(self._drain.limit_s)
        self.application.announce_stop()
        if self._drain.notice_s:
            await self._unless_hurried(self._hurry.wait(), self._drain.notice_s)
        if self._worker is not None:
            self._worker.hand_over.close()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        if self._drain.moves_clients:
            self._close_idle_http()
            await self._unless_hurried(self.application.move_clients(MOVE_S), MOVED_S)
        await self._drain_application()
        await self._close_connections()
        await self._end_tasks()
        await self._await_at_most(LAST_S, self.lifespan.shutdown())
        for task in self._tasks:
            task.cancel()
        if self._worker is not None:
            self._worker.hand_over.aclose()

    async def _unless_hurried(self, work: Coroutine[Any, Any, object], limit_s: float) -> None:
        """Await ``work`` for ``limit_s`` seconds at most, or until a second signal arrives."""
        hurried = asyncio.create_task(self._hurry.wait(), name="second signal")
        task = asyncio.create_task(work, name="stop")
        await asyncio.wait([task, hurried], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        await self._await_at_most(0, task)

    def _close_idle_http(self) -> None:
        """Close connections without a request: a proxy would send the next one here."""
        for connection in self._connections():
            if isinstance(connection, HttpConnection):
                connection.shutdown()

    async def _drain_application(self) -> None:
        draining = asyncio.create_task(self.application.drain(), name="drain")
        hurried = asyncio.create_task(self._hurry.wait(), name="second signal")
        await asyncio.wait(
            [draining, hurried],
            timeout=self._drain.answers_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        hurried.cancel()
        if self._is_hurried and not draining.done():
            self.application.cut_drain_short()
            await self._await_at_most(HURRY_S, draining)
        else:
            await self._await_at_most(0, draining)

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
        """Handle a signal: the first one starts the shutdown, a second one cuts it short.

        Where no client is moved, a second SIGINT ends the process at once, else a third one.

        It runs between two steps of any code, also in the middle of a log line, and so it must not
        log itself.
        """
        if not self.should_exit:
            self.should_exit = True
            self._start_watchdog(self._drain.limit_s)  # the event loop may hang
            return
        if sig == signal.SIGINT and (self._is_hurried or not self._drain.moves_clients):
            _exit_process()
        if self._is_hurried or self._loop is None:
            return
        self._is_hurried = True
        self._start_watchdog(HURRY_S)
        self._loop.call_soon_threadsafe(self._cut_short)

    def _cut_short(self) -> None:
        _log.warning("stop_hurried")
        self._hurry.set()


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


def open_listener(settings: Settings) -> socket.socket:
    """Return a socket that is bound to the configured address. Raises ``CannotServe``."""
    path = settings.unix_path
    return _listen_on_path(path) if path else _bind_listener(settings.host, settings.port)


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
