"""The doctor's checks of several servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from wireside.doctor.fleet import (
    check_files,
    check_fleet,
    check_stickiness,
    judge_connections,
    judge_replicas,
)
from wireside.records import Replica
from wireside.settings.model import Settings


def replica(name: str, version: str = "0.1.0") -> Replica:
    return Replica(id=f"id of {name} {version}", name=name, beat=1, version=version, started_at=0.0)


@pytest.mark.parametrize(
    ("found", "still", "state", "finding"),
    [
        ([replica("a"), replica("b")], [], "ok", "2: a 0.1.0, b 0.1.0"),
        ([replica("a"), replica("b", "0.2.0")], [], "warning", "b 0.2.0"),
        ([replica("a"), replica("a", "0.2.0")], [], "failed", "several have the name a"),
        ([replica("a"), replica("b")], [replica("b")], "failed", "no beat: b"),
    ],
)
def test_replicas_are_judged(
    found: Sequence[Replica], still: Sequence[Replica], state: str, finding: str
) -> None:
    check = judge_replicas(found, still)
    assert check.state == state
    assert finding in check.finding
    assert (check.remedy is None) == (state == "ok")


@pytest.mark.parametrize(("servers", "state"), [(8, "ok"), (9, "warning")])
def test_the_connections_of_all_servers_are_counted(servers: int, state: str) -> None:
    check = judge_connections(servers, limit=97)
    assert check.state == state
    assert check.finding == f"{servers} × 11 = {servers * 11} at most, of 97"
    assert (check.remedy is None) == (state == "ok")


async def test_a_server_alone_has_no_fleet() -> None:
    assert await check_fleet(Settings(), "http://127.0.0.1:1") == []


def test_files_of_one_machine_are_a_warning() -> None:
    assert check_files(Settings(replicas=True)).state == "warning"
    assert check_files(Settings(replicas=True, files_url="s3://bucket")).state == "ok"


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def balancer(servers: Sequence[str], *, is_sticky: bool) -> Serve:
    """Pages of servers in turn, or of the one that the cookie names."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        count += 1
        name = servers[count % len(servers)]
        wanted = head.partition("wireside_replica=")[2].partition("\r\n")[0]
        if is_sticky and wanted:
            name = wanted
        cookie = f"Set-Cookie: wireside_replica={name}; Path=/\r\n" if name else ""
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{cookie}\r\n".encode())
        writer.close()

    return serve


@pytest.mark.parametrize(
    ("servers", "is_sticky", "state", "finding"),
    [
        (["a", "b"], True, "ok", "6 requests of a page reach b"),
        (["a", "b"], False, "failed", "requests of a page of b also reach a"),
        ([""], False, "failed", "no cookie"),
    ],
)
async def test_stickiness_is_measured(
    servers: Sequence[str], is_sticky: bool, state: str, finding: str
) -> None:
    server = await asyncio.start_server(balancer(servers, is_sticky=is_sticky), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        check = await check_stickiness(f"http://127.0.0.1:{port}")
    assert check.state == state
    assert finding in check.finding


async def test_an_address_without_a_server_is_skipped(unused_tcp_port: int) -> None:
    check = await check_stickiness(f"http://127.0.0.1:{unused_tcp_port}")
    assert check.state == "skipped"
