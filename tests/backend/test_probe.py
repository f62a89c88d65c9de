"""The shell's probe and what it measures against, on real servers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wireside.api.doctor import FRAMES, LARGE_BYTES, SEATS_OF_ADDRESS
from wireside.diagnosis.judge import judge
from wireside.probe import BadAddress, address_of, probe
from wireside.testing import FakeOpenAI

Start = Callable[..., Any]


class Running:
    """A server in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.socket = url.replace("http", "ws") + "/ws/doctor"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Call with settings to start a server whose model is the fault lab."""
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(FakeOpenAI(count=20, rate=100))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "NICEGUI"))}

        async def run(**settings: str) -> Running:
            environment = {
                **kept,
                "OPENAI_BASE_URL": lab.url,
                "WIRESIDE_DATA_DIR": str(tmp_path / "data"),
                "WIRESIDE_LOG_LEVEL": "error",
                **settings,
            }
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wireside", "serve", "--port", "0"),
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
            )

            async def end() -> None:
                process.terminate()
                await process.wait()

            stack.push_async_callback(end)
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            return Running(process, line.split()[-1])

        yield run


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://chat.example.org/c/1?x=1", "https://chat.example.org"),
        ("chat.example.org", "https://chat.example.org"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, address: str) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "https://me:secret@x", "http://x:99999", "http://x:y"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress, match="is no address"):
        address_of(text)


async def test_a_server_without_anything_between_is_well(start: Start) -> None:
    server = await start()
    findings = judge(await probe(server.url, idle_s=1))
    assert {one.check: one.seen for one in findings if one.state != "ok"} == {}
    assert "seen by the server itself" in next(f.seen for f in findings if f.check == "Address")


async def test_with_accounts_a_key_is_needed_for_more_than_the_way_in(start: Start) -> None:
    server = await start(WIRESIDE_AUTH="password")
    findings = {one.check: one for one in judge(await probe(server.url, idle_s=1))}
    assert [one for one in findings.values() if one.state == "failed"] == []
    assert findings["Upgrade"].state == "ok"
    assert "--key" in findings["Host and Origin"].seen
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for method, path in (
            ("GET", "/api/doctor/echo"),
            ("GET", "/api/doctor/stream"),
            ("GET", "/api/doctor/judge?measured={}"),
            ("POST", "/api/doctor/echo"),
            ("POST", "/api/doctor/large"),
            ("POST", "/api/doctor/judge"),
        ):
            assert (await http.request(method, path)).status_code == 401, path
        assert (await http.get("/doctor")).headers["location"].startswith("/login")
    with pytest.raises(InvalidStatus, match="401"):
        await connect(server.socket, proxy=None)


async def test_what_is_seen_holds_no_secret(start: Start) -> None:
    server = await start()
    headers = {"Cookie": "a=hush", "Authorization": "Bearer hush", "X-Api-Key": "hush"}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, headers=headers) as http:
        answer = await http.get("/api/doctor/echo", headers={"Via": "1.1 somebody"})
    assert answer.status_code == 200
    assert "hush" not in answer.text
    assert answer.json()["headers"] == {"via": "1.1 somebody"}
    assert answer.headers["cache-control"] == "no-store"


async def test_one_address_has_a_few_seats_and_gets_them_back(start: Start) -> None:
    server = await start()
    async with AsyncExitStack() as stack:
        for _ in range(SEATS_OF_ADDRESS):
            await stack.enter_async_context(connect(server.socket, proxy=None))
        with pytest.raises(InvalidStatus, match="429"):
            await connect(server.socket, proxy=None)
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            assert (await http.get("/api/doctor/stream")).status_code == 429
    async with connect(server.socket, proxy=None) as ws:
        assert json.loads(await ws.recv())["type"] == "seen"


async def test_the_doctors_socket_is_bounded(start: Start) -> None:
    server = await start()
    for frame in ("no json", "{}", '{"type": "silence", "seconds": 1e9}', '{"type": "silence"}'):
        async with connect(server.socket, proxy=None) as ws:
            await ws.recv()
            await ws.send(frame)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
    async with connect(server.socket, proxy=None) as ws:
        for _ in range(FRAMES + 1):
            await ws.send('{"type": "ping"}')
        frames = []
        with pytest.raises(ConnectionClosed, match="That is all"):
            while True:
                frames.append(json.loads(await ws.recv())["type"])
    assert frames == ["seen", *["pong"] * FRAMES]


async def test_silence_is_silence_even_of_pings(start: Start) -> None:
    server = await start(WIRESIDE_PING_INTERVAL_S="0.2", WIRESIDE_PING_TIMEOUT_S="0.2")
    heard: list[bytes] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[-1]))
    writer.write(
        b"GET /ws/doctor HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = b'{"type": "silence", "seconds": 3}'
    writer.write(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)  # the mask is zeros
    while b"over" not in b"".join(heard):
        heard.append(await reader.read(4096))
        assert heard[-1], "it was closed"
    writer.close()
    first, _, rest = b"".join(heard).partition(b'{"type": "seen"')
    assert first[:1] == b"\x81"
    assert not rest.endswith(b"\x89")
    assert rest.rpartition(b"}}")[2] == bytes([0x81, 16]) + b'{"type": "over"}'


async def test_measurements_are_judged_by_either_way_and_nonsense_is_refused(start: Start) -> None:
    server = await start()
    measured = asdict(await probe(server.url, idle_s=0.5))
    text = json.dumps(measured)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        posted = await http.post("/api/doctor/judge", content=text)
        asked = await http.get("/api/doctor/judge", params={"measured": text})
        assert posted.json() == asked.json()
        assert posted.json()["findings"][0]["check"] == "WebSocket"
        for nonsense in ("", "[]", "{}", '{"prober": "cat"}', "[" * 5000):
            assert (await http.post("/api/doctor/judge", content=nonsense)).status_code == 400
        assert (await http.post("/api/doctor/judge", content=b" " * 40_000)).status_code == 413
        large = await http.post("/api/doctor/large", content=b"0" * (LARGE_BYTES + 1))
        assert large.status_code == 413
