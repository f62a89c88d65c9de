"""WebSocket connections over real sockets: which input they accept, and what closes them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import re
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets
from starlette.types import Receive, Scope, Send
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.protocol import Protocol

from wireside.server.compression import MIN_COMPRESSED_BYTES
from wireside.server.http import HttpConnection
from wireside.server.websocket import (
    JOINED_BYTES,
    LAST_READS,
    SLICE_BYTES,
    UNSENT_BYTES,
    WebSocketConnection,
)

BINARY, CLOSE, CONT, PING, PONG, TEXT = 2, 8, 0, 9, 10, 1

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Awaitable[Any]]


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, packed: bool = False) -> bytes:
    """Return a client's frame, masked with zeros."""
    head = (0x80 if fin else 0) | (0x40 if packed else 0) | opcode
    return struct.pack("!BBQL", head, 0xFF, len(data), 0) + data


def deflated(size: int) -> bytes:
    """Return ``size`` zeros as permessage-deflate encodes them."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_of_all_sizes_go_both_ways(
    serve: Serve, echo: Any, compression: Any
) -> None:
    served = await serve(echo)
    async with websockets.connect(served.url, compression=compression) as client:
        for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536, 200_000):
            text = (os.urandom(size // 2 + 1).hex() + "ü")[-size:] if size else ""
            await client.send(text)
            assert await client.recv() == text
    assert client.close_code == 1000
    await served.until_connections(0)
    assert echo.disconnects == [1000]


async def test_fragments_make_one_message(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    assert await client.upgrade() == 101
    client.send(TEXT, b"a\xc3", fin=False)
    client.send(PING, b"between")
    client.send(CONT, b"", fin=False)
    client.send(CONT, b"\xbcb")
    assert await client.receive() == (PONG, b"between")
    assert await client.receive() == (TEXT, "aüb".encode())


async def test_a_close_between_two_fragments_is_a_close_like_any_other(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    await client.upgrade()
    client.send(TEXT, b"begun", fin=False)
    client.send(CLOSE, b"\x03\xe8bye")
    client.send(CONT, b"too late")
    assert await client.receive() == (CLOSE, b"\x03\xe8bye")
    await client.until_gone()
    await served.until_connections(0)
    assert (echo.disconnects, echo.received) == ([1000], [])


async def test_a_binary_frame_reaches_the_application(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    await client.upgrade()
    client.send(BINARY, b"\x00\xff")
    await client.receive()
    assert echo.received == [{"type": "websocket.receive", "bytes": b"\x00\xff"}]


async def test_frames_sent_with_the_handshake_are_not_lost(serve: Serve, connect: Connect) -> None:
    release = asyncio.Event()

    async def slow_to_accept(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        await release.wait()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    served = await serve(slow_to_accept)
    client = await connect(served.port)
    opening = asyncio.create_task(client.upgrade())
    await asyncio.sleep(0.05)
    client.send(TEXT, b"early")
    await asyncio.sleep(0.05)
    release.set()
    assert await opening == 101
    assert await client.receive() == (TEXT, b"early")


async def test_many_frames_in_one_write_arrive_in_order(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    await client.upgrade()
    count = 3000
    for number in range(count):
        client.send(TEXT, b"%d" % number)
    for number in range(count):
        assert await client.receive() == (TEXT, b"%d" % number)


async def test_input_waits_in_the_socket_while_the_application_is_busy(
    serve: Serve, connect: Connect
) -> None:
    """A flood of tiny messages is not parsed into memory before the application receives it."""
    release = asyncio.Event()

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        await release.wait()

    served = await serve(busy)
    client = await connect(served.port)
    await client.upgrade()
    client.writer.write(bytes((0x81, 0x80, 0, 0, 0, 0)) * 30_000)
    await asyncio.sleep(0.2)
    (connection,) = served.server.server_state.connections
    assert 0 < len(connection._inbox) <= SLICE_BYTES  # frames of 6 bytes; far from 30,000
    release.set()


async def test_what_is_sent_in_one_turn_arrives_whole_and_in_order(
    serve: Serve, connect: Connect
) -> None:
    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        for number in range(5000):
            await send({"type": "websocket.send", "text": str(number) * 10})
        await send({"type": "websocket.send", "bytes": b"last"})
        await send({"type": "websocket.close", "code": 4000})

    served = await serve(hasty)
    client = await connect(served.port)
    await client.upgrade()
    for number in range(5000):
        assert await client.receive() == (TEXT, str(number).encode() * 10)
    assert await client.receive() == (BINARY, b"last")
    assert await client.close_code() == 4000


# Limits


async def test_a_ping_flood_is_cut(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo, control_frames_per_second=50)
    client = await connect(served.port)
    await client.upgrade()
    for _ in range(5000):
        client.send(PING)
    await client.until_gone()
    await served.until_connections(0)
    assert echo.disconnects == [1006]


async def test_pings_within_the_limit_are_answered(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, control_frames_per_second=50)
    client = await connect(served.port)
    await client.upgrade()
    for number in range(50):
        client.send(PING, b"%d" % number)
    for number in range(50):
        assert await client.receive() == (PONG, b"%d" % number)


async def test_a_flood_of_pongs_is_cut_too(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo, control_frames_per_second=50)
    client = await connect(served.port)
    await client.upgrade()
    for _ in range(200):
        client.send(PONG)
    await client.until_gone()
    await served.until_connections(0)


async def test_empty_continuations_are_counted(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo, control_frames_per_second=100)
    client = await connect(served.port)
    await client.upgrade()
    client.send(TEXT, fin=False)
    for _ in range(20_000):
        client.send(CONT, fin=False)
    await client.until_gone()
    await served.until_connections(0)
    assert echo.received == []


async def test_a_message_has_only_so_many_fragments(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, fragments_per_message=8)
    client = await connect(served.port)
    await client.upgrade()
    for last in (7, 8):
        client.send(TEXT, b"a", fin=False)
        for _ in range(last - 1):
            client.send(CONT, b"b", fin=False)
        client.send(CONT, b"c")
        if last == 7:
            assert await client.receive() == (TEXT, b"abbbbbbc")
    await client.until_gone()
    assert len(echo.received) == 1


@pytest.mark.parametrize("size", [64, 125, 1016, 4096])
async def test_a_long_text_may_come_in_many_fragments(
    serve: Serve, echo: Any, connect: Connect, size: int
) -> None:
    """Libraries cut at 125 bytes to 4 KiB and send hundreds of fragments at once."""
    served = await serve(echo, control_frames_per_second=50, fragments_per_message=60)
    client = await connect(served.port)
    await client.upgrade()
    text = random.randbytes(size * 75).hex().encode()  # 150 fragments
    for start in range(0, len(text), size):
        opcode = CONT if start else TEXT
        client.send(opcode, text[start : start + size], fin=start + size >= len(text))
    client.send(TEXT, b"next")
    assert await client.receive() == (TEXT, text)
    assert await client.receive() == (TEXT, b"next")


async def test_a_connection_that_is_slowed_down_can_be_closed(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, control_frames_per_second=10)
    client = await connect(served.port)
    await client.upgrade()
    client.send(TEXT, b"x" * 100, fin=False)
    for _ in range(30):
        client.send(CONT, b"x" * 100, fin=False)
    client.send(CLOSE, struct.pack("!H", 1000))
    assert await client.close_code() == 1000
    await served.until_connections(0)


@pytest.mark.parametrize("fragments", [1, 4])
async def test_a_frame_over_the_limit_closes_with_1009(
    serve: Serve, echo: Any, connect: Connect, fragments: int
) -> None:
    """The close code arrives although the client keeps sending: the connection is not reset."""
    served = await serve(echo, max_frame_bytes=10_000)
    client = await connect(served.port)
    await client.upgrade()
    for number in range(fragments):
        opcode = TEXT if number == 0 else CONT
        client.send(opcode, b"x" * (2_000_000 // fragments), fin=number == fragments - 1)
    assert await client.close_code() == 1009
    client.writer.write_eof()
    await served.until_connections(0)
    assert echo.disconnects == [1009]


async def test_a_deflate_bomb_closes_with_1009(serve: Serve, echo: Any) -> None:
    served = await serve(echo, max_frame_bytes=100_000)
    async with websockets.connect(served.url, compression="deflate") as client:
        await client.send("x" * 5_000_000)
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
    assert client.close_code == 1009


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),  # not UTF-8
        (b"\x81\x02hi", 1002),  # not masked
        (b"\x83\x80\0\0\0\0", 1002),  # unknown opcode
        (b"\x80\x80\0\0\0\0", 1002),  # a continuation without a beginning
        (b"\xc1\x80\0\0\0\0", 1002),  # compressed without an agreement
        (b"\x89\xfe\0\x7e\0\0\0\0" + bytes(126), 1002),  # a ping that is too long
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),  # a close code that must not be sent
    ],
)
async def test_broken_frames_close_with_their_code(
    serve: Serve, echo: Any, connect: Connect, bad: bytes, code: int
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    await client.upgrade()
    client.writer.write(bad)
    assert await client.close_code() == code
    client.writer.write_eof()
    await served.until_connections(0)


# Timeouts


async def test_an_unanswered_ping_ends_the_connection(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, ping_interval_s=0.1, ping_timeout_s=0.1)
    client = await connect(served.port)
    await client.upgrade()
    opcode, payload = await client.receive()
    assert (opcode, len(payload)) == (PING, 4)
    client.send(PONG, b"else")  # not the payload of the ping
    assert await client.close_code() == 1011
    client.abort()
    await served.until_connections(0)
    assert echo.disconnects == [1011]


async def test_answered_pings_keep_it(serve: Serve, echo: Any) -> None:
    served = await serve(echo, ping_interval_s=0.05, ping_timeout_s=0.2)
    async with websockets.connect(served.url, ping_interval=None) as client:
        await asyncio.sleep(0.6)  # a dozen pings
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_who_vanished_is_freed_although_bytes_wait_for_him(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    """``close`` waits for a flush; a peer that neither reads nor pongs must still be freed."""
    served = await serve(echo, ping_interval_s=0.1, ping_timeout_s=0.1, closing_s=0.2)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    client.send(TEXT, b"flood 20000")
    await served.until_connections(0)
    assert echo.disconnects == [1011]


async def test_who_takes_nothing_is_freed(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo, stalled_s=0.3, closing_s=0.2)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    client.send(TEXT, b"flood 20000")
    await served.until_connections(0)
    assert echo.disconnects == [1013]


@pytest.mark.slow
async def test_who_reads_slowly_is_not(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo, stalled_s=3.0)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    client.send(TEXT, b"flood 8000")
    for _ in range(12):
        await asyncio.sleep(0.25)
        await client.reader.readexactly(100_000)
    assert served.connections == 1


async def test_a_close_that_nobody_answers_ends(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo, closing_s=0.2)
    client = await connect(served.port)
    await client.upgrade()
    client.send(TEXT, b"close 1008")
    assert await client.close_code() == 1008
    await client.until_gone()
    await served.until_connections(0)


async def test_a_close_does_not_wait_until_something_is_taken(
    serve: Serve, connect: Connect
) -> None:
    """Otherwise a client that has lost access could send for as long as it does not read."""
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})

        async def flood() -> None:
            while True:
                await send({"type": "websocket.send", "text": "x" * 1000})

        writing = asyncio.create_task(flood())
        while (message := await receive())["type"] == "websocket.receive":
            heard.append(message["text"])
            if message["text"] == "close":
                closing = asyncio.ensure_future(send({"type": "websocket.close", "code": 1008}))
        writing.cancel()
        await closing

    served = await serve(app, closing_s=0.2)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    (connection,) = served.server.server_state.connections
    await until(lambda: connection._writable is not None)
    client.send(TEXT, b"close")
    await until(lambda: heard == ["close"])
    client.send(TEXT, b"still here")
    await served.until_connections(0)
    assert heard == ["close"]


@pytest.mark.slow
async def test_a_flood_is_hardly_read_once_the_connection_closes(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    """Each read costs as much as a message. A few reads continue, to find the peer's close."""
    served = await serve(echo, closing_s=3600)
    client = await connect(served.port)
    await client.upgrade()
    (connection,) = served.server.server_state.connections
    client.send(TEXT, b"close 1008")
    assert await client.close_code() == 1008
    while connection._last_reads < LAST_READS:
        client.send(TEXT, b"{}")
        await asyncio.sleep(0.01)
    for _ in range(50):
        client.send(TEXT, b"{}")
        await asyncio.sleep(0.001)
    assert connection._last_reads == LAST_READS
    client.writer.write(b"\x88\x80\0\0\0\0")  # is read at the next tick
    await served.until_connections(0)


async def test_a_development_server_cuts_connections(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, cut_s=0.1)
    client = await connect(served.port)
    await client.upgrade()
    await client.until_gone()
    await served.until_connections(0)
    assert echo.disconnects == [1006]


# Compression


async def test_small_messages_leave_as_they_are_and_large_ones_small(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    assert await client.upgrade("Sec-WebSocket-Extensions: permessage-deflate") == 101
    assert "permessage-deflate\r\n" in client.head  # with no parameter that was not offered
    small, large = b"x" * (MIN_COMPRESSED_BYTES - 1), b"x" * MIN_COMPRESSED_BYTES
    client.send(TEXT, small)
    assert await client.receive() == (TEXT, small)
    client.send(TEXT, large)
    assert len((await client.receive())[1]) < 20


async def test_a_resting_connection_holds_no_compressor(serve: Serve, echo: Any) -> None:
    """The compressor is dropped between answers; the client's window continues with the new one."""
    served = await serve(echo, ping_interval_s=0.05)
    factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
    async with websockets.connect(served.url, compression=None, extensions=[factory]) as client:
        (connection,) = served.server.server_state.connections
        assert isinstance(connection, WebSocketConnection)
        deflate = connection._deflate
        assert deflate is not None
        for number in range(3):
            text = f"{number} " + "the same words again and again " * 20
            await client.send(text)
            assert await client.recv() == text
            assert deflate.holds_memory
            while deflate.holds_memory:
                await asyncio.sleep(0.02)
            assert not hasattr(deflate, "decoder")


async def test_a_client_may_forbid_that_the_window_is_kept(serve: Serve, echo: Any) -> None:
    served = await serve(echo)
    factory = ClientPerMessageDeflateFactory(server_no_context_takeover=True)
    async with websockets.connect(served.url, compression=None, extensions=[factory]) as client:
        for number in range(3):
            text = f"{number} " + "the same words again and again " * 20
            await client.send(text)
            assert await client.recv() == text


# The application's side


async def test_a_refused_handshake_is_an_http_answer(serve: Serve, connect: Connect) -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        if scope["path"] == "/close":
            await send({"type": "websocket.close"})
        elif scope["path"] == "/answer":
            start = {"type": "websocket.http.response.start", "status": 401}
            await send({**start, "headers": [(b"content-type", b"application/json")]})
            await send({"type": "websocket.http.response.body", "body": b'{"message": "no"}'})
        elif scope["path"] == "/raise":
            raise LookupError("on purpose")

    served = await serve(refusing)
    for path, expected in (
        ("/close", 403),
        ("/answer", 401),
        ("/raise", 500),
        ("/return", 500),
    ):
        client = await connect(served.port)
        assert await client.upgrade(path=path) == expected
        body = await client.reader.read()
        assert (b'"no"' in body) is (path == "/answer")
    await served.until_connections(0)


async def test_bad_handshakes_are_refused(serve: Serve, echo: Any, connect: Connect) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    assert await client.upgrade("Sec-WebSocket-Version: 12") == 400  # now there are two
    await client.until_gone()
    assert echo.paths == []


async def test_a_lost_connection_is_told_to_who_sends_and_who_receives(
    serve: Serve, connect: Connect
) -> None:
    seen: list[object] = []

    async def sender(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "text": "x" * 10_000})
        except OSError:
            seen.append("send")
        seen.append((await receive())["code"])
        seen.append((await receive())["code"])  # a second receive returns the same

    served = await serve(sender)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    await asyncio.sleep(0.1)  # the sender waits until there is room
    client.abort()
    while len(seen) < 3:
        await asyncio.sleep(0.01)
    assert seen == ["send", 1006, 1006]


async def test_a_closed_connection_leaves_nothing_behind(serve: Serve, echo: Any) -> None:
    served = await serve(echo)
    for _ in range(3):
        async with websockets.connect(served.url) as client:
            await client.send("x")
            await client.recv()
    await served.until_connections(0)
    del client
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is WebSocketConnection]
    assert not served.server.server_state.tasks


# Messages that never end


@pytest.mark.parametrize(
    "begin",
    [
        b"\x01\x81\0\0\0\0a",  # a fragment
        b"\x01\x80\0\0\0\0",  # an empty one
        b"\x81",  # half a header
        b"\x81\xfe\xff\xff\0\0\0\0" + b"x" * 60_000,  # half a frame
    ],
)
async def test_a_message_that_is_never_whole_ends_the_connection(
    serve: Serve, echo: Any, connect: Connect, begin: bytes
) -> None:
    served = await serve(echo, handshake_s=0.3)
    client = await connect(served.port)
    await client.upgrade()
    client.writer.write(begin)
    await client.until_gone()
    await served.until_connections(0)
    assert echo.disconnects == [1006]


async def test_fragments_in_drops_end_the_connection(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, handshake_s=0.3)
    client = await connect(served.port)
    await client.upgrade()
    client.send(TEXT, b"x" * 5000, fin=False)
    gone = asyncio.create_task(client.until_gone())
    while not gone.done():
        client.send(CONT, b"x", fin=False)
        await asyncio.sleep(0.05)
    await served.until_connections(0)


@pytest.mark.slow
async def test_what_came_at_once_buys_no_time_for_drops(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, handshake_s=1)
    client = await connect(served.port)
    await client.upgrade()
    client.send(TEXT, bytes(900_000), fin=False)
    gone = asyncio.create_task(client.until_gone())
    for number in range(10_000):
        if gone.done():
            break
        client.send(CONT, b"x", fin=False)
        await asyncio.sleep(0.1)
        assert number < 40, "four times the time that a message has"
    await served.until_connections(0)


@pytest.mark.slow
async def test_a_message_may_take_its_time_as_long_as_it_comes(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo, handshake_s=0.3)
    client = await connect(served.port)
    await client.upgrade()
    for number in range(8):
        client.send(CONT if number else TEXT, b"x" * 100, fin=number == 7)
        await asyncio.sleep(0.1)
    assert await client.receive() == (TEXT, b"x" * 800)
    await asyncio.sleep(0.5)  # then idle, with no message begun
    client.send(TEXT, b"again")
    assert await client.receive() == (TEXT, b"again")


async def test_unfinished_messages_have_a_bound_over_all_connections(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    """The connection that holds the most is closed; one that sends little is not affected."""
    served = await serve(echo, unfinished_bytes=1_000_000)
    small = await connect(served.port)
    await small.upgrade()
    small.send(TEXT, b"s" * 20_000, fin=False)
    for _ in range(4):
        client = await connect(served.port)
        await client.upgrade()
        client.send(TEXT, b"x" * 400_000, fin=False)
        await client.writer.drain()
    await served.until_connections(3)
    await until(lambda: served.server.config.unfinished.total < 1_000_000)
    small.send(CONT, b"!")
    assert await small.receive() == (TEXT, b"s" * 20_000 + b"!")
    small.abort()


async def test_whole_messages_that_wait_for_the_application_count_too(
    serve: Serve, connect: Connect
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.1 if scope["path"] == "/quick" else 3600)
        size = len((await receive())["text"])
        await send({"type": "websocket.send", "text": str(size)})
        await receive()

    served = await serve(app, unfinished_bytes=1_000_000)
    held = served.server.config.unfinished
    quick = await connect(served.port)
    await quick.upgrade(path="/quick")
    quick.send(TEXT, b"q" * 100_000)
    assert await quick.receive() == (TEXT, b"100000")
    await until(lambda: held.total == 0)
    for _ in range(4):
        client = await connect(served.port)
        await client.upgrade(path="/slow")
        client.send(TEXT, b"x" * 400_000)
        await client.writer.drain()
    await served.until_connections(3)
    await until(lambda: held.total == 800_000)


async def test_what_was_held_is_forgotten_with_its_connection(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo)
    held = served.server.config.unfinished
    clients = [await connect(served.port) for _ in range(3)]
    for client in clients:
        await client.upgrade()
        client.send(TEXT, b"x" * 100_000, fin=False)
    await until(lambda: held.total >= 300_000)
    clients[0].send(CONT, b"")  # completes the message
    clients[1].send(BINARY, b"")  # no continuation: 1002
    clients[2].abort()
    await until(lambda: held.total == 0)


async def test_pongs_do_not_pile_up_for_who_takes_nothing(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    client.send(TEXT, b"flood 20000")
    (connection,) = served.server.server_state.connections
    await until(lambda: connection._writable is not None)
    before = connection.transport.get_write_buffer_size()
    for _ in range(150):
        client.send(PING, bytes(125))
    await until(lambda: connection._control_count >= 100)
    assert connection.transport.get_write_buffer_size() <= before
    client.abort()


async def test_others_have_their_turn_while_a_flood_is_read(serve: Serve, connect: Connect) -> None:
    """So the close that a flood causes takes effect before the whole flood is read."""
    taken = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal taken
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        closing = None
        while (await receive())["type"] == "websocket.receive":
            taken += 1
            if taken == 100:
                closing = asyncio.ensure_future(send({"type": "websocket.close", "code": 1008}))
        assert closing is not None
        await closing

    served = await serve(app)
    client = await connect(served.port)
    await client.upgrade()
    client.writer.write(b"\x81\x82\0\0\0\0{}" * 30_000)
    assert await client.close_code() == 1008
    assert taken <= 100 + 3 * SLICE_BYTES // 8


# Memory held by idle connections


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [
        frame(TEXT, b"hello") + b"\x88\x80\0\0\0\0",
        frame(TEXT, b"hello"),  # and aborts
        frame(TEXT, bytes(100_000))[:-1],
        frame(TEXT, b"x" * 20_000, fin=False),
        frame(TEXT, bytes(2_000_000)),  # over the limit
        frame(TEXT, deflated(900_000), fin=False, packed=True),  # inflates to less than the limit
        frame(TEXT, deflated(20_000_000), packed=True),
        frame(TEXT, b"\xc3\x28"),
        b"\x89\x80\0\0\0\0" * 300,  # a flood
    ],
    ids=["closed", "left", "half", "begun", "long", "inflated", "bomb", "not UTF-8", "flood"],
)
async def test_a_connection_that_is_gone_is_freed_without_the_collector(
    serve: Serve, echo: Any, connect: Connect, sent: bytes
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    await client.upgrade("Sec-WebSocket-Extensions: permessage-deflate")
    gc.collect()
    gc.disable()
    try:
        client.writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await client.writer.drain()
        await asyncio.sleep(0.1)
        client.abort()
        await served.until_connections(0)
        await until(lambda: not served.server.server_state.tasks)
        await asyncio.sleep(0.05)
        kinds = (WebSocketConnection, HttpConnection, Protocol, Frame)
        assert [o for o in gc.get_objects() if type(o) in kinds] == []
    finally:
        gc.enable()


async def test_a_connection_that_rests_holds_nothing_of_its_last_message(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    await serve_and_rest(serve, echo, connect, frame(TEXT, b"x" * 500_000))
    frames = [
        o for o in gc.get_objects() if type(o) is Frame
    ]  # type(): isinstance() fails on a dead weakref proxy
    assert max((len(one.data) for one in frames), default=0) == 0


async def test_a_connection_that_was_failed_holds_nothing_of_the_bomb(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    """Not even while it waits for the peer's close."""
    bomb = frame(TEXT, deflated(20_000_000), packed=True)
    connection = await serve_and_rest(serve, echo, connect, bomb)
    assert connection._conn.parser_exc is None
    assert connection._deflate is None
    assert not connection._conn.extensions


async def serve_and_rest(serve: Serve, echo: Any, connect: Connect, sent: bytes) -> Any:
    served = await serve(echo)
    client = await connect(served.port)
    await client.upgrade("Sec-WebSocket-Extensions: permessage-deflate")
    client.writer.write(sent)
    await client.receive()
    (connection,) = served.server.server_state.connections
    return connection


async def test_who_reads_nothing_is_held_one_frame(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(echo)
    client = await connect(served.port, small_buffer=True)
    await client.upgrade()
    client.send(TEXT, b"flood 20000")
    (connection,) = served.server.server_state.connections
    await until(lambda: connection._writable is not None)
    assert connection.transport.get_write_buffer_size() <= UNSENT_BYTES + JOINED_BYTES + 1_100
    client.abort()


async def until(is_true: Callable[[], bool]) -> None:
    while not is_true():
        await asyncio.sleep(0.01)


OFFERS = [
    offer + suffix
    for offer in (
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    )
    for suffix in ("", "; client_no_context_takeover", ";", " ; ", ",", ", x-webkit-deflate-frame")
]


@pytest.mark.parametrize("offer", OFFERS)
async def test_compression_is_agreed_on_as_offered(
    serve: Serve, echo: Any, connect: Connect, offer: str
) -> None:
    """The response accepts only offered parameters, and all that bind the server.

    It names no parameter that was not offered. Messages of a client that keeps its window (if
    allowed) can be decoded, however many it sends.
    """
    if offer.count("client_no_context_takeover") > 1:
        pytest.skip("named twice")
    served = await serve(echo)
    client = await connect(served.port)
    assert await client.upgrade(f"Sec-WebSocket-Extensions: {offer}") == 101
    (answer,) = re.findall("(?i)sec-websocket-extensions: (.*)\r", client.head)
    name, *agreed = [part.strip() for part in answer.split(";")]
    offered = [part.strip() for part in re.split("[;,]", offer)]
    assert name == "permessage-deflate"
    assert set(agreed) <= set(offered)
    for binding in ("server_no_context_takeover", "server_max_window_bits=9"):
        assert (binding in agreed) == (binding in offered)
    bits = 9 if "client_max_window_bits=9" in offered else 15
    compressor = zlib.compressobj(wbits=-bits)
    window = 9 if "server_max_window_bits=9" in offered else 15
    decompressor = zlib.decompressobj(wbits=-window)
    for number in range(40):
        text = f"a message like the one before, number {number} ".encode() * 40
        if "client_no_context_takeover" in agreed:
            compressor = zlib.compressobj(wbits=-bits)
        data = (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        middle = len(data) // 2 if number % 3 else len(data)
        raw = frame(TEXT, data[:middle], fin=middle == len(data))
        client.writer.write(bytes([raw[0] | 0x40]) + raw[1:])
        if middle < len(data):
            client.send(CONT, data[middle:])
        _, echoed = await client.receive()
        if "server_no_context_takeover" in agreed:
            decompressor = zlib.decompressobj(wbits=-window)
        assert decompressor.decompress(echoed + b"\0\0\xff\xff") == text


@pytest.mark.parametrize(
    "offer",
    [
        "",
        ",",
        ";",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "a b c",
        '"',
        "x-webkit-deflate-frame",
        "permessage-bzip2; x=1",
    ],
)
async def test_what_can_not_be_agreed_on_is_declined(
    serve: Serve, echo: Any, connect: Connect, offer: str
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    assert await client.upgrade(f"Sec-WebSocket-Extensions: {offer}") == 101
    assert "sec-websocket-extensions" not in client.head.lower()
    client.send(TEXT, b"x" * 1000)
    assert await client.receive() == (TEXT, b"x" * 1000)
    client = await connect(served.port)  # the next offer counts
    assert await client.upgrade(f"Sec-WebSocket-Extensions: {offer}, permessage-deflate") == 101
    assert "sec-websocket-extensions" in client.head.lower()


@pytest.mark.parametrize("value", ["", ",", "ai-chat,", " , x", "a b", "ticket.a=b"])
async def test_a_subprotocol_header_that_is_odd_is_no_reason_to_refuse(
    serve: Serve, echo: Any, connect: Connect, value: str
) -> None:
    served = await serve(echo)
    client = await connect(served.port)
    assert await client.upgrade(f"Sec-WebSocket-Protocol: {value}") == 101


async def test_a_resting_connection_keeps_only_what_a_client_has_sent(
    serve: Serve, echo: Any
) -> None:
    served = await serve(echo)
    async with websockets.connect(served.url, compression="deflate") as client:
        for text in ("short", "x" * 100_000):
            await client.send(text)
            assert await client.recv() == text
        (connection,) = served.server.server_state.connections
        assert isinstance(connection, WebSocketConnection)
        deflate = connection._deflate
        assert deflate is not None
        assert not hasattr(deflate, "decoder")
        assert len(deflate._received) <= 32_768
