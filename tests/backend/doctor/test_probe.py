"""The command line's probe and the endpoint it measures against, on real servers."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server_process import ServerProcess
from wireside.api.routes.doctor import FRAMES, LARGE_BYTES, SEATS_OF_ADDRESS
from wireside.cli.main import app
from wireside.diagnosis.judge import run_checks
from wireside.diagnosis.measured import Measured
from wireside.doctor.probe import BadAddress, address_of, probe
from wireside.testing import FakeOpenAI

Start = Callable[..., "Running"]

# one server for most of them
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("probe")]


class Running(ServerProcess):
    @property
    def doctor(self) -> str:
        return self.url.replace("http", "ws") + "/ws/doctor"


@pytest.fixture(scope="module")
def lab() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(count=20, rate=100) as running:
        yield running


@pytest.fixture(scope="module")
def server(lab: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("server"), lab.url, log_level="error") as running:
        yield running


@pytest.fixture
def start(lab: FakeOpenAI, tmp_path: Path) -> Iterator[Start]:
    """Call with settings to start a server for one test."""
    with ExitStack() as stack:

        def run(**settings: Any) -> Running:
            server = Running(tmp_path, lab.url, log_level="error", **settings)
            return stack.enter_context(server)

        yield run


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://chat.example.org/c/1?x=1", "https://chat.example.org"),
        ("chat.example.org", "https://chat.example.org"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://example.org/tools/chat/", "https://example.org/tools/chat"),
        ("https://example.org/tools/chat/doctor", "https://example.org/tools/chat"),
        ("https://example.org/tools/chat/c/1?turn=2", "https://example.org/tools/chat"),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, address: str) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "https://me:secret@x", "http://x:99999", "http://x:y"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress, match="is not an HTTP URL"):
        address_of(text)


async def test_a_server_without_anything_between_is_well(server: Running) -> None:
    findings = run_checks(await probe(server.url, idle_s=1))
    assert {one.check: one.seen for one in findings if one.state != "ok"} == {}
    assert "seen by the server itself" in next(f.seen for f in findings if f.check == "Address")


async def test_with_accounts_a_key_is_needed_for_more_than_the_way_in(start: Start) -> None:
    server = start(auth="password")
    findings = {one.check: one for one in run_checks(await probe(server.url, idle_s=1))}
    assert [one for one in findings.values() if one.state == "failed"] == []
    assert findings["Upgrade"].state == "ok"
    assert "--key" in findings["Host and Origin"].seen
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
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
        await connect(server.doctor, proxy=None)


async def test_what_is_seen_holds_no_secret(server: Running) -> None:
    headers = {"Cookie": "a=hush", "Authorization": "Bearer hush", "X-Api-Key": "hush"}
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, headers=headers) as http:
        answer = await http.get("/api/doctor/echo", headers={"Via": "1.1 somebody"})
    assert answer.status_code == 200
    assert "hush" not in answer.text
    assert answer.json()["headers"] == {"via": "1.1 somebody"}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_proxy_of_a_network_that_is_trusted_is_believed(start: Start) -> None:
    server = start(trusted_proxies="127.0.0.0/8")
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
        answer = await http.get("/api/doctor/echo", headers={"X-Forwarded-For": "127.0.0.9"})
    seen = answer.json()
    assert (seen["client"], seen["is_peer_trusted"]) == ("127.0.0.9", True)


async def test_one_address_has_a_few_seats_and_gets_them_back(server: Running) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(SEATS_OF_ADDRESS):
            await stack.enter_async_context(connect(server.doctor, proxy=None))
        with pytest.raises(InvalidStatus, match="429"):
            await connect(server.doctor, proxy=None)
        async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
            assert (await http.get("/api/doctor/stream")).status_code == 429
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
        while (await http.get("/api/doctor/stream")).status_code == 429:
            await asyncio.sleep(0.05)  # the server learns of the last close a moment later


async def test_the_doctors_socket_is_bounded(server: Running) -> None:
    for frame in ("no json", "{}", '{"type": "silence", "seconds": 1e9}', '{"type": "silence"}'):
        async with connect(server.doctor, proxy=None) as ws:
            await ws.recv()
            await ws.send(frame)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
    async with connect(server.doctor, proxy=None) as ws:
        for _ in range(FRAMES + 1):
            await ws.send('{"type": "ping"}')
        frames = []
        with pytest.raises(ConnectionClosed, match="That is all"):
            while True:
                frames.append(json.loads(await ws.recv())["type"])
    assert frames == ["seen", *["pong"] * FRAMES]


async def test_silence_is_silence_even_of_pings(start: Start) -> None:
    server = start(ping_interval_s=0.2, ping_timeout_s=0.2)
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


async def test_measurements_are_judged_by_either_way_and_nonsense_is_refused(
    server: Running,
) -> None:
    measured = asdict(await probe(server.url, idle_s=0.5))
    text = json.dumps(measured)
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
        posted = await http.post("/api/doctor/judge", content=text)
        asked = await http.get("/api/doctor/judge", params={"measured": text})
        assert posted.json() == asked.json()
        assert posted.json()["findings"][0]["check"] == "WebSocket"
        for nonsense in ("", "[]", "{}", '{"prober": "cat"}', "[" * 5000):
            assert (await http.post("/api/doctor/judge", content=nonsense)).status_code == 400
        assert (await http.post("/api/doctor/judge", content=b" " * 40_000)).status_code == 413
        large = await http.post("/api/doctor/large", content=b"0" * (LARGE_BYTES + 1))
        assert large.status_code == 413


def test_the_command_fails_with_what_was_found_and_tells_a_wrong_address() -> None:
    runner = CliRunner()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = runner.invoke(app, ["doctor", f"http://127.0.0.1:{port}"])
    assert found.exit_code == 1
    assert "no server listens on this port" in found.output
    assert runner.invoke(app, ["doctor", "ftp://chat.example.org"]).exit_code == 2


def test_the_key_is_read_from_standard_input_and_never_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[str | None] = []

    async def measure(url: str, *, key: str | None, **_: object) -> Measured:
        given.append(key)
        return Measured(prober="shell", asked=url)

    monkeypatch.setattr("wireside.doctor.probe.probe", measure)
    done = CliRunner().invoke(app, ["doctor", "https://x.example", "--key", "-"], input="hush\n")
    assert given == ["hush"]
    assert "hush" not in done.output
