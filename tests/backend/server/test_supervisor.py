"""The supervisor with workers that are small programs: no server, no database."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from wireside.server.supervisor import Supervisor

PROGRAM = """
import os, signal, socket, sys, time
from wireside.server.worker import Worker

worker = Worker.from_environment(os.environ)
if os.environ["MODE"] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
name = os.environ["WIRESIDE_REPLICA_NAME"]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
    door.bind(str(worker.folder / name))
    worker.report_beat(name, f"id-of-{os.getpid()}")
    worker.report_ready(name, "http://x", None)
    if os.environ["MODE"] == "beating":
        while True:
            worker.report_beat(name, None)
            time.sleep(0.1)
    while True:
        print(name, "received", door.recv(1000).decode(), flush=True)
"""


class Fleet:
    """A supervisor that runs, its workers and what it has logged."""

    def __init__(
        self, folder: Path, logged: list[Any], *, mode: str = "polite", silence_s: float = 1000
    ) -> None:
        self.program = folder / "python"
        self.add_program()
        self.logged = logged
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._others = set(psutil.Process().children())
        """Children of this process that are not the fleet's, such as the fork server."""
        self._supervisor = Supervisor(
            [str(self.program), "-c", PROGRAM],
            2,
            name="m",
            listeners=[self._listener],
            environment={**os.environ, "MODE": mode},
            stop_s=1.0 if mode == "stubborn" else 60.0,
            silence_s=silence_s,
            on_ready=lambda *_: None,
        )
        self.running = asyncio.create_task(self._supervisor.run())

    def add_program(self) -> None:
        self.program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        self.program.chmod(0o755)

    def worker(self, name: str) -> psutil.Process | None:
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if child.environ().get("WIRESIDE_REPLICA_NAME") == name:
                    return child
        return None

    def kill(self, name: str) -> None:
        process = self.worker(name)
        assert process is not None
        process.kill()

    async def until_logged(self, event: str, count: int = 1, **values: object) -> None:
        wanted = {"event": event, **values}.items()
        async with asyncio.timeout(30):
            while sum(wanted <= one.items() for one in self.logged) < count:
                await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        for child in set(psutil.Process().children()) - self._others:
            child.kill()
        if not self.running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            await asyncio.wait([self.running])
        self._listener.close()


Start = Callable[..., Fleet]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    fleets: list[Fleet] = []

    def start_one(**options: Any) -> Fleet:
        fleets.append(Fleet(tmp_path, logged, **options))
        return fleets[-1]

    with structlog.testing.capture_logs() as logged:
        yield start_one
        for fleet in fleets:
            await fleet.aclose()


async def until_in_back_off(fleet: Fleet) -> None:
    """Kill a worker twice: its third process is started after a second."""
    for count in (1, 2):
        await fleet.until_logged("worker_ready", count, worker="m-w1")
        await fleet.until_logged("worker_ready", worker="m-w2")
        fleet.kill("m-w1")
    await fleet.until_logged("worker_ended", 2, worker="m-w1")


async def test_a_worker_in_its_back_off_does_not_block_a_restart(start: Start) -> None:
    fleet = start()
    await until_in_back_off(fleet)
    for count in (1, 2):  # the first one leaves nothing behind that blocks the next one
        os.kill(os.getpid(), signal.SIGHUP)
        await fleet.until_logged("workers_replaced", count)
    assert fleet.worker("m-w1") is not None


async def test_a_worker_that_does_not_end_is_killed_and_replaced(start: Start) -> None:
    fleet = start(mode="stubborn")
    await fleet.until_logged("worker_ready", worker="m-w2")
    os.kill(os.getpid(), signal.SIGHUP)
    await fleet.until_logged("workers_replaced")
    assert [one["worker"] for one in fleet.logged if one["event"] == "worker_killed"] == [
        "m-w1",
        "m-w2",
    ]


async def test_a_worker_that_cannot_be_started_is_tried_again(start: Start) -> None:
    fleet = start()
    for name in ("m-w1", "m-w2"):
        await fleet.until_logged("worker_ready", worker=name)
    other = fleet.worker("m-w2")
    fleet.program.unlink()  # as during an upgrade
    fleet.kill("m-w1")
    await fleet.until_logged("worker_not_started", worker="m-w1")
    fleet.add_program()
    await fleet.until_logged("worker_ready", 2, worker="m-w1")
    assert fleet.worker("m-w2") == other


async def test_a_first_worker_that_cannot_be_started_ends_the_supervisor(start: Start) -> None:
    fleet = start()
    fleet.program.unlink()
    await fleet.until_logged("worker_not_started", worker="m-w1")
    async with asyncio.timeout(30):
        assert await fleet.running == 1


async def test_a_dead_worker_is_reported_by_its_replica_id(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    fleet = start()
    for name in ("m-w1", "m-w2"):
        await fleet.until_logged("worker_ready", worker=name)
    dead = fleet.worker("m-w1")
    assert dead is not None
    dead.kill()
    output = ""
    async with asyncio.timeout(30):
        while "received" not in output:
            output += capfd.readouterr().out
            await asyncio.sleep(0.01)
    assert output == f'm-w2 received {{"ended": "id-of-{dead.pid}"}}\n'


@pytest.mark.slow
async def test_a_worker_without_a_beat_is_killed_and_started_again(start: Start) -> None:
    fleet = start(mode="beating", silence_s=6)
    for name in ("m-w1", "m-w2"):
        await fleet.until_logged("worker_ready", worker=name)
    hung = fleet.worker("m-w1")
    assert hung is not None
    hung.suspend()
    await fleet.until_logged("worker_hangs", worker="m-w1")
    await fleet.until_logged("worker_ready", 2, worker="m-w1")
    assert not hung.is_running()
    assert not [one for one in fleet.logged if one == {"event": "worker_hangs", "worker": "m-w2"}]
