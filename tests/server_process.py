"""A server in its own process: ``wireside serve``, started as users start it.

    with ServerProcess(folder, lab.url, auth="proxy") as server:
        httpx2.get(server.url + "/api/me")

``async with`` does the same without blocking the event loop, as a model on this loop requires.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TextIO

import psutil

from tests.fork_server import FORK_SERVER, ForkedProcess
from wireside.tester.empty import write_empty_database
from wireside.tester.killed import DATABASE

ROOT = Path(__file__).parents[1]

SERVE = (sys.executable, "-m", "wireside", "serve", "--port", "0")

OURS = ("WIRESIDE_", "OPENAI_")
"""Prefixes of variables that developers may have set for servers of their own."""

TEST = ("PYTEST", "NICEGUI")
"""Prefixes removed because NiceGUI behaves differently in a process under test."""

TRACE = "\n    | "
"""The beginning of each traceback line of an unexpected error in the log."""

LONG_S = 60.0
"""Seconds. A server takes less to end on any machine, unless it hangs."""


def failures_in(log: str) -> list[str]:
    """Return the log lines of unexpected errors, with the places where they happened."""
    return re.findall(r"^(?:\S+ (?:ERROR|CRITICAL) | {4}\| |Traceback).*", log, re.MULTILINE)


class Refused(AssertionError):
    """The process ended instead of listening."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"It ended with {code}.\n{log}")
        self.code = code


class ServerProcess:
    """A server process, which can be restarted on the same folder.

    Settings are named as in ``settings/model.py`` (``shutdown_s=2``); a name in capitals is an
    environment variable, and None removes one. ``command`` is run instead of ``SERVE``, which a
    fork server starts (``fork_server.py``) as long as the environment allows.
    """

    def __init__(
        self,
        folder: Path,
        lab_url: str | None = None,
        *,
        command: Sequence[str] = SERVE,
        **settings: object,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.environment = _environment(
            {"OPENAI_BASE_URL": lab_url, "data_dir": folder, "title_model": "off", **settings}
        )
        self.url = ""
        self.process: ForkedProcess | psutil.Popen
        self._command = command
        self.passed_descriptors: Sequence[int] = ()
        """Descriptors that the process inherits; set before it is started."""
        self._log = folder / "log"
        self._starts: list[str] = []

    # ---- start and stop ------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the process; it listens when this returns. Raises ``Refused``."""
        with self._log.open("a") as log:
            self.process = self._forked(log) if self._can_be_forked() else self._executed(log)
        self.url = self._logged_address() if self._logs_json else self.last_word()
        if not self.url:
            raise Refused(self._wait(), self.log)
        return self

    def _can_be_forked(self) -> bool:
        is_usual = self._command == SERVE and not self.passed_descriptors
        return is_usual and FORK_SERVER.can_start(self.environment)

    def _forked(self, log: TextIO) -> ForkedProcess:
        database = self.folder / DATABASE
        if self._has_default_store and not database.exists():
            write_empty_database(database)  # a third of the CPU time of a start is to migrate one
        return FORK_SERVER.fork(
            list(SERVE[3:]), folder=self.folder, environment=self.environment, stderr=log
        )

    @property
    def _has_default_store(self) -> bool:
        is_here = self.environment.get("WIRESIDE_DATA_DIR") == str(self.folder)
        return is_here and "WIRESIDE_DATABASE_URL" not in self.environment

    def _executed(self, log: TextIO) -> psutil.Popen:
        return psutil.Popen(
            self._command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            pass_fds=self.passed_descriptors,
        )

    @property
    def _logs_json(self) -> bool:
        return self.environment.get("WIRESIDE_LOG_FORMAT") == "json"

    def _logged_address(self) -> str:
        """Wait for the event `listening`; with JSON logs nothing is printed. "" if it has ended."""
        began = len(self._starts)
        while self.is_alive:
            self._starts = re.findall(r'"address": "([^"]+)".*"event": "listening"', self.log)
            if len(self._starts) > began:
                return self._starts[-1]
            time.sleep(0.02)
        return ""

    def stop(self) -> int:
        """Terminate the process, if it runs, and return its exit code."""
        if self.is_alive:
            self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """Kill the process."""
        if self.is_alive:
            self.process.kill()
            self.process.wait(LONG_S)
        self.process.stdout.close()

    def _wait(self) -> int:
        try:
            return int(self.process.wait(LONG_S))
        finally:
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def run(self, *words: str) -> str:
        """Run ``wireside`` with these arguments in the server's environment; return its output."""
        return subprocess.run(
            [sys.executable, "-m", "wireside", *words],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    # ---- output --------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def socket_url(self) -> str:
        """The URL of its WebSocket."""
        return self.url.replace("http", "ws", 1) + "/ws/ai-chat"

    @property
    def log(self) -> str:
        """The log so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def last_word(self) -> str:
        """Wait for the next line of output, and return its last word.

        The first line ends with the server's address, the second with the file of the link that
        creates the first administrator, if there is none yet.
        """
        line: str = self.process.stdout.readline()
        return line.rpartition(" ")[2].strip()

    def administrator_link(self) -> str:
        """Return the link that creates the first administrator."""
        return Path(self.last_word()).read_text(encoding="utf-8").strip()


def _environment(settings: dict[str, object]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS + TEST)}
    paths = (str(ROOT / "backend"), str(ROOT / "ui"), kept.get("PYTHONPATH", ""))
    given = {
        name if name.isupper() else f"WIRESIDE_{name.upper()}": value
        for name, value in settings.items()
    }
    all_of_it = {
        **kept,
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        **given,
    }
    return {name: str(value) for name, value in all_of_it.items() if value is not None}
