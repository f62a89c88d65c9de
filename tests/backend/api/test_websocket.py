"""``/ws/ai-chat`` over real sockets, with a third-party client."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wireside.api.websocket import ChatEndpoint, ChatSocket
from wireside.chat.service import ChatService
from wireside.limits.windows import AddressWindows
from wireside.protocol.connection import ConnectionLimits
from wireside.providers.scripted import ScriptedProvider
from wireside.server.run import DrainTimes, WiresideServer, _socket_config
from wireside.session.session import Session
from wireside.settings.model import Settings
from wireside.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
async def url(chat: ChatService, telemetry: Telemetry) -> AsyncIterator[str]:
    """Serve in this event loop, under the application's own protocol classes; return the URL."""
    endpoint = ChatEndpoint(
        chat=chat,
        limits=ConnectionLimits(),
        addresses=AddressWindows(10_000),
        counters=telemetry,
        clock=time.monotonic,
        counts=telemetry.frames,
    )
    app = Starlette(routes=[WebSocketRoute("/ws/ai-chat", endpoint)])
    listener = socket.create_server(("127.0.0.1", 0))
    server = WiresideServer(
        _socket_config(app, Settings(port=0)), DrainTimes(answers_s=0.0), lambda _: None
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws/ai-chat"
    server.should_exit = True
    await serving


async def ask(client: ClientConnection, **fields: object) -> None:
    await client.send(json.dumps(fields))


async def frames_until(client: ClientConnection, *types: str) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    while not frames or frames[-1]["type"] not in types:
        frames.append(json.loads(await client.recv()))
    return frames


async def test_the_guides_exchange(url: str, provider: ScriptedProvider) -> None:
    async with connect(url) as client:
        await ask(client, type="ping")
        assert json.loads(await client.recv()) == {"type": "pong"}
        await ask(client, type="chat", message="How is the weather today?", model="model-a")
        call = await provider.call()
        call.say("The ", "weather")
        call.finish()
        frames = await frames_until(client, "done")
        assert "".join(f["content"] for f in frames[:-1]) == "The weather"


async def test_the_subprotocol_is_agreed_on(url: str) -> None:
    async with connect(url, subprotocols=["other", "ai-chat"]) as client:  # type: ignore[list-item]  # a NewType
        assert client.subprotocol == "ai-chat"


async def test_pings_are_answered_while_an_answer_streams(
    url: str, provider: ScriptedProvider
) -> None:
    async with connect(url) as client:
        await ask(client, type="chat", message="long")
        call = await provider.call()
        call.say("begun")
        await frames_until(client, "chunk")
        await ask(client, type="ping")
        await frames_until(client, "pong")
        await asyncio.wait_for(await client.ping(), 10)


async def test_a_dropped_level_2_connection_resumes_on_a_new_one(
    url: str, provider: ScriptedProvider
) -> None:
    client = await connect(url)
    await ask(client, type="chat", id="q", message="Hi")
    call = await provider.call()
    call.say("before ")
    start, chunk = await frames_until(client, "chunk")
    client.transport.abort()
    call.say("between ")
    async with connect(url) as back:
        offset = chunk["offset"]
        await ask(back, type="resume", id="r", stream=start["stream"], offset=offset)
        await frames_until(back, "resumed")
        call.say("after")
        call.finish()
        frames = await frames_until(back, "done")
        text = "".join(f["content"] for f in frames if f["type"] == "chunk")
        assert chunk["content"] + text == "before between after"


async def test_a_level_1_drop_cancels_its_answer(url: str, provider: ScriptedProvider) -> None:
    client = await connect(url)
    await ask(client, type="chat", message="Hi")
    call = await provider.call()
    client.transport.abort()
    while not call.is_closed:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        '{"type": "chat"}',
        '{"type": "chat", "message": ["x"]}',
        '{"type": "chat", "message": "\\ud800"}',
        '{"type": 1}',
        '{"a": ' + "[" * 100_000,
        "\x00",
        "\n" * 1_000_000,
        '{"type": "chat", "message": "' + "x" * 100_001 + '"}',
    ],
    ids=lambda text: repr(text[:30]),
)
async def test_bad_input_gets_a_clear_error_and_the_connection_stays(url: str, text: str) -> None:
    async with connect(url) as client:
        await client.send(text)
        error = json.loads(await client.recv())
        assert error["type"] == "error"
        assert error["message"]
        await ask(client, type="ping")
        await frames_until(client, "pong")


@pytest.mark.parametrize(
    ("frame", "code"),
    [(b"binary", 1003), ("x" * (2 * 1024 * 1024), 1009)],
    ids=["binary", "2 MiB"],
)
async def test_frames_that_close(url: str, frame: str | bytes, code: int) -> None:
    async with connect(url) as client:
        await client.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


@pytest.mark.slow
async def test_a_flood_is_told_then_closed_and_others_are_undisturbed(
    url: str, provider: ScriptedProvider, telemetry: Telemetry
) -> None:
    async with connect(url) as calm, connect(url) as flood:
        await ask(calm, type="chat", id="q", message="Hi")
        call = await provider.call()
        frames = []
        try:
            for _ in range(10_000):
                await flood.send('{"type":"ping"}')
        except ConnectionClosed:
            pass
        try:
            while True:
                frames.append(json.loads(await flood.recv()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            assert closed.rcvd.code == 1008
        assert len(frames) <= 101
        call.say("fine")
        call.finish()
        assert (await frames_until(calm, "done"))[-1]["reason"] == "stop"
    assert sum(telemetry.frames.received.values()) <= 110


async def test_texts_that_look_odd_arrive_as_they_are(url: str, provider: ScriptedProvider) -> None:
    odd = "\u202egnp.exe\u0000 \u2066 \ufeff 😀 <script> \u2028"
    async with connect(url) as client:
        await ask(client, type="chat", id="q", message=odd)
        call = await provider.call()
        assert call.request.messages[-1].text == odd
        call.say(odd)
        call.finish()
        frames = await frames_until(client, "done")
        assert "".join(f["content"] for f in frames if f["type"] == "chunk") == odd


async def test_connections_are_counted(url: str, telemetry: Telemetry) -> None:
    async with connect(url) as client:
        await ask(client, type="ping")
        await client.recv()
        assert telemetry.connections == 1
    while telemetry.connections:
        await asyncio.sleep(0.01)


async def test_an_endpoint_that_waits_holds_no_message(
    chat: ChatService, telemetry: Telemetry
) -> None:
    class Text(str):
        """A string that supports weak references."""

        __slots__ = ("__weakref__",)

    endpoint = ChatEndpoint(
        chat=chat,
        limits=ConnectionLimits(),
        addresses=AddressWindows(10_000),
        counters=telemetry,
        clock=time.monotonic,
    )
    texts: list[weakref.ref[Text]] = []
    held: list[str | None] = []
    answered = asyncio.Event()

    async def receive() -> Message:
        if not texts:
            texts.append(weakref.ref(Text()))  # nothing else refers to it: it is freed at once
            return {"type": "websocket.connect"}
        held.append(texts[-1]())
        if len(held) == 3:
            await answered.wait()
            return {"type": "websocket.disconnect", "code": 1000}
        text = Text(json.dumps({"type": "ping", "pad": "x" * 100_000, "id": "?" * len(held)}))
        texts.append(weakref.ref(text))
        return {"type": "websocket.receive", "text": text}

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            answered.set()

    gc.disable()
    try:
        await endpoint({"type": "websocket"}, receive, send)
    finally:
        gc.enable()
    assert held == [None, None, None]


async def test_the_socket_is_reached_past_the_framework_and_all_else_by_it() -> None:
    reached: list[str] = []

    def named(name: str) -> ASGIApp:
        async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
            reached.append(name)

        return app

    async def unused(*_: object) -> Any:
        raise AssertionError

    socket_first = ChatSocket(named("framework"), named("endpoint"))
    for kind, path in (
        ("websocket", "/ws/ai-chat"),
        ("websocket", "/ws/other"),
        ("http", "/ws/ai-chat"),
        ("lifespan", ""),
    ):
        await socket_first({"type": kind, "path": path}, unused, unused)
    assert reached == ["endpoint", "framework", "framework", "framework"]


async def test_the_address_may_ask_for_other_frame_sizes(
    url: str, provider: ScriptedProvider
) -> None:
    for number, (query, bound) in enumerate([("", 8_000), ("?max_frame_bytes=20000", 20_000)]):
        async with connect(url + query) as client:
            await ask(client, type="chat", message="long")
            call = await provider.call(number)
            call.say("字" * 30_000)
            call.finish()
            sizes = []
            while (frame := await client.recv()) != '{"type":"done"}':
                sizes.append(len(str(frame).encode()))
            assert bound * 0.8 < max(sizes) <= bound


@pytest.mark.parametrize("value", ["", "1", "-1", "8e3", "99999999", "x", "٨٠٠٠"])
async def test_a_frame_size_out_of_reason_is_refused(url: str, value: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{url}?max_frame_bytes={quote(value) or '%20'}")
    assert refused.value.response.status_code == 400
    assert "max_frame_bytes" in json.loads(refused.value.response.body)["message"]


async def test_heartbeats_of_client_libraries(url: str) -> None:
    async with connect(url) as client:
        for heartbeat, reply in (("ping", "pong"), ("heartbeat", '{"type":"pong"}')):
            await client.send("")
            await client.send(b"")
            await client.send(heartbeat)
            assert await client.recv() == reply


async def test_a_writer_that_fails_ends_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(Session, "_write_round", fail)
    async with connect(url) as client:
        await ask(client, type="ping")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1011
