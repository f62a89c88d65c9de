"""A real browser: Playwright's own if it is installed, otherwise the system's Chromium."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from tests.e2e import chromium
from tests.hostile import corpus as hostile
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI


def pytest_configure(config: pytest.Config) -> None:
    expect.set_options(timeout=15_000)  # a busy machine must not fail a test
    config.addinivalue_line(
        "markers", "attacks_the_policy: the browser may refuse something by the pages' own policy"
    )


@pytest.fixture(scope="session")
def corpus() -> ModuleType:
    """The hostile texts: ``tests/hostile/corpus.py``."""
    return hostile


@pytest.fixture
def violations() -> list[str]:
    """Violations of a Content-Security-Policy, in all pages of the test."""
    return []


@pytest.fixture
def new_context(
    new_context: Callable[..., BrowserContext],
    violations: list[str],
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., BrowserContext]]:
    """Create contexts whose policy violations fail the test."""
    contexts: list[BrowserContext] = []

    def make(**settings: Any) -> BrowserContext:
        context = new_context(**settings)
        contexts.append(context)
        return telling(context, violations)

    yield make
    for context in contexts:
        hear_out(context)
    if not request.node.get_closest_marker("attacks_the_policy"):
        assert violations == []


@pytest.fixture(scope="session")
def lasting_context(browser: Browser) -> Callable[..., AbstractContextManager[BrowserContext]]:
    """The same for fixtures of several tests: a context whose violations fail it at its end."""

    @contextlib.contextmanager
    def make(**settings: Any) -> Iterator[BrowserContext]:
        violations: list[str] = []
        with contextlib.closing(
            browser.new_context(service_workers="block", **settings)
        ) as context:
            yield telling(context, violations)
            hear_out(context)
        assert violations == []

    return make


def telling(context: BrowserContext, violations: list[str]) -> BrowserContext:
    """Make the pages of a context append their policy violations to ``violations``; return it."""
    context.expose_binding("__violated", lambda _, text: violations.append(text))
    context.add_init_script(chromium.TELL_VIOLATIONS)
    return context


def hear_out(context: BrowserContext) -> None:
    """Wait until pending reports from the pages of a context have arrived."""
    for page in context.pages:
        with contextlib.suppress(Error):  # the page was closed meanwhile
            page.evaluate("0")


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Settings of contexts; a test of the service worker asks for one by a mark."""
    return {**browser_context_args, "service_workers": "block"}


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    path = chromium.find()
    if path is None:
        pytest.fail("There is no Chromium: install the system's `chromium` package.", pytrace=False)
    return {**browser_type_launch_args, "executable_path": path, "args": chromium.FLAGS}


class Proxy:
    """A proxy between browser and server that can be cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._pairs: list[socket.socket] = []
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        self._is_cut = True
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # the server was stopped
                client.close()
                continue
            self._pairs += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture(scope="session")
def running_lab() -> Iterator[Lab]:
    with Lab() as running:
        yield running


class Lab(FakeOpenAI):
    """The fault lab, for tests without an event loop.

    A server outlives a test: an answer that an earlier test of another file has left running does
    not count as one of the present test.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left_open: set[object] = set()

    def begin_test(self) -> None:
        """Remember the responses that earlier tests have left open."""
        self._left_open = self._answering()

    def has_begun(self) -> bool:
        """Whether an upstream response of this test is open, or will be within moments."""
        return self._is_soon(lambda: bool(self._answering() - self._left_open))

    def has_closed(self) -> bool:
        """Whether all upstream responses of this test are closed, or will be within moments."""
        return self._is_soon(lambda: not self._answering() - self._left_open)

    def _answering(self) -> set[object]:
        now: set[object] = {one for one in tuple(self._connections) if one.is_answering}
        self._left_open &= now
        return now

    @staticmethod
    def _is_soon(is_so: Callable[[], bool]) -> bool:
        until = time.monotonic() + 15  # as long as `expect` waits
        while not is_so() and time.monotonic() < until:
            time.sleep(0.01)
        return is_so()


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    """The model of ``served``; answers left by a failed test are removed."""
    running_lab.begin_test()
    yield running_lab
    running_lab.forget()


@pytest.fixture(scope="session")
def served_with() -> Callable[..., ServerProcess]:
    """Call with the lab's address, a folder and settings to start a server; the caller stops it."""

    def start(url: str, folder: Path, **settings: Any) -> ServerProcess:
        return ServerProcess(folder, url, **settings).start()

    return start


@pytest.fixture(scope="session")
def served(
    running_lab: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("data"), running_lab.url) as server:
        yield server


@pytest.fixture
def proxy(served: ServerProcess) -> Iterator[Proxy]:
    wire = Proxy(served.port)
    yield wire
    wire.close()


@pytest.fixture
def chat_page(page: Page, served: ServerProcess) -> Iterator[Page]:
    """An empty chat. Errors in the browser's console fail the test."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(served.url)
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    yield page
    # the browser reports a cut made by the test as a failed connection
    assert not [text for text in complaints if "ERR_" not in text and "WebSocket" not in text]


def may_move(page: Page) -> bool:
    """Whether the page lets itself be loaded again at another server now."""
    event = "new CustomEvent('wireside:move', { cancelable: true, detail: {} })"
    return bool(page.evaluate(f"dispatchEvent({event})"))
