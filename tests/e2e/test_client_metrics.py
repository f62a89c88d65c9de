"""The figures of the status pop-up, compared with the measurements of a proxy."""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Lab
from tests.server_process import ServerProcess
from wireside.testing import answer

PAGE_SOCKET = b"/_nicegui_ws/"
TRUE_TO = 0.1


class Wire:
    """One direction of a page's socket: extracts the messages from its frames.

    The proxy notes the time at which the messages were on the browser's side.
    """

    def __init__(self) -> None:
        self._data = b""
        self._message = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the text messages completed by ``data``."""
        self._data += data
        found = []
        while (frame := self._next()) is not None:
            fin, opcode, payload = frame
            if opcode in (0, 1):
                self._message = payload if opcode == 1 else self._message + payload
                if fin:
                    found.append(self._message)
        return found

    def _next(self) -> tuple[bool, int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        is_masked, size, at = data[1] & 128, data[1] & 127, 2
        if size >= 126:
            width, form = (2, "!H") if size == 126 else (8, "!Q")
            if len(data) < 2 + width:
                return None
            (size,) = struct.unpack(form, data[2 : 2 + width])
            at += width
        mask = data[at : at + 4] if is_masked else b""
        at += len(mask)
        if len(data) < at + size or (is_masked and len(mask) < 4):
            return None
        payload = data[at : at + size]
        self._data = data[at + size :]
        if mask:
            payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        return bool(data[0] & 128), data[0] & 15, payload


Late = queue.Queue[tuple[float, bytes]]
"""Bytes, and when they are due."""

Watcher = Callable[[list[bytes], float], None]


class MeasuringProxy:
    """Forwards everything after ``delay_s`` each way, and measures as the browser would."""

    def __init__(self, port: int, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.events: list[float] = []
        """Times of Socket.IO events on the browser's side, without those that measure latency."""
        self.pings_s: list[float] = []
        self.sockets = 0
        self._asked: dict[bytes, float] = {}
        self._target = port
        self._ends: list[socket.socket] = []
        self._is_cut = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def rate(self, end: float, seconds: float) -> float:
        """Return events per second in the ``seconds`` before ``end``."""
        return sum(end - seconds < at <= end for at in tuple(self.events)) / seconds

    def cut(self) -> None:
        self._is_cut = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

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
            server = socket.create_connection(("127.0.0.1", self._target))
            self._ends += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        first = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in first and (data := client.recv(65536)):
                first += data
        head = first.partition(b"\r\n\r\n")[0]
        is_socket = PAGE_SOCKET in head.partition(b"\r\n")[0] and b"pgrade: websocket" in head
        if is_socket:  # uncompressed, so that it can be read here
            first = re.sub(rb"(?i)sec-websocket-extensions", b"X-Not-Offered", first)
        watches = (self._watch_out, self._watch_in) if is_socket else (None, None)
        for source, sink, begun, watch in (
            (client, server, first, watches[0]),
            (server, client, b"", watches[1]),
        ):
            late: Late = queue.Queue()
            late.put((time.monotonic() + self.delay_s, begun))
            reading = (source, late, watch if source is client else None)
            writing = (sink, late, watch if source is server else None)
            threading.Thread(target=self._read, args=reading, daemon=True).start()
            threading.Thread(target=self._write, args=writing, daemon=True).start()

    def _read(self, source: socket.socket, late: Late, watch: Watcher | None) -> None:
        wire = Wire()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                now = time.monotonic()
                late.put((now + self.delay_s, data))
                if watch is not None:
                    watch(wire.feed(data), now)
        late.put((time.monotonic() + self.delay_s, b""))

    def _write(self, sink: socket.socket, late: Late, watch: Watcher | None) -> None:
        wire = Wire()
        head: bytes | None = b""
        is_begun = False
        while True:
            due, data = late.get()
            if not data and is_begun:
                break
            is_begun = True
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                sink.sendall(data)
            except OSError:
                break
            if watch is None:
                continue
            if head is not None:  # the response to the handshake
                head += data
                if b"\r\n\r\n" not in head:
                    continue
                status, data = head.split(b" ", 2)[1], head.partition(b"\r\n\r\n")[2]
                head = None
                self.sockets += status == b"101"
            watch(wire.feed(data), time.monotonic())
        for end in (sink,):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _watch_out(self, messages: list[bytes], now: float) -> None:
        with self._lock:
            for message in messages:
                if found := re.match(rb'42(\d*)\["wireside_ping"', message):
                    self._asked[found[1]] = now
                elif message.startswith((b"42", b"45")):
                    self.events.append(now)

    def _watch_in(self, messages: list[bytes], now: float) -> None:
        with self._lock:
            for message in messages:
                found = re.match(rb"43(\d+)", message)
                if found and found[1] in self._asked:
                    self.pings_s.append(now - self._asked.pop(found[1]))
                elif message.startswith((b"42", b"45")):
                    self.events.append(now)


@pytest.fixture
def proxy(served: ServerProcess) -> Iterator[MeasuringProxy]:
    wire = MeasuringProxy(served.port)
    yield wire
    wire.close()


def figure(page: Page, name: str) -> float:
    text = page.get_by_test_id(f"metric-{name}").inner_text()
    found = re.match(r"[\d.,]+", text)
    return float(found[0].replace(",", "")) if found else 0.0


def open_status(page: Page, proxy: MeasuringProxy) -> None:
    page.goto(proxy.url)
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    page.get_by_test_id("connection-status").click()
    expect(page.get_by_test_id("metric-rate")).to_be_visible()


def wait_until(page: Page, is_so: Callable[[], bool], limit_s: float = 40.0) -> None:
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until
        page.wait_for_timeout(100)


NOTE_RATES = """() => {
    const shown = document.querySelector("[data-testid=metric-rate]");
    window.rates = [];
    new MutationObserver(() => window.rates.push([Date.now() / 1000, shown.textContent])).observe(
        shown, {characterData: true, childList: true, subtree: true});
}"""
"""Records each figure when it is shown."""


def test_messages_a_second_are_those_that_pass(page: Page, proxy: MeasuringProxy, lab: Lab) -> None:
    lab.answer_with(answer(800, rate=40))
    open_status(page, proxy)
    page.get_by_test_id("input-chat").fill("Hi")
    page.get_by_test_id("input-chat").press("Enter")
    page.get_by_test_id("connection-status").click()
    page.evaluate(NOTE_RATES)
    page.wait_for_timeout(7000)  # the figure covers the last five seconds
    before = page.evaluate("rates.length")
    wait_until(page, lambda: page.evaluate("rates.length") >= before + 4)
    since = time.time() - time.monotonic()
    for at, text in page.evaluate("rates")[before:]:
        assert float(text) > 5
        assert float(text) == pytest.approx(proxy.rate(at - since, 5.0), rel=TRUE_TO)
    page.get_by_test_id("button-stop").click()
    expect(page.get_by_test_id("button-send")).to_be_visible()
    page.get_by_test_id("connection-status").click()
    wait_until(page, lambda: figure(page, "rate") < 1)


def test_a_busy_page_counts_by_the_time_that_passed(
    page: Page, proxy: MeasuringProxy, lab: Lab
) -> None:
    """Its timers fire late, and delayed messages arrive at once: the figure must not rise."""
    lab.answer_with(answer(900, rate=40))
    open_status(page, proxy)
    page.get_by_test_id("input-chat").fill("Hi")
    page.get_by_test_id("input-chat").press("Enter")
    page.get_by_test_id("connection-status").click()
    page.evaluate(
        """setInterval(() => {
            const end = performance.now() + 1500;
            while (performance.now() < end);
        }, 1600)"""
    )
    time.sleep(12)
    shown, seen = figure(page, "rate"), proxy.rate(time.monotonic() - 1, 8.0)
    assert seen > 3
    assert shown == pytest.approx(seen, rel=0.3)


def test_the_latency_is_the_one_of_the_wire(page: Page, proxy: MeasuringProxy) -> None:
    proxy.delay_s = 0.3
    open_status(page, proxy)
    wait_until(page, lambda: len(proxy.pings_s) >= 2)

    def is_true() -> bool:
        measured_ms = 1000 * sum(proxy.pings_s) / len(proxy.pings_s)
        assert measured_ms >= 600
        return figure(page, "latency") == pytest.approx(measured_ms, rel=TRUE_TO)

    # A browser that is busy with loading receives its first answer later than the proxy.
    wait_until(page, is_true)


def test_reconnects_are_counted(page: Page, proxy: MeasuringProxy) -> None:
    open_status(page, proxy)
    assert figure(page, "reconnects") == 0
    for count in (1, 2, 3):
        proxy.cut()
        expect(page.get_by_test_id("connection-status")).not_to_have_text("Connected")
        proxy.mend()
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected", timeout=30_000)
        assert proxy.sockets == 1 + count
        assert figure(page, "reconnects") == count
