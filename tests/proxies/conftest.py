"""Real proxies before a real Wireside whose model is the fault lab."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wireside.testing import FakeOpenAI

sys.path.insert(0, str(Path(__file__).parent))

from kinds import KINDS, Certificate, Edit, Proxy, found, make_certificate  # beside this file


@dataclass
class Behind:
    """A running server, and where it listens itself."""

    process: subprocess.Popen[str]
    port: int
    lab: FakeOpenAI


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Wireside on a free port of loopback."""
    with FakeOpenAI(count=60, rate=100) as lab:
        folder = tmp_path_factory.mktemp("wireside")
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "NICEGUI", "WIRESIDE_", "OPENAI_"))
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "wireside", "serve", "--port", "0"],
            env={
                **clean,
                "OPENAI_BASE_URL": lab.url,
                "WIRESIDE_DATA_DIR": str(folder),
                "WIRESIDE_TITLE_MODEL": "off",
                "WIRESIDE_MESSAGES_PER_MINUTE_ADDRESS": "1000",
            },
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        port = int(process.stdout.readline().strip().rpartition(":")[2])
        yield Behind(process, port, lab)
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def started(
    tmp_path: Path,
    behind: Behind,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str, Edit], Proxy]]:
    """Call with a kind and what is changed in its configuration."""
    running: list[Proxy] = []

    def start(kind: str, edit: Edit) -> Proxy:
        found(KINDS[kind].program)
        proxy = KINDS[kind](tmp_path, behind, certificate)
        running.append(proxy)
        proxy.start(edit)
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.authority))
        return proxy

    yield start
    for proxy in running:
        proxy.stop()
