"""Which connections a worker passes to another one, and that they live on there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from wireside.server.handover import MAX_HEAD_BYTES, HandOver

Pair = tuple[HandOver, HandOver, "asyncio.Queue[tuple[socket.socket, bytes]]", list[str]]

PAGE = b"GET /c/1 HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nCookie: wireside_replica=%b\r\n\r\n"
SOCKET = (
    b"GET /tools/_nicegui_ws/socket.io?x=1 HTTP/1.1\r\n"
    b"Cookie: a=b; wireside_replica=two\r\nUpgrade: websocket\r\n\r\n"
)
SCRAPE = b"GET /metrics HTTP/1.1\r\nAccept: */*\r\nCookie: wireside_replica=two\r\n\r\n"
POLL = b"POST /_nicegui_ws/socket.io HTTP/1.1\r\nCookie: wireside_replica=two\r\n\r\n2probe"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    taken: asyncio.Queue[tuple[socket.socket, bytes]] = asyncio.Queue()
    ended: list[str] = []

    async def take(connection: socket.socket, data: bytes) -> None:
        await taken.put((connection, data))

    one, two = HandOver("one", tmp_path), HandOver("two", tmp_path)
    for door in (one, two):
        door.open(take, ended.append)
    yield one, two, taken, ended
    await asyncio.sleep(0)
    for door in (one, two):
        door.aclose()
    await asyncio.sleep(0)
    while not taken.empty():
        taken.get_nowait()[0].close()


class Transport:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def get_extra_info(self, name: str) -> Any:
        return self._connection


def passes(door: HandOver, data: bytes) -> bool:
    mine, client = socket.socketpair()
    with mine, client:
        return door.pass_on(data, cast("asyncio.Transport", Transport(mine)))


@pytest.mark.parametrize("data", [PAGE % b"two", SOCKET, SCRAPE, POLL])
async def test_a_connection_lives_on_in_the_worker_of_its_page(pair: Pair, data: bytes) -> None:
    one, _, taken, _ = pair
    mine, client = socket.socketpair()
    with client:
        assert one.pass_on(data, cast("asyncio.Transport", Transport(mine)))
        mine.close()
        connection, read = await taken.get()
        assert read == data
        with connection:
            connection.send(b"served there")
        assert client.recv(100) == b"served there"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PAGE % b"one", id="its own page"),
        pytest.param(PAGE % b"gone", id="a worker that is not there"),
        pytest.param(PAGE % b"supervisor", id="no worker"),
        pytest.param(PAGE % b"../two", id="a path"),
        pytest.param(PAGE.replace(b"text/html", b"*/*") % b"two", id="no page"),
        pytest.param(PAGE.replace(b"GET", b"PUT") % b"two", id="no page either"),
        pytest.param(SCRAPE.replace(b"/metrics", b"/api/me?x=/metrics"), id="no metrics"),
        pytest.param((PAGE % b"two")[:-2], id="an unfinished head"),
        pytest.param((PAGE % b"two") + b"x" * MAX_HEAD_BYTES, id="too large"),
        pytest.param(b"GET / HTTP/1.1\r\nAccept: text/html\r\n\r\n", id="a first visit"),
    ],
)
async def test_all_others_are_served_where_they_are(pair: Pair, data: bytes) -> None:
    assert not passes(pair[0], data)


async def test_a_worker_that_stops_gets_no_more(pair: Pair) -> None:
    one, two, _, _ = pair
    two.close()
    assert not passes(one, SOCKET)


async def test_a_full_queue_is_no_error(pair: Pair) -> None:
    one = pair[0]
    results = [passes(one, SOCKET) for _ in range(20_000)]  # the loop does not run meanwhile
    assert results[0]
    assert not results[-1]
    for _ in range(sum(results)):
        (await pair[2].get())[0].close()


async def test_reports_of_the_supervisor(pair: Pair, tmp_path: Path) -> None:
    _, _, _, ended = pair
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        for report in (b"{", b'{"other": 1}', b'{"ended": "one"}'):
            supervisor.sendto(report, str(tmp_path / "two"))
    while not ended:
        await asyncio.sleep(0.001)
    assert ended == ["one"]
