"""Runs several servers on one machine as workers: one port, a process a core.

The workers are replicas on one PostgreSQL database. They share the listening socket, which the
supervisor never closes: a connection that arrives while a worker is replaced waits for another one,
where sockets of their own (``SO_REUSEPORT``) would lose what their queues had.

SIGTERM and SIGINT stop all workers, each in its polite way; SIGHUP replaces one after another. A
worker that dies is started again, with a back-off, and a living one removes it from the replicas.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from wireside.limits.backoff import Backoff
from wireside.server.systemd import keep_watchdog_quiet, notify_systemd, watchdog_interval_s
from wireside.server.worker import SUPERVISOR, VARIABLE, Worker

BACKLOG: Final = 2048
"""Connections that wait to be accepted, as with a single server."""

READY_S: Final = 120.0
"""Seconds that a new worker may take before the next one is replaced."""

LOOKS: Final = 5
"""Looks without a beat after which a worker hangs. They are counted, and no time is measured: a
supervisor that was frozen itself has not seen the beats meanwhile."""

_log = structlog.get_logger(__name__)

OnReady = Callable[[str, str | None], None]
"""Called with the address, and the secret of the link that creates the first administrator."""


class Supervisor:
    """Starts the workers and keeps them running.

    Args:
        command: starts a worker.
        count: number of workers.
        name: the name of this machine among the servers on the database.
        listeners: the bound sockets that all workers listen on.
        environment: that of a worker.
        stop_s: seconds that a worker that is replaced may take to end; then it is killed.
        silence_s: seconds without a beat after which a worker hangs and is killed.
        on_ready: called once all workers serve.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        *,
        name: str,
        listeners: Sequence[socket.socket],
        environment: Mapping[str, str],
        stop_s: float,
        silence_s: float,
        on_ready: OnReady,
    ) -> None:
        self._command = command
        self._listeners = listeners
        self._environment = environment
        self._stop_s = stop_s
        self._silence_s = silence_s
        self._on_ready = on_ready
        self._slots = [_Slot(f"{name}-w{number}") for number in range(1, count + 1)]
        self._folder = Path(tempfile.mkdtemp(prefix="wireside-"))
        self._lifeline, self._life = os.pipe()
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._stopping = asyncio.Event()
        self._signals = 0
        self._restart: asyncio.Task[None] | None = None
        self._is_announced = False
        self._exit_code = 0
        self._secret: str | None = None

    async def run(self) -> int:
        """Run the workers until a signal; return the exit code."""
        loop = asyncio.get_running_loop()
        self._control.bind(str(self._folder / SUPERVISOR))
        self._control.setblocking(False)
        loop.add_reader(self._control.fileno(), self._receive)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle_stop)
        loop.add_signal_handler(signal.SIGHUP, self._handle_restart)
        for listener in self._listeners:
            listener.setblocking(False)
            listener.listen(BACKLOG)
        background = [asyncio.create_task(self._kill_hung_workers(), name="beats of the workers")]
        if (interval_s := watchdog_interval_s()) is not None:
            quiet = keep_watchdog_quiet(interval_s)
            background.append(asyncio.create_task(quiet, name="systemd watchdog"))
        try:
            async with asyncio.TaskGroup() as group:
                first, *others = self._slots
                group.create_task(self._keep(first))
                await self._first_is_up(first)  # it migrates the database
                for slot in others:
                    group.create_task(self._keep(slot))
        finally:
            for task in background:
                task.cancel()
            self._close(loop)
        return self._exit_code

    async def _first_is_up(self, first: _Slot) -> None:
        ready = asyncio.ensure_future(first.ready.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([ready, stopping], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        stopping.cancel()

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._restart is not None:
            self._restart.cancel()
        loop.remove_reader(self._control.fileno())
        self._control.close()
        os.close(self._lifeline)
        os.close(self._life)
        shutil.rmtree(self._folder, ignore_errors=True)

    # ---- the life of one worker ----------------------------------------------------------------

    async def _keep(self, slot: _Slot) -> None:
        """Start the worker of a slot, again whenever it has ended, until the stop."""
        while not self._stopping.is_set():
            try:
                code = await self._run_once(slot)
            except OSError as error:  # no memory, no descriptors, or the program is replaced
                _log.error("worker_not_started", worker=slot.name, reason=error.strerror)
                code = 1
            if self._stopping.is_set():
                return
            if not self._is_announced and not slot.was_ready:
                self._give_up(code)
                return
            if slot.is_replaced:
                slot.is_replaced = False
                continue
            _log.error("worker_ended", worker=slot.name, code=code)
            self._report_ended(slot)
            await self._wait_for_next_start(slot)

    @staticmethod
    async def _wait_for_next_start(slot: _Slot) -> None:
        slot.backoff.failed(time.monotonic())
        slot.pause_ends.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(slot.backoff.wait_s(time.monotonic())):
                await slot.pause_ends.wait()

    async def _run_once(self, slot: _Slot) -> int:
        listeners = [listener.fileno() for listener in self._listeners]
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env={
                **self._environment,
                "WIRESIDE_REPLICA_NAME": slot.name,
                VARIABLE: Worker.variable(listeners, self._lifeline, self._folder),
            },
            pass_fds=(*listeners, self._lifeline),
            start_new_session=True,  # Ctrl+C reaches the supervisor only
        )
        slot.process = process
        if self._stopping.is_set():  # the signal came while it was started
            slot.send_signal(signal.SIGTERM)
        code = await process.wait()
        slot.process = None
        slot.looks_without_beat = None
        slot.ready.clear()
        (self._folder / slot.name).unlink(missing_ok=True)
        slot.ended.set()
        return code

    async def _kill_hung_workers(self) -> None:
        """Kill workers whose event loop runs no longer, so that they are started again."""
        while True:
            await asyncio.sleep(self._silence_s / LOOKS)
            for slot in self._slots:
                if slot.looks_without_beat is None:
                    continue
                slot.looks_without_beat += 1
                if slot.looks_without_beat > LOOKS:
                    _log.error("worker_hangs", worker=slot.name)
                    slot.kill()

    def _give_up(self, code: int) -> None:
        """End: the first worker has refused to start, and has said why."""
        self._exit_code = code or 1
        self._stop_all()

    def _report_ended(self, slot: _Slot) -> None:
        """Let a living worker remove a dead one from the replicas, at once."""
        replica_id, slot.replica_id = slot.replica_id, None
        if replica_id is None:
            return
        report = json.dumps({"ended": replica_id}).encode()
        for other in self._slots:
            if other.process is not None and other.ready.is_set():
                with contextlib.suppress(OSError):
                    self._control.sendto(report, str(self._folder / other.name))
                    return

    def _receive(self) -> None:
        while True:
            try:
                said = json.loads(self._control.recv(65_536))
            except (BlockingIOError, ValueError):
                return
            match said:
                case {"ready": name, "address": address, "secret": secret}:
                    self._handle_ready(name, address, secret)
                case {"beat": name, "pid": pid, "replica": replica_id}:
                    self._handle_beat(name, pid, replica_id)

    def _handle_ready(self, name: str, address: str, secret: str | None) -> None:
        self._secret = secret or self._secret
        for slot in self._slots:
            if slot.name == name:
                slot.ready.set()
                slot.was_ready = True
                _log.info("worker_ready", worker=slot.name)
        if not self._is_announced and all(slot.ready.is_set() for slot in self._slots):
            self._is_announced = True
            self._on_ready(address, self._secret)
            notify_systemd("READY=1")

    def _handle_beat(self, name: str, pid: int, replica_id: str | None) -> None:
        for slot in self._slots:
            # not that of an earlier process, which may be read after its end
            if slot.name == name and slot.process is not None and slot.process.pid == pid:
                slot.replica_id = replica_id
                slot.looks_without_beat = 0

    # ---- signals -------------------------------------------------------------------------------

    def _handle_stop(self) -> None:
        self._signals += 1
        if self._signals > 1:
            _log.warning("stop_hurried")
        self._stop_all()

    def _stop_all(self) -> None:
        """Ask all workers to stop; a second time, to hurry."""
        if not self._stopping.is_set():
            notify_systemd("STOPPING=1")
        self._stopping.set()
        for slot in self._slots:
            slot.pause_ends.set()
            slot.send_signal(signal.SIGTERM)

    def _handle_restart(self) -> None:
        if self._restart is None or self._restart.done():
            self._restart = asyncio.create_task(self._restart_all(), name="rolling restart")

    async def _restart_all(self) -> None:
        """Replace one worker after another; each moves its clients to the others first."""
        for slot in self._slots:
            if self._stopping.is_set():
                return
            _log.info("worker_replaced", worker=slot.name)
            await self._end_for_replacement(slot)
            try:
                async with asyncio.timeout(READY_S):
                    await slot.ready.wait()
            except TimeoutError:
                _log.error("restart_stopped", worker=slot.name)
                return
        _log.info("workers_replaced", count=len(self._slots))

    async def _end_for_replacement(self, slot: _Slot) -> None:
        """End the process of a slot; without one, its next one has what is installed by now."""
        if slot.process is None:
            slot.pause_ends.set()
            return
        slot.ended.clear()
        slot.is_replaced = True
        slot.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._stop_s):
                await slot.ended.wait()
        except TimeoutError:
            _log.error("worker_killed", worker=slot.name)
            slot.kill()
            await slot.ended.wait()


class _Slot:
    """The place of one worker, which successive processes take."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.was_ready = False
        self.is_replaced = False
        self.backoff = Backoff()
        self.pause_ends = asyncio.Event()
        self.replica_id: str | None = None
        self.looks_without_beat: int | None = None  # None before the first beat

    def send_signal(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the process, whose death then counts as a failure: it has left its row."""
        self.is_replaced = False
        self.send_signal(signal.SIGKILL)
