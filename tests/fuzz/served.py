"""The real server, ``wireside serve`` in a process of its own, with the fault lab as its model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

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
"""What must not stand in a log: faults of ours."""


@dataclass
class Served:
    """A server that runs."""

    url: str
    process: psutil.Process
    log_file: Path
    lab: FakeOpenAI
    first_link: str = ""
    """Makes the administrator; "" where there are no accounts."""

    @property
    def memory_mb(self) -> float:
        """What its process holds."""
        return float(self.process.memory_info().rss) / 2**20

    @property
    def peak_mb(self) -> float:
        """The most that it has ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024

    @property
    def log(self) -> str:
        """What it has said so far, on both outputs."""
        return self.log_file.read_text(errors="replace")

    def faults(self) -> list[str]:
        """Return the lines of its log that tell of a fault, with what stands around the first."""
        lines = self.log.splitlines()
        found = [n for n, line in enumerate(lines) if any(word in line for word in WRONG)]
        return lines[max(0, found[0] - 2) : found[0] + 40] if found else []


@contextmanager
def served(**settings: object) -> Iterator[Served]:
    """Run a server with these settings (``messages_per_minute=…``), then end it politely."""
    with tempfile.TemporaryDirectory() as folder, FakeOpenAI(count=5) as lab:
        log_file = Path(folder) / "log"
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("WIRESIDE_", "OPENAI_"))},
            "OPENAI_BASE_URL": lab.url,
            "WIRESIDE_DATA_DIR": folder,
            "WIRESIDE_TITLE_MODEL": "off",
            "WIRESIDE_REQUESTS_PER_MINUTE": "1000000",
            "WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS": "1000000",
            "NO_COLOR": "1",
            **{f"WIRESIDE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        with log_file.open("w") as log:
            process = psutil.Popen(
                [sys.executable, "-m", "wireside", "serve", "--port", "0"],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            url = process.stdout.readline().rpartition(" ")[2].strip()
            assert url.startswith("http://"), log_file.read_text()
            link = process.stdout.readline() if settings.get("auth") == "password" else ""
            yield Served(url, process, log_file, lab, link.rpartition(" ")[2].strip())
            assert process.poll() is None, f"It died.\n{log_file.read_text()[-5_000:]}"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except psutil.TimeoutExpired:
                process.kill()
            process.stdout.close()
