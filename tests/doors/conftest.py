"""Fixtures for the tests with foreign clients: their packages, a model and a server."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server_process import SERVE, ServerProcess
from wireside.testing import FakeOpenAI

HERE = Path(__file__).parent

INSTALL_S = 300.0

MOST_S = 120.0
"""Time limit of a program, in seconds; only a hang exceeds it."""

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def packages() -> Path:
    """Install the locked npm packages once; return ``node_modules``. Skips where that fails."""
    modules = HERE / "node_modules"
    locked = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    done = modules / ".locked"
    with (HERE / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run in parallel
        if done.exists() and done.read_text("utf-8") == locked:
            return modules
        if shutil.which("npm") is None:
            pytest.skip("there is no npm here")
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=INSTALL_S)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"the packages of package-lock.json can't be installed: {error}")
        done.write_text(locked, "utf-8")
    return modules


@pytest.fixture(scope="session")
def model() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture(scope="session")
def server(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server without limits that a test would notice."""
    limits: dict[str, Any] = {
        "messages_per_minute": 100_000,
        "messages_per_minute_address": 100_000,
        "requests_per_minute": 100_000,
        "requests_per_minute_address": 100_000,
    }
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, model.url, OPENAI_API_KEY="lab", **limits) as running:
        yield running


@pytest.fixture(scope="session")
def asking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose answers come from the handler of ``asking.py``."""
    folder = tmp_path_factory.mktemp("asking")
    (folder / "asking.py").write_bytes((HERE / "asking.py").read_bytes())
    with ServerProcess(folder, command=(*SERVE, "asking:chat")) as running:
        yield running


@pytest.fixture
def node(packages: Path, tmp_path: Path) -> Run:
    """Run a module of this folder with Node; return what it prints last, parsed as JSON.

    The keyword arguments are its ``JSON.parse(process.argv[2])``.
    """

    def run(module: str, **given: Any) -> Any:
        done = subprocess.run(
            ["node", str(HERE / module), json.dumps(given)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=MOST_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr or done.stdout
        return json.loads(done.stdout.splitlines()[-1])

    return run
