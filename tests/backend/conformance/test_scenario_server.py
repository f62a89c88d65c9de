"""The scenario server over sockets: its page, its failures, and naive clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.server_process import ServerProcess
from wireside.conformance.results import Result
from wireside.conformance.scenarios.catalogue import selected
from wireside.conformance.scenarios.server import ScenarioServer
from wireside.conformance.scenarios.stage import Stage

pytestmark = pytest.mark.slow


@asynccontextmanager
async def serving(*names: str) -> AsyncIterator[tuple[str, dict[str, Result]]]:
    """Serve scenarios; the results are complete at the end of the block."""
    results: dict[str, Result] = {}
    stage = Stage(selected(only=names), patience_s=1.0, settle_s=0.3)
    server = ScenarioServer(
        stage, lambda result: results.update({result.name: result}), goodbye_s=1
    )
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(server.run("127.0.0.1", 0, listening.set_result))
    yield await listening, results
    await asyncio.wait_for(task, 20)


def socket_url(url: str) -> str:
    return url.replace("http", "ws", 1) + "/ws/ai-chat"


async def frames(socket: ClientConnection) -> list[dict[str, Any]]:
    """Return the frames up to the end of an answer or of the connection."""
    found: list[dict[str, Any]] = []
    with contextlib.suppress(ConnectionClosed):
        async for text in socket:
            found.append(json.loads(text))
            if found[-1]["type"] in ("done", "error"):
                break
    return found


async def test_a_naive_client_gets_the_right_sentences() -> None:
    """It connects again at once, and asks again instead of resuming."""
    async with serving("cut-after-chunk") as (url, results):
        for _ in range(2):
            async with connect(socket_url(url), proxy=None) as socket:
                await socket.send('{"type": "chat", "id": "1", "message": "Hi"}')
                await frames(socket)
    (fault,) = results["cut-after-chunk"].faults
    assert "`resume` with the stream and the last offset" in fault.expected
    assert "without `key`: it would be answered twice" in fault.came


async def test_a_client_of_level_1_learns_what_it_misses() -> None:
    async with (
        serving("cut-after-chunk") as (url, results),
        connect(socket_url(url), proxy=None) as socket,
    ):
        await socket.send('{"type": "chat", "message": "Hi"}')
        assert {frame["type"] for frame in await frames(socket)} == {"chunk"}
    (fault,) = results["cut-after-chunk"].faults
    assert "level 1: its answer can't be resumed" in fault.came


async def test_a_client_that_hammers_is_named() -> None:
    async with serving("handshake-refused") as (url, results):
        request = '{"type": "chat", "id": "1", "key": "k", "message": "Hi"}'
        async with connect(socket_url(url), proxy=None) as socket:
            await socket.send(request)
            start, *_, last = await frames(socket)
        statuses = []
        while True:
            try:
                async with connect(socket_url(url), proxy=None) as socket:
                    resume = {"type": "resume", "id": "2", "stream": start["stream"]}
                    await socket.send(json.dumps({**resume, "offset": last["offset"]}))
                    assert (await frames(socket))[-1]["type"] == "done"
                    break
            except WebSocketException as error:
                statuses.append(str(error)[-3:])
        assert statuses == ["503", "503", "502"]
    assert results["closes-cleanly"].state == "passed"


async def test_a_frame_is_cut_in_its_middle_and_all_before_it_arrives() -> None:
    async with serving("cut-in-frame") as (url, results):
        async with connect(socket_url(url), proxy=None) as socket:
            await socket.send('{"type": "chat", "id": "1", "key": "k", "message": "Hi"}')
            found = await frames(socket)
        assert [frame["type"] for frame in found] == ["start", *["chunk"] * 3]
        assert socket.close_code == 1006
    assert results["cut-in-frame"].state == "failed"  # it did not come back


async def test_an_answer_can_be_cancelled() -> None:
    async with (
        serving("delays") as (url, results),
        connect(socket_url(url), proxy=None) as socket,
    ):
        await socket.send('{"type": "chat", "id": "1", "message": "Hi"}')
        await socket.send('{"type": "cancel", "id": "1"}')
        (done,) = await frames(socket)
        assert (done["type"], done["reason"]) == ("done", "cancelled")
    assert results["delays"].state == "passed"


async def test_the_page_says_what_to_do() -> None:
    async with serving("plain") as (url, _), httpx2.AsyncClient(trust_env=False) as http:
        page = (await http.get(url)).text
        assert "Ask any question" in page
        assert 'data-scenario="plain"' in page
        assert (await http.get(f"{url}/rows")).text in page
        assert (await http.get(f"{url}/other")).status_code == 404
        assert (await http.get(f"{url}/ws/ai-chat")).status_code == 426
        async with connect(socket_url(url), proxy=None) as socket:
            await socket.send('{"type": "chat", "id": "1", "message": "Hi"}')
            assert (await frames(socket))[-1]["type"] == "done"


def test_the_command_ends_with_a_report_when_it_is_stopped(tmp_path: Path) -> None:
    environment = ServerProcess(tmp_path).environment
    junit = tmp_path / "junit.xml"
    words = ["conformance", "--listen", "127.0.0.1:0", "--only", "plain", "--junit", str(junit)]
    with subprocess.Popen(
        [sys.executable, "-m", "wireside", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert "/ws/ai-chat" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        shown = process.stdout.read()
    assert process.returncode == 1  # nothing was shown
    assert "0 passed, 0 failed, 1 skipped" in shown
    assert 'skipped="1"' in junit.read_text("utf-8")
