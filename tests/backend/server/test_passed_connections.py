"""Connections that one worker passes to another one, as the server sees them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.served_app import Connect, EchoApp, Serve
from wireside.server.handover import HandOver
from wireside.server.http import HttpConnection
from wireside.server.limits import SocketConfig, SocketLimits
from wireside.server.run import DrainTimes, WiresideServer
from wireside.server.websocket import WebSocketConnection

ROUNDS = 20


def make_server(app: EchoApp, on_listening: asyncio.Event) -> WiresideServer:
    config = SocketConfig(
        app,
        SocketLimits(),
        http=HttpConnection,
        ws=WebSocketConnection,
        lifespan="on",
        log_config=None,
        access_log=False,
        interface="asgi3",
    )
    return WiresideServer(config, DrainTimes(answers_s=0.1), lambda _: on_listening.set())


async def post_in_two_parts(server: WiresideServer) -> bytes:
    """Return the response to a request whose body is in the kernel when its head is passed."""
    mine, client = socket.socketpair()
    mine.setblocking(False)
    client.setblocking(False)
    with closing(client):
        client.sendall(b"body")
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
        await server.serve_connection(mine, head)
        response = b""
        while not response.endswith(b"\r\n\r\nbody"):
            read = await asyncio.get_running_loop().sock_recv(client, 1000)
            if not read:
                break
            response += read
        return response


def test_bytes_in_the_kernel_follow_those_that_were_read_before() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def serve() -> list[bytes]:
        listening = asyncio.Event()
        server = make_server(EchoApp(), listening)
        listener = socket.create_server(("127.0.0.1", 0))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await listening.wait()
        try:
            return [await post_in_two_parts(server) for _ in range(ROUNDS)]
        finally:
            server.should_exit = True
            await running

    responses = uvloop.run(serve())
    assert [one.partition(b"\r\n")[0] for one in responses] == [b"HTTP/1.1 200 OK"] * ROUNDS


HEAD = (
    b"GET /_nicegui_ws/socket.io/?x HTTP/1.1\r\nHost: localhost\r\n"
    b"Cookie: other=" + b"x" * 100 + b"; wireside_replica=two\r\nUpgrade: websocket\r\n\r\n"
)
OWN = b"GET /own HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "reads"),
    [
        pytest.param(b"", [HEAD], id="at once"),
        pytest.param(b"", [HEAD[:1], HEAD[1:80], HEAD[80:]], id="in three reads"),
        pytest.param(b"", [HEAD[:-1], HEAD[-1:]], id="the end in two reads"),
        pytest.param(OWN, [HEAD[:80], HEAD[80:]], id="after a request that was served here"),
    ],
)
async def test_a_head_is_passed_on_however_it_arrives(
    serve: Serve, echo: EchoApp, connect: Connect, tmp_path: Path, begin: bytes, reads: list[bytes]
) -> None:
    served = await serve(echo)
    passed: asyncio.Queue[tuple[socket.socket, bytes]] = asyncio.Queue()

    async def take(connection: socket.socket, data: bytes) -> None:
        await passed.put((connection, data))

    one, two = HandOver("one", tmp_path), HandOver("two", tmp_path)
    two.open(take, lambda _: None)
    config = served.server.config
    assert isinstance(config, SocketConfig)
    config.hand_over = one
    client = await connect(served.port)
    client.writer.write(begin)
    if begin:
        assert await client.status() == 200
    await served.until_connections(1)
    (connection,) = served.server.server_state.connections
    for read in reads:
        connection.data_received(read)
    taken, data = await passed.get()
    taken.close()
    assert data == HEAD
    await served.until_connections(0)
    assert echo.paths == (["/own"] if begin else [])
    one.aclose()
    two.aclose()
