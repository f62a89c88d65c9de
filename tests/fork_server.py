"""Starts ``wireside serve`` by a fork of a process that has imported its modules already.

The import takes most of the two seconds of CPU that a start takes, and the tests start hundreds of
servers. One process, itself started as ``python -m tests.fork_server``, imports what the command
imports and forks for each server; the fork gets its own folder, environment, output and arguments,
and then runs the command as ``python -m wireside`` does. The workers of a test run share it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import psutil

MAX_REQUEST_BYTES = 100_000

IMPORTED_S = 120.0
"""Seconds. The import takes less on any machine."""

AT_START = ("PYTHON", "LD_", "NICEGUI_", "HOME", "XDG_", "MALLOC_")
"""Prefixes of variables that are read when a process starts or imports its modules."""


class ForkedProcess(psutil.Process):
    """A process of the fork server, with those methods of ``psutil.Popen`` that tests use."""

    def __init__(self, pid: int, stdout: TextIO, status: int) -> None:
        """``status`` is the end of a pipe that yields the exit code; it is closed at the end."""
        super().__init__(pid)
        self.stdout = stdout
        self._status = status
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        with contextlib.suppress(psutil.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code. Raises ``psutil.TimeoutExpired``."""
        if self._code is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise psutil.TimeoutExpired(timeout or 0, self.pid)
            self._code = int(os.read(self._status, 20))
            os.close(self._status)
        return self._code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless the process has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            super().send_signal(sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The fork server of this test run; it is started when it is first used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._environment: dict[str, str] = {}

    def can_start(self, environment: Mapping[str, str]) -> bool:
        """Whether a fork is the same as a process that starts with this environment."""
        if sys.platform != "linux":  # system libraries of others may not survive a fork
            return False
        with self._lock:
            if self._channel is None:
                self._start(dict(environment))
        return at_start(environment) == at_start(self._environment)

    def fork(
        self, arguments: list[str], *, folder: Path, environment: Mapping[str, str], stderr: TextIO
    ) -> ForkedProcess:
        """Start ``python -m wireside`` with these arguments."""
        request = json.dumps([arguments, str(folder), dict(environment)]).encode()
        reading, stdout = os.pipe()
        status, reporting = os.pipe()
        with self._lock:
            assert self._channel is not None
            socket.send_fds(self._channel, [request], [stdout, stderr.fileno(), reporting])
            pid = int(self._channel.recv(20))
        os.close(stdout)
        os.close(reporting)
        return ForkedProcess(pid, os.fdopen(reading, encoding="utf-8"), status)

    def _start(self, environment: dict[str, str]) -> None:
        """Connect to the fork server of this run; start it if no other worker has.

        It ends when all workers have closed their connections.
        """
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}-{secrets.token_hex(8)}")
        name = f"wireside-tests-{run}"
        process = None
        own = b""
        while not own:  # it may end between the two steps, when another worker leaves
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            channel.settimeout(IMPORTED_S)
            while channel.connect_ex(f"\0{name}"):  # an abstract name, which is free after the end
                if process is None or process.poll() is not None:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "tests.fork_server", name],
                        cwd=Path(__file__).parents[1],
                        env=environment,
                    )
                time.sleep(0.01)
            own = channel.recv(MAX_REQUEST_BYTES)
        if process is not None:
            process.returncode = 0  # it may outlive this worker
        self._environment = json.loads(own)
        channel.settimeout(None)
        self._channel = channel
        atexit.register(channel.close)


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


FORK_SERVER = ForkServer()


# ---- in the process that forks -----------------------------------------------------------------


def import_modules() -> None:
    """Import what ``wireside serve`` imports, in its way, and compute the tables of its warm-up."""
    import wireside.cli.main
    from wireside.cli.unused import without_unused_packages

    gc.disable()  # as the command does while it imports
    with without_unused_packages():
        import wireside.app  # noqa: F401
        from wireside.store import words
        from wireside_ui.markdown import highlighting

        words.prepare_tables()
        for label in highlighting.USUAL:
            highlighting.prepare(label)
    gc.freeze()  # the pages that forks share are not written to
    gc.enable()


def fork_until_closed(listener: socket.socket) -> list[str] | None:
    """Fork for each request; return the command's arguments in a fork, None when it is over."""
    own_environment = json.dumps(at_start(os.environ)).encode()
    channels: list[socket.socket] = []
    reports: dict[int, int] = {}
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # in the terminal, it is for the tests
    while True:
        waited_for: list[Any] = [ended, listener, *channels]
        ready, _, _ = select.select(waited_for, [], [])
        if ended in ready:
            os.read(ended, 1000)
            report_ends(reports)
        if listener in ready:
            channels.append(listener.accept()[0])
            channels[-1].send(own_environment)
        for channel in [channel for channel in channels if channel in ready]:
            try:
                message, descriptors, _, _ = socket.recv_fds(channel, MAX_REQUEST_BYTES, 3)
            except ConnectionError:
                message = b""
            if not message:
                channels.remove(channel)
                channel.close()
                if not channels:
                    return None
                continue
            pid = os.fork()
            if pid == 0:
                for own in (ended, wake, *reports.values()):
                    os.close(own)
                for one in (listener, *channels):
                    one.close()
                return become(message, descriptors)
            stdout, stderr, report = descriptors
            os.close(stdout)
            os.close(stderr)
            reports[pid] = report
            channel.send(str(pid).encode())


def report_ends(reports: dict[int, int]) -> None:
    """Write the exit codes of the forks that have ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            report = reports.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # not waited for
                os.write(report, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(report)


def become(message: bytes, descriptors: list[int]) -> list[str]:
    """Make this process the one that was requested; return its arguments."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments, folder, environment = json.loads(message)
    stdout, stderr, report = descriptors
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for copied in (stdout, stderr, report):
        os.close(copied)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.path[0] = folder  # as `python -m` has it
    return [str(argument) for argument in arguments]


def main() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(f"\0{sys.argv[1]}")
        except OSError:  # another worker was faster
            return
        listener.listen()
        import_modules()
        arguments = fork_until_closed(listener)
    if arguments is not None:
        sys.argv = ["wireside", *arguments]
        runpy.run_module("wireside", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
