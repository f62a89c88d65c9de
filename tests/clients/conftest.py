"""Fixtures for the tests of ``wireside.js`` outside of browsers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import runtimes
from tests.clients.wires import Control, Wire
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI
from wireside_ui import client_package

MOST_S = 30.0
"""Time limit of a program, in seconds; only a hang exceeds it."""

PRELUDE = """
import {{ Wireside, WiresideError, Answer, Batch, Conversation }} from "./wireside.mjs";
import process from "node:process";
const WebSocket = globalThis.WebSocket ?? (await import({ws})).default;
const given = {given};
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(String(error)));
process.on("uncaughtException", (error) => unhandled.push(String(error)));
const tell = (name) => fetch(`${{given.control}}/${{name}}`).then((answer) => answer.json());
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (isSo) => {{ while (!isSo()) await sleep(5); }};
const quick = () => (Math.random = () => 0.02);
const states = [];
const open = (url = given.url, options = {{}}) =>
  new Wireside(url, {{ WebSocket, onState: (state) => states.push(state), ...options }});
const caught = (promise) => promise.then(
  (value) => ({{ value }}),
  ({{ name, code, message, retryAfter }}) => ({{ name, code, message, retryAfter }}),
);
"""

FINALE = """
await sleep(0);
console.log("\\n" + JSON.stringify({ result, unhandled }));
"""

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def model() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture
def lab(model: FakeOpenAI) -> Iterator[FakeOpenAI]:
    """The model of ``server``."""
    yield model
    model.forget()


@pytest.fixture(scope="session")
def server(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = {"messages_per_minute": 100_000, "messages_per_minute_address": 100_000}
    more: dict[str, Any] = {
        "requests_per_minute_address": 100_000,
        "OPENAI_API_KEY": "lab",
        **limits,
    }
    with ServerProcess(tmp_path_factory.mktemp("server"), model.url, **more) as running:
        yield running


@pytest.fixture(scope="session")
def closed(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with accounts."""
    with ServerProcess(tmp_path_factory.mktemp("closed"), model.url, auth="proxy") as running:
        yield running


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    """A proxy to the server; it refuses connections at first."""
    between = Wire(server.port)
    yield between
    between.shut()


@pytest.fixture(params=list(runtimes.RUNTIMES))
def runtime(request: pytest.FixtureRequest) -> str:
    """The name of an available runtime; the tests run with each."""
    name: str = request.param
    try:
        runtimes.command(name)
    except runtimes.Missing as error:
        pytest.skip(f"{name}: {error}")
    return name


@pytest.fixture
def run(runtime: str, tmp_path: Path) -> Run:
    """Run a module that sets ``result``, and return its value.

    The process must end by itself, without an unhandled rejection. ``functions`` are the functions
    that the module can call with ``tell``; the other arguments are in ``given``.
    """
    return runner(runtime, tmp_path)


def runner(runtime: str, folder: Path) -> Run:
    try:
        socket_class = runtimes.install("ws", "ws@8") / "ws" / "wrapper.mjs"
    except runtimes.Missing as error:
        pytest.skip(str(error))
    (folder / "wireside.mjs").write_text(client_package.module(), "utf-8")

    def run(
        body: str, functions: dict[str, Callable[[], object]] | None = None, **given: Any
    ) -> Any:
        with Control(functions or {}) as control:
            values = json.dumps({"control": control.url, **given})
            prelude = PRELUDE.format(ws=json.dumps(str(socket_class)), given=values)
            (folder / "program.mjs").write_text(prelude + body + FINALE)
            try:
                process = subprocess.run(
                    [*runtimes.command(runtime), "program.mjs"],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    timeout=MOST_S,
                )
            except subprocess.TimeoutExpired as error:
                raise AssertionError(f"no end: {error.stdout!r} {error.stderr!r}") from error
        assert process.returncode == 0, process.stderr
        told = json.loads(process.stdout.splitlines()[-1])
        assert told["unhandled"] == []
        return told["result"]

    return run
