"""The real server, ``wireside serve`` in a separate process, with the fault lab as its model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

WRONG = (
    "Traceback",
    "    | ",
    "internal",
    "[error",
    "Exception ignored",
    "never awaited",
    "never retrieved",
)
"""Log texts that indicate a fault of the server."""


class Served(ServerProcess):
    """A running server."""

    @property
    def memory_mb(self) -> float:
        """Memory of the process, in MB."""
        return float(self.process.memory_info().rss) / 2**20

    @property
    def peak_mb(self) -> float:
        """Peak memory of the process, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024

    def faults(self) -> list[str]:
        """Return the lines of the log that indicate a fault, with the context of the first."""
        lines = self.log.splitlines()
        found = [n for n, line in enumerate(lines) if any(word in line for word in WRONG)]
        return lines[max(0, found[0] - 2) : found[0] + 40] if found else []


@contextmanager
def served(**settings: object) -> Iterator[Served]:
    """Run a server with these settings (``messages_per_minute=…``), then stop it gracefully."""
    often: dict[str, Any] = {
        "requests_per_minute": 1_000_000,
        "requests_per_minute_address": 1_000_000,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeOpenAI(count=5) as lab,
        Served(Path(folder), lab.url, **(often | settings)) as server,
    ):
        yield server
        assert server.is_alive, f"It died.\n{server.log[-5_000:]}"
