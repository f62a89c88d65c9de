"""The real server, ``wireside serve`` in a process of its own, with the fault lab as its model."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wireside.testing import FakeOpenAI

sys.path.insert(0, str(Path(__file__).parents[1]))  # programs beside this file use it

from server_process import ServerProcess

WRONG = (
    "Traceback",
    "    | ",
    "internal",
    "[error",
    "Exception ignored",
    "never awaited",
    "never retrieved",
)
"""What must not stand in a log: faults of ours."""


class Served(ServerProcess):
    """A server that runs."""

    @property
    def memory_mb(self) -> float:
        """What its process holds."""
        return float(self.process.memory_info().rss) / 2**20

    @property
    def peak_mb(self) -> float:
        """The most that it has ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024

    def faults(self) -> list[str]:
        """Return the lines of its log that tell of a fault, with what stands around the first."""
        lines = self.log.splitlines()
        found = [n for n, line in enumerate(lines) if any(word in line for word in WRONG)]
        return lines[max(0, found[0] - 2) : found[0] + 40] if found else []


@contextmanager
def served(**settings: object) -> Iterator[Served]:
    """Run a server with these settings (``messages_per_minute=…``), then end it politely."""
    often = {"requests_per_minute": 1_000_000, "requests_per_minute_address": 1_000_000}
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeOpenAI(count=5) as lab,
        Served(Path(folder), lab.url, **(often | settings)) as server,
    ):
        yield server
        assert server.is_alive, f"It died.\n{server.log[-5_000:]}"
