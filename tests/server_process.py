"""A server in a process of its own: ``wireside serve``, as people start it.

    with ServerProcess(folder, lab.url, auth="proxy") as server:
        httpx2.get(server.url + "/api/me")

``async with`` does the same and leaves the loop free, as a model on this loop needs it.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).parents[1]

SERVE = (sys.executable, "-m", "wireside", "serve", "--port", "0")

OURS = ("WIRESIDE_", "OPENAI_")
"""What a developer may have set for servers of their own."""

TEST = ("PYTEST", "NICEGUI")
"""NiceGUI acts differently in a process that thinks it is under test."""

TRACE = "\n    | "
"""What each line of the trace of an error that nobody has foreseen begins with in the log."""

LONG_S = 60.0
"""No server takes so long to end on any machine, unless it hangs."""


def failures_in(log: str) -> list[str]:
    """Return the lines of errors that nobody has foreseen, with the places where they happened."""
    return re.findall(r"^(?:\S+ (?:ERROR|CRITICAL) | {4}\| |Traceback).*", log, re.MULTILINE)


class Refused(AssertionError):
    """It has ended where it should listen."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"It ended with {code}.\n{log}")
        self.code = code


class ServerProcess:
    """A server, and the next one on the same folder when it is started again.

    Settings are named as in ``settings.py`` (``shutdown_s=2``); what is written in capitals is a
    variable of that name, and None takes one away. ``command`` is what is run instead of ``SERVE``.
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
        self.process: psutil.Popen
        self._command = command
        self._log = folder / "log"

    # ---- its life ------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it; it listens when this returns. Raises ``Refused``."""
        with self._log.open("a") as log:
            self.process = psutil.Popen(
                self._command,
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.url = self.last_word()
        if not self.url:
            raise Refused(self._wait(), self.log)
        return self

    def stop(self) -> int:
        """Ask it to end, if it runs, and return its exit code."""
        if self.is_alive:
            self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """End it, whatever it does."""
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
        """Run ``wireside`` with these words beside it; returns what is printed."""
        return subprocess.run(
            [sys.executable, "-m", "wireside", *words],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    # ---- what is seen of it --------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def socket_url(self) -> str:
        """Where its WebSocket is."""
        return self.url.replace("http", "ws", 1) + "/ws/ai-chat"

    @property
    def log(self) -> str:
        """All that it has logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def last_word(self) -> str:
        """Wait for its next line, and return the last word. The first one ends with its address,
        the second with the file of the link that creates the administrator, if there is none yet.
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
