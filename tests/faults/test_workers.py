"""``wireside serve --workers N``: several processes on one port, with a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx2
import psutil
import pytest
import socketio
from websockets.asyncio.client import connect

from tests.postgresql import PostgresServer
from tests.server_process import LONG_S, Refused, ServerProcess
from wireside.testing import FakeOpenAI

pytestmark = pytest.mark.timeout(240)

HTML = {"Accept": "text/html"}
WORKERS = 2


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = PostgresServer(lambda: tmp_path_factory.mktemp("pg"))
    yield server.address(server.template())
    server.stop()


def server_of(
    folder: Path, lab_url: str, database_url: str | None, **more: object
) -> ServerProcess:
    command = (sys.executable, "-m", "wireside", "serve", "--port", "0", "--workers", f"{WORKERS}")
    return ServerProcess(
        folder,
        lab_url,
        command=command,
        database_url=database_url,
        replica_name="here",
        drain_notice_s=0.2,
        messages_per_minute_address=1000,
        **more,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[ServerProcess]:
    """One supervisor for the tests below, in their order: a start takes many seconds of CPU."""
    folder = tmp_path_factory.mktemp("workers")
    with (
        FakeOpenAI(count=40, rate=100) as lab,
        server_of(folder, lab.url, database, drain_s=20) as running,
    ):
        yield running


def workers(server: ServerProcess) -> dict[str, psutil.Process]:
    """Return the running workers by name."""
    found = {}
    for child in server.process.children():
        with suppress(psutil.Error):  # it has ended
            found[child.environ()["WIRESIDE_REPLICA_NAME"]] = child
    return found


async def until_ready(server: ServerProcess, name: str, count: int) -> None:
    while len(re.findall(rf"worker_ready\W+worker={name}", server.log)) < count:
        await asyncio.sleep(0.05)


async def ask(url: str) -> str:
    """Ask a question at the raw socket; return the reason of its end."""
    async with connect(url, open_timeout=60) as client:  # a worker that starts takes all of a core
        await client.send(json.dumps({"type": "chat", "id": "q", "message": "hello"}))
        while (frame := json.loads(await client.recv()))["type"] not in ("done", "error"):
            pass
    return str(frame.get("reason"))


async def open_page(url: str, cookies: dict[str, str]) -> str:
    """Open a page and its socket, on new connections as a browser does; return its worker."""
    async with httpx2.AsyncClient(headers=HTML, cookies=cookies) as http:
        page = await http.get(f"{url}/")
    client_id = re.search(r'"client_id"\s*:\s*"([0-9a-f-]{36})', page.text)
    assert client_id is not None
    name = page.cookies["wireside_replica"]
    pages = socketio.AsyncClient(reconnection=False)
    query = f"client_id={client_id[1]}&implicit_handshake=true&next_message_id=0"
    await pages.connect(
        f"{url}?{query}&tab_id=t&document_id=d",
        headers={"Origin": url, "Cookie": f"wireside_replica={name}"},
        socketio_path="/_nicegui_ws/socket.io",
        transports=["websocket"],
    )
    await pages.disconnect()
    return name


async def test_pages_find_their_worker_and_a_killed_one_comes_back(server: ServerProcess) -> None:
    found = workers(server)
    assert sorted(found) == ["here-w1", "here-w2"]

    cookies: dict[str, str] = {}
    for _ in range(6):
        name = await open_page(server.url, cookies)
        assert cookies.get("wireside_replica", name) == name
        cookies = {"wireside_replica": name}
    other = ({*found} - {name}).pop()
    assert await open_page(server.url, {"wireside_replica": other}) == other
    assert await ask(server.socket_url) == "stop"

    found[name].kill()
    await asyncio.to_thread(found[name].wait, LONG_S)  # it accepts until it has ended
    while workers(server).get(name, found[name]).pid == found[name].pid:
        assert await ask(server.socket_url) == "stop"  # the others serve meanwhile
    assert await open_page(server.url, {"wireside_replica": "gone"}) in found
    await until_ready(server, name, 2)
    # at once, by the living one, or by its successor if that is faster
    assert re.search(rf"replica_(removed|replaced) .*replica={name}", server.log)
    assert await open_page(server.url, {"wireside_replica": name}) == name


async def test_sighup_replaces_each_and_refuses_no_connection(server: ServerProcess) -> None:
    before = {one.pid for one in workers(server).values()}
    server.process.send_signal(signal.SIGHUP)
    answered = 0
    while "workers_replaced" not in server.log:
        assert await ask(server.socket_url) == "stop"
        answered += 1
    assert answered
    after = {one.pid for one in workers(server).values()}
    assert len(after) == WORKERS
    assert not before & after


async def test_all_end_with_their_supervisor(server: ServerProcess) -> None:
    processes = list(workers(server).values())
    server.process.kill()
    await asyncio.to_thread(psutil.wait_procs, processes, 30)
    assert not any(one.is_running() and one.status() != "zombie" for one in processes)
    with closing(socket.socket()) as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


async def test_a_sqlite_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    server = server_of(tmp_path, "http://127.0.0.1:1/v1", None)
    with pytest.raises(Refused, match="WIRESIDE_DATABASE_URL=postgresql://") as refused:
        await asyncio.to_thread(server.start)
    assert refused.value.code == 2


async def test_a_database_that_is_not_there_ends_the_supervisor(tmp_path: Path) -> None:
    began = time.monotonic()
    url = "postgresql://u:p@127.0.0.1:1/none"
    server = server_of(tmp_path, "http://127.0.0.1:1/v1", url, wait_s=0)
    with pytest.raises(Refused, match="can't be reached") as refused:
        await asyncio.to_thread(server.start)
    assert refused.value.code == 1
    assert time.monotonic() - began < 60
