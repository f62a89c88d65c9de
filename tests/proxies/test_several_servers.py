"""Real proxies in front of two servers on one PostgreSQL database, as docs/proxies.md says."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import socketio
from websockets.asyncio.client import connect

from tests.postgresql import PostgresServer
from tests.proxies.kinds import (
    KINDS,
    Certificate,
    Proxy,
    documented_for_several,
    found,
    free_port,
)
from tests.server_process import ServerProcess
from wireside.client import AsyncClient
from wireside.doctor.fleet import check_stickiness
from wireside.testing import FakeOpenAI

pytestmark = pytest.mark.timeout(240)

PAGES = 3
CLIENTS = 4


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, ...]]:
    database = PostgresServer(lambda: tmp_path_factory.mktemp("pg"))
    folder, port = tmp_path_factory.mktemp("servers"), free_port()
    with FakeOpenAI(count=40, rate=100) as lab:
        running = [
            ServerProcess(
                folder / name,
                lab.url,
                database_url=database.address(database.template()),
                replicas=True,
                replica_name=name,
                public_url=f"https://localhost:{port}",
                drain_s=60,
                messages_per_minute_address=1000,
                command=(sys.executable, "-m", "wireside", "serve", "--port", f"{free_port()}"),
            )
            for name in ("chat-1", "chat-2")
        ]
        for server in running:
            server.start()
        yield tuple(running)
        for server in running:
            server.kill()  # a stop would wait for proxies that are gone
    database.stop()


@pytest.fixture
def proxy_of(
    tmp_path: Path,
    servers: tuple[ServerProcess, ...],
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    running: list[Proxy] = []

    def start(kind: str) -> Proxy:
        found(KINDS[kind].program)
        proxy = KINDS[kind](tmp_path, servers[0], certificate)
        proxy.port = int(servers[0].environment["WIRESIDE_PUBLIC_URL"].rpartition(":")[2])
        part = documented_for_several(proxy.language)
        for number, server in enumerate(servers, 1):
            part = part.replace(f"127.0.0.1:808{number}", f"127.0.0.1:{server.port}")
        running.append(proxy)
        proxy.start(lambda text: for_several(kind, text, part))
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.authority))
        return proxy

    yield start
    for proxy in running:
        proxy.stop()


def for_several(kind: str, text: str, part: str) -> str:
    """Return the configuration of a proxy with the part for several servers."""
    match kind:
        case "nginx":
            one = "proxy_pass http://127.0.0.1:8080;"
            assert one in text
            return part + text.replace(one, "proxy_pass http://$wireside;")
        case "HAProxy":
            return text.partition("\nbackend wireside\n")[0] + "\n" + part
        case "Caddy":
            one = "\treverse_proxy 127.0.0.1:8080\n"
            assert one in text
            return text.replace(one, part)
        case _:
            before, service, after = text.partition("    wireside:\n      loadBalancer:\n")
            assert service
            return before + part + "tls:" + after.partition("\ntls:")[2]


async def open_page(url: str) -> tuple[str, str]:
    """Open a page and its socket in a new browser; return the server of the page, and cookies."""
    async with httpx2.AsyncClient(headers={"Accept": "text/html"}, timeout=30) as http:
        page = await http.get(f"{url}/")
        cookies = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    client_id = re.search(r'"client_id"\s*:\s*"([0-9a-f-]{36})', page.text)
    assert client_id is not None
    query = f"client_id={client_id[1]}&implicit_handshake=true&next_message_id=0"
    pages = socketio.AsyncClient(reconnection=False, ssl_verify=False)
    await pages.connect(
        f"{url}?{query}&tab_id=t&document_id=d",
        headers={"Origin": url, "Cookie": cookies},
        socketio_path="/_nicegui_ws/socket.io",
        transports=["websocket"],
    )
    await pages.disconnect()
    return page.cookies["wireside_replica"], cookies


async def ask(url: str) -> str:
    async with connect(url.replace("http", "ws") + "/ws/ai-chat", open_timeout=30) as client:
        await client.send(json.dumps({"type": "chat", "id": "q", "message": "hello"}))
        while (frame := json.loads(await client.recv()))["type"] not in ("done", "error"):
            pass
    return str(frame.get("reason"))


@pytest.mark.parametrize("kind", KINDS)
async def test_pages_stay_at_their_server_and_sockets_go_anywhere(kind: str, proxy_of: Any) -> None:
    url = (await asyncio.to_thread(proxy_of, kind)).url
    for _ in range(PAGES):
        await open_page(url)
        assert await ask(url) == "stop"
    check = await check_stickiness(url)
    assert check.state == "ok", check


class Reader:
    """A client of level 2 that asks one question after another."""

    def __init__(self, url: str, conversation: str | None) -> None:
        self._url = url
        self._conversation = conversation
        self.reasons: list[str] = []
        self.lengths: list[int] = []

    async def ask_until(self, stop: asyncio.Event) -> None:
        async with AsyncClient(self._url) as client:
            while not stop.is_set():
                answer = client.ask("Tell a story", conversation=self._conversation)
                text = await answer.text()  # raises for an error
                self.reasons.append(str(answer.reason))
                self.lengths.append(len(text))


async def restart(server: ServerProcess) -> None:
    assert await asyncio.to_thread(server.stop) == 0
    await asyncio.to_thread(server.start)


async def test_no_answer_is_interrupted_and_no_client_sees_an_error(
    proxy_of: Any,
    servers: tuple[ServerProcess, ...],
) -> None:
    proxy = await asyncio.to_thread(proxy_of, "HAProxy")
    stop = asyncio.Event()
    readers = [Reader(proxy.url, ("new", None)[n % 2]) for n in range(CLIENTS)]
    reading = [asyncio.create_task(reader.ask_until(stop)) for reader in readers]
    try:
        while not all(reader.reasons for reader in readers):
            await asyncio.sleep(0.1)
        for server in servers:
            before = [len(reader.reasons) for reader in readers]
            await restart(server)
            while any(len(r.reasons) <= n for r, n in zip(readers, before, strict=True)):
                await asyncio.sleep(0.1)
                assert not any(task.done() for task in reading), [t for t in reading if t.done()]
    finally:
        stop.set()
        await asyncio.gather(*reading)
    assert {reason for reader in readers for reason in reader.reasons} == {"stop"}
    assert len({length for reader in readers for length in reader.lengths}) == 1


async def test_a_killed_server_is_left_and_its_answer_is_found_at_the_other(
    proxy_of: Any, servers: tuple[ServerProcess, ...]
) -> None:
    """The last test here: one of the servers is gone after it."""
    proxy = await asyncio.to_thread(proxy_of, "HAProxy")
    name, cookies = await open_page(proxy.url)
    (owner,) = (one for one in servers if one.environment["WIRESIDE_REPLICA_NAME"] == name)
    address = proxy.url.replace("http", "ws") + "/ws/ai-chat"
    async with connect(address, additional_headers={"Cookie": cookies}, open_timeout=30) as client:
        ask = {"type": "chat", "id": "q", "message": "/lab rate=5 hello", "conversation": "new"}
        await client.send(json.dumps(ask))
        stream = json.loads(await client.recv())["stream"]
        while (frame := json.loads(await client.recv()))["type"] != "chunk":
            pass
        owner.kill()
    resume = {"type": "resume", "id": "r", "stream": stream, "offset": frame["offset"]}
    last: dict[str, Any] = {}
    while last.get("reason") != "interrupted":  # until the other has removed the dead one
        await asyncio.sleep(0.2)
        async with connect(
            address, additional_headers={"Cookie": cookies}, open_timeout=30
        ) as client:
            await client.send(json.dumps(resume))
            while (last := json.loads(await client.recv()))["type"] not in ("done", "error"):
                pass
    assert (await open_page(proxy.url))[0] != name
