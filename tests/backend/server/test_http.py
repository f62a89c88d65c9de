"""Plain HTTP: requests that never end, and readers that never read."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from wireside.errors import ResponseAborted
from wireside.server.http import PIPELINED, HttpConnection
from wireside.server.limits import SocketConfig, SocketLimits, reset_connection

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Awaitable[Any]]

REQUEST = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody"


def living(app: ASGIApp) -> ASGIApp:
    """An application that only responds, with a lifespan."""

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await app(scope, receive, send)

    return whole


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: localh",
        b"\r\n",
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbo",
        b"GET /ws/ai-chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n",
        REQUEST + b"GET / HT",
    ],
)
async def test_a_request_that_stops_is_aborted(
    serve: Serve, echo: Any, connect: Connect, begin: bytes
) -> None:
    served = await serve(echo, handshake_s=0.2)
    client = await connect(served.port)
    client.writer.write(begin)
    await client.until_gone()
    await served.until_connections(0)


async def test_bytes_now_and_then_do_not_make_a_request_longer(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, handshake_s=0.3)
    client = await connect(served.port)
    gone = asyncio.create_task(client.until_gone())
    while not gone.done():
        client.writer.write(b"\r\n" if not echo.paths else b"x")
        await asyncio.sleep(0.02)
    await served.until_connections(0)


class HandLoop:
    """The running event loop, with a clock that is set by hand."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class RecordingTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.mark.parametrize(("pause_s", "is_in_time"), [(0.4, True), (0.6, False)])
async def test_a_body_may_take_its_time_as_long_as_it_comes(
    echo: Any, pause_s: float, is_in_time: bool
) -> None:
    """100 bytes each time, where 240 per second are required."""
    config = SocketConfig(echo, SocketLimits(), lifespan="off", log_config=None)
    loop, transport, state = HandLoop(), RecordingTransport(), ServerState()
    connection = HttpConnection(config, state, {}, loop)  # type: ignore[arg-type]
    connection.connection_made(transport)
    connection.data_received(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n")
    for _ in range(100):
        loop.now += pause_s
        connection.enforce_limits(loop.now)
        connection.data_received(b"x" * 100)
        await asyncio.sleep(0)  # the application reads
    await asyncio.gather(*state.tasks)
    assert transport.is_aborted is not is_in_time
    assert transport.written.endswith(b"x" * 10_000) is is_in_time


async def test_a_body_may_not_come_in_drops(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo, handshake_s=0.3)
    client = await connect(served.port)
    client.writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 800\r\n\r\n")
    client.writer.write(b"x" * 500)  # a valid beginning makes no difference
    gone = asyncio.create_task(client.until_gone())
    while not gone.done():
        client.writer.write(b"x")
        await asyncio.sleep(0.05)
    await served.until_connections(0)


async def test_an_application_may_take_its_time(serve: Serve, connect: Connect) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.6)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    served = await serve(living(slow), handshake_s=0.2)
    client = await connect(served.port)
    client.writer.write(REQUEST)
    assert await client.status() == 204


async def test_an_aborted_response_ends_before_its_last_byte(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"some text", "more_body": True})
        raise ResponseAborted

    served = await serve(living(break_off))
    client = await connect(served.port)
    client.writer.write(REQUEST)
    assert await client.status() == 200
    assert await client.reader.read() == b"9\r\nsome text\r\n"  # no last chunk follows
    await served.until_connections(0)
    assert not caplog.records


@pytest.mark.slow
async def test_connections_are_kept_for_the_next_request(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, handshake_s=0.2)
    client = await connect(served.port)
    for _ in range(2):
        client.writer.write(REQUEST)
        assert await client.status() == 200
        assert await client.reader.readexactly(4) == b"body"
        await asyncio.sleep(0.5)  # idle, not late: uvicorn's keep-alive timeout applies here


@pytest.mark.slow
async def test_a_connection_that_rests_holds_nothing_of_its_last_request(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, handshake_s=0.3)
    client = await connect(served.port)
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            client.writer.write(REQUEST + b"\r\n")  # an empty line does not begin a request
            assert await client.status() == 200
            assert await client.reader.readexactly(4) == b"body"
            while served.server.server_state.tasks:
                await asyncio.sleep(0.01)
            assert not [o for o in gc.get_objects() if type(o) is RequestResponseCycle]
            (connection,) = served.server.server_state.connections
            assert (connection.scope, connection.headers) == (None, [])
            await asyncio.sleep(0.6)
    finally:
        gc.enable()


async def test_an_answer_before_the_end_of_the_body_leaves_the_connection_well(
    serve: Serve, connect: Connect
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    client = await connect((await serve(living(app))).port)
    for _ in range(3):
        client.writer.write(REQUEST[:-2])
        assert await client.status() == 200
        client.writer.write(REQUEST[-2:])


async def test_who_takes_nothing_of_a_response_is_freed(serve: Serve, connect: Connect) -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await asyncio.sleep(0, True)) and not served.is_done:
            await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
            served.is_done = served.connections == 0

    served = await serve(living(endless), stalled_s=0.3)
    served.is_done = False
    client = await connect(served.port, small_buffer=True)
    client.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.sleep(0.05)
    await served.until_connections(0)


UPGRADE = b"Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET * HTTP/1.1\r\n" + UPGRADE + b"\r\n",
        b"GET //[ HTTP/1.1\r\n" + UPGRADE + b"\r\n",
        b"GET a:b HTTP/1.1\r\n" + UPGRADE + b"\r\n",
        b"GET /\xff HTTP/1.1\r\n" + UPGRADE + b"\r\n",
        b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"\r\n",  # no key
        b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"Sec-WebSocket-Key: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"a" * 1000) * 400,
        b"GET /%s" % (b"a" * 400_000),
    ],
)
async def test_broken_requests_get_400(
    serve: Serve, echo: Any, connect: Connect, request_bytes: bytes
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    client.writer.write(request_bytes)
    assert await client.status() == 400
    client.abort()
    await served.until_connections(0)
    assert echo.paths == []


async def test_only_so_many_requests_wait_behind_another(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    """Each queued request costs kilobytes, and 9,000 fit into one read."""
    served = await serve(echo)
    client = await connect(served.port)
    client.writer.write(REQUEST * (PIPELINED + 1))
    for _ in range(PIPELINED + 1):
        assert await client.status() == 200
        assert await client.reader.readexactly(4) == b"body"
    client.writer.write(REQUEST * 500)
    await client.until_gone()
    await served.until_connections(0)
    assert len(echo.paths) <= PIPELINED + 3


async def test_an_answer_to_who_is_gone_fails_nowhere(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The request in progress receives the disconnect, not only the last one of a pipeline."""
    goes_on = asyncio.Event()
    ended: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await goes_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})
        ended.append(scope["path"])

    served = await serve(living(slow))
    client = await connect(served.port)
    client.writer.write(REQUEST * 500)
    await client.until_gone()
    await served.until_connections(0)
    goes_on.set()
    while not ended:
        await asyncio.sleep(0.01)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_one_address_has_only_so_many_tcp_connections(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, connections_per_address=3)
    clients = [await connect(served.port) for _ in range(3)]
    await served.until_connections(3)
    refused = await connect(served.port)
    assert await refused.status() == 429
    assert "too many connections" in await refused.message()
    assert await clients[0].upgrade() == 101  # WebSockets are counted separately
    again = await connect(served.port)
    again.writer.write(REQUEST)
    assert await again.status() == 200
    clients[1].abort()
    await served.until_connections(3)
    once_more = await connect(served.port)
    once_more.writer.write(REQUEST)
    assert await once_more.status() == 200


async def test_a_proxy_that_is_trusted_stands_for_many(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, connections_per_address=3, proxies=("127.0.0.1",))
    clients = [await connect(served.port) for _ in range(9)]
    for client in clients:
        client.writer.write(REQUEST)
    assert [await client.status() for client in clients] == [200] * 9


async def test_who_is_dropped_is_told_by_a_reset(serve: Serve, echo: Any, connect: Connect) -> None:
    """Otherwise the kernel would keep the unread data of a dead peer for minutes."""
    served = await serve(echo, stalled_s=0.4, closing_s=0.1, ping_interval_s=30)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    client.send(1, b"flood 3000")
    await served.until_connections(0)
    sock = client.writer.get_extra_info("socket")
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    assert state == 7  # CLOSE, although nothing was read


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [REQUEST, REQUEST[:-2], REQUEST * 5, REQUEST * (2 * PIPELINED + 2), b"GET / HT", b"?\r\n\r\n"],
    ids=["whole", "half a body", "five", "too many", "half a line", "broken"],
)
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_a_connection_that_is_gone_is_freed_without_the_collector(
    serve: Serve, echo: Any, connect: Connect, sent: bytes, is_reset: bool
) -> None:
    served = await serve(echo, ping_interval_s=0.2)  # checks connections every 0.05 s
    client = await connect(served.port)
    gc.collect()
    gc.disable()
    try:
        client.writer.write(sent)
        await asyncio.sleep(0.1)
        if is_reset:
            reset_connection(client.writer.transport)
        else:
            client.abort()
        while served.connections or served.server.server_state.tasks:
            await asyncio.sleep(0.01)
        kinds = (HttpConnection, RequestResponseCycle)
        for _ in range(40):  # with the collector off, only the last reference frees them
            await asyncio.sleep(0.05)
            if not any(type(o) in kinds for o in gc.get_objects()):
                break
        assert [o for o in gc.get_objects() if type(o) in kinds] == []
    finally:
        gc.enable()
