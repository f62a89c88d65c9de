"""Start and stop of a whole process."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import websockets

from wireside.server.run import (
    SWITCH_S,
    CannotServe,
    ServedApplication,
    run_server,
    socket_limits,
)
from wireside.settings.model import Settings

Connect = Callable[..., Awaitable[Any]]

PROGRAM = """
import asyncio, io, os, signal, sys, time
from wireside.server.run import ServedApplication, run_server
from wireside.settings.model import Settings

mode = sys.argv[1]

class App:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("lifespan ends", flush=True)
            while mode == "stubborn":
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] == "http":
            if mode == "hung":
                print("hangs", flush=True)
            while mode == "hung":
                time.sleep(0.1)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0.01)
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            while message.get("text") == "flood":
                await send({"type": "websocket.send", "text": "x" * 10000})
            await send({"type": "websocket.send", "text": "echo"})
        print("closed", message["code"], flush=True)

class Application(ServedApplication):
    cut = None

    def announce_stop(self):
        print("not ready", flush=True)

    async def move_clients(self, within_s):
        print("moving", flush=True)

    def cut_drain_short(self):
        print("cut short", flush=True)
        self.cut.set()

    async def drain(self):
        print("draining", flush=True)
        self.cut = asyncio.Event()
        try:
            await asyncio.wait_for(self.cut.wait(), 0.2 if mode == "polite" else 60)
        except TimeoutError:
            pass
        print("drained", flush=True)

class Interrupted(io.RawIOBase):
    # a signal arrives in the middle of a write
    def writable(self):
        return True

    def write(self, data):
        if b"not ready" in bytes(data):
            os.kill(os.getpid(), signal.SIGTERM)
        return os.write(1, data)

if mode == "interrupted":
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(Interrupted()), write_through=True)

notice_s = 30 if mode in ("noticed", "interrupted") else 0.5
replica = {"replicas": True, "drain_s": 30, "drain_notice_s": notice_s}
more = replica if mode in ("replica", "noticed", "interrupted") else {}
settings = Settings(port=0, shutdown_s=1, **more)
run_server(Application(App()), settings, on_listening=lambda url: print(url, flush=True))
print("returned", flush=True)
"""


class Process:
    """A server in its own process."""

    def __init__(self, mode: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WIRESIDE_")}
        self._popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, mode],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._popen.stdout is not None
        self.url = self._popen.stdout.readline().strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def lines(self) -> Iterator[str]:
        """Yield the lines of its output; at the end of the test the rest is ``output``."""
        assert self._popen.stdout is not None
        while line := self._popen.stdout.readline():
            yield line.strip()

    async def output(self) -> str:
        out, _ = await asyncio.to_thread(self._popen.communicate)
        return str(out)

    @property
    def status(self) -> int:
        return self._popen.returncode

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        if self._popen.stdout is not None:
            self._popen.stdout.close()


@pytest.fixture
async def start() -> AsyncIterator[Callable[[str], Process]]:
    started: list[Process] = []

    def start_one(mode: str) -> Process:
        started.append(Process(mode))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_drains_closes_with_1001_and_returns(
    start: Callable[[str], Process], number: int
) -> None:
    process = start("polite")
    async with websockets.connect(process.url.replace("http", "ws")) as client:
        await client.send("x")
        await client.recv()
        process.signal(number)
        await asyncio.sleep(0.1)
        await client.send("x")  # the server is draining: open connections are still served
        assert await client.recv() == "echo"
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert client.close_code == 1001
    out = await process.output()
    assert out.split("\n") == [
        "not ready",
        "draining",
        "drained",
        "closed 1001",
        "lifespan ends",
        "returned",
        "",
    ]
    assert process.status == 0


async def test_nobody_new_is_taken_while_it_drains(start: Callable[[str], Process]) -> None:
    process = start("polite")
    process.signal(signal.SIGTERM)
    with pytest.raises((OSError, websockets.InvalidMessage)):
        while True:  # the server notices the signal within 0.1 s
            await (await websockets.connect(process.url.replace("http", "ws"))).close()


@pytest.mark.slow
async def test_whoever_hangs_the_stop_is_bounded(
    start: Callable[[str], Process], connect: Connect
) -> None:
    """Shutdown takes a bounded time, whatever hangs.

    A drain without end, a reader that never reads, an incomplete request, an endless response, and
    a lifespan that swallows its cancellation: the process ends within shutdown_s + 5 s.
    """
    process = start("stubborn")
    stalled = await connect(process.port, small_buffer=True)
    await stalled.upgrade()
    stalled.send(1, b"flood")
    half = await connect(process.port)
    half.writer.write(b"GET / HT")
    endless = await connect(process.port)
    endless.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await endless.status()
    process.signal(signal.SIGTERM)
    began = time.monotonic()
    out = await process.output()
    # a bound against hanging, with a margin for slow machines
    assert time.monotonic() - began < 6 + 1
    assert "draining" in out
    assert "drained" not in out
    assert "lifespan ends" in out


@pytest.mark.slow
async def test_an_event_loop_that_hangs_ends_after_a_signal(
    start: Callable[[str], Process], connect: Connect
) -> None:
    process = start("hung")
    client = await connect(process.port)
    client.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await asyncio.to_thread(next, process.lines()) == "hangs"
    process.signal(signal.SIGTERM)
    assert "not ready" not in await process.output()
    assert process.status == 130


async def test_one_of_several_listens_until_proxies_know_and_moves_its_clients(
    start: Callable[[str], Process],
) -> None:
    """A second signal, also of another kind, ends the wait for answers, but in order."""
    process = start("replica")
    process.signal(signal.SIGTERM)
    lines = iter(process.lines())
    assert await asyncio.to_thread(next, lines) == "not ready"
    async with websockets.connect(process.url.replace("http", "ws")) as client:
        assert [await asyncio.to_thread(next, lines) for _ in range(2)] == ["moving", "draining"]
        with pytest.raises(OSError):
            await websockets.connect(process.url.replace("http", "ws"))
        await client.send("x")
        assert await client.recv() == "echo"
        process.signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
    out = await process.output()
    assert "cut short\ndrained\nclosed 1001\nlifespan ends\nreturned" in out
    assert process.status == 0


async def test_a_signal_in_the_middle_of_a_log_line_stops_in_order(
    start: Callable[[str], Process],
) -> None:
    """The handler of a signal may not write: the stream is in use."""
    process = start("interrupted")
    process.signal(signal.SIGTERM)
    out = await process.output()
    assert "not ready\n" in out
    assert "cut short\ndrained\nlifespan ends\nreturned" in out
    assert process.status == 0


async def test_a_second_signal_ends_the_notice_too(start: Callable[[str], Process]) -> None:
    process = start("noticed")
    process.signal(signal.SIGTERM)
    lines = iter(process.lines())
    assert await asyncio.to_thread(next, lines) == "not ready"
    process.signal(signal.SIGINT)
    assert "cut short" in await process.output()
    assert process.status == 0


async def test_a_second_interrupt_ends_at_once(start: Callable[[str], Process]) -> None:
    process = start("stubborn")
    process.signal(signal.SIGINT)
    await asyncio.sleep(0.3)
    process.signal(signal.SIGINT)
    out = await process.output()
    assert "lifespan ends" not in out
    assert process.status == 130


async def _app(*_: object) -> None:
    raise AssertionError("must not be called")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_only_loopback_is_served_without_sign_in(host: str) -> None:
    with pytest.raises(CannotServe, match=r"WIRESIDE_HOST=127\.0\.0\.1"):
        run_server(ServedApplication(_app), Settings(host=host, port=0), on_listening=print)


def test_a_port_in_use_is_told(unused_tcp_port: int) -> None:
    with (
        socket.create_server(("127.0.0.1", unused_tcp_port)),
        pytest.raises(CannotServe, match="WIRESIDE_PORT"),
    ):
        run_server(ServedApplication(_app), Settings(port=unused_tcp_port), on_listening=print)


def test_every_limit_comes_from_the_settings() -> None:
    settings = Settings(
        handshake_s=1,
        ping_interval_s=2,
        ping_timeout_s=3,
        stalled_s=4,
        max_frame_bytes=5000,
        control_frames_per_second=6,
        fragments_per_message=7,
        debug_cut_s=8,
    )
    limits = socket_limits(settings)
    assert (limits.handshake_s, limits.ping_interval_s, limits.ping_timeout_s) == (1, 2, 3)
    assert (limits.stalled_s, limits.max_frame_bytes, limits.cut_s) == (4, 5000, 8)
    assert (limits.control_frames_per_second, limits.fragments_per_message) == (6, 7)
    assert limits.tick_s == 0.25


OWNED = """
import asyncio, gc, json, os, resource, signal, sys
from wireside.server.run import ServedApplication, run_server
from wireside.settings.model import Settings

steps = []

async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    for kind in ("startup", "shutdown"):
        await receive()
        steps.append(kind)
        await send({"type": f"lifespan.{kind}.complete"})

class Application(ServedApplication):
    async def prepare(self):
        steps.append("prepare")

    async def wait_until_warm(self):
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)

    async def drain(self):
        steps.append("drain")
        handler = asyncio.get_running_loop().get_exception_handler()
        print(json.dumps({
            "handler": handler and handler.__module__,
            "gc": gc.isenabled(),
            "is frozen": gc.get_freeze_count() > 0,
            "switch interval": sys.getswitchinterval(),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        }))

gc.disable()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
run_server(Application(app), Settings(port=0, shutdown_s=1), on_listening=lambda _: None)
print(json.dumps(steps))
"""


def test_the_process_is_configured_for_the_server() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WIRESIDE_")}
    out = subprocess.check_output([sys.executable, "-c", OWNED], text=True, env=environment)
    process, steps = map(json.loads, out.splitlines())
    assert steps == ["prepare", "startup", "drain", "shutdown"]
    assert process.pop("files") > 256
    assert process == {
        "handler": "wireside.server.run",
        "gc": True,
        "is frozen": True,
        "switch interval": SWITCH_S,
    }


HEAP = """
import ctypes
from wireside.server.run import _give_large_blocks_back

names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
class Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in names]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Heap
_give_large_blocks_back()
bytes(20_000_000)  # freed at once: glibc would keep blocks up to this size from here on
before = mallinfo().hblkhd
large = bytes(10_000_000)
print(mallinfo().hblkhd - before)
del large
print(mallinfo().hblkhd - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc")
def test_large_blocks_go_back_to_the_system_also_after_a_larger_one() -> None:
    done = subprocess.run([sys.executable, "-c", HEAP], capture_output=True, text=True, check=True)
    mapped, left = map(int, done.stdout.split())
    assert mapped >= 10_000_000
    assert left == 0
