"""The whole server as a process: its command, its endpoints, its shutdown by a signal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server_process import Refused, ServerProcess
from wireside.app import create_app
from wireside.bootstrap.storage import cookie_secret
from wireside.errors import NotConfigured, UnknownModel
from wireside.messages import Message, ModelRequest
from wireside.settings.model import Settings
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.slow


class Running(ServerProcess):
    """A server, and requests to it."""

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as running:
        yield running


@pytest.fixture
async def start(lab: FakeOpenAI, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start_server(**settings: Any) -> Running:
            return await stack.enter_async_context(Running(tmp_path, lab.url, **settings))

        yield start_server


async def ask(client: ClientConnection, **fields: object) -> None:
    await client.send(json.dumps(fields))


async def frames_until(client: ClientConnection, *types: str) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    while not frames or frames[-1]["type"] not in types:
        frames.append(json.loads(await client.recv()))
    return frames


def text_of(frames: list[dict[str, Any]]) -> str:
    return "".join(frame["content"] for frame in frames if frame["type"] == "chunk")


async def test_every_door_works(start: Callable[..., Any], lab: FakeOpenAI) -> None:
    server = await start()
    assert await asyncio.to_thread(server.get, "/api/health/live") == (200, {"status": "ok"})
    status, ready = await asyncio.to_thread(server.get, "/api/health/ready")
    assert (status, ready["status"], ready["provider"]) == (200, "ready", "openai")
    _, models = await asyncio.to_thread(server.get, "/api/models")
    assert [model["id"] for model in models["models"]] == ["lab-1", "lab-2"]
    status, problem = await asyncio.to_thread(server.get, "/api/nope")
    assert (status, problem["code"]) == (404, "not_found")
    status, api = await asyncio.to_thread(server.get, "/api/openapi.json")
    assert set(api["paths"]) >= {"/api/models", "/api/health/live", "/api/health/ready"}
    status, _ = await asyncio.to_thread(server.get, "/ws/ai-chat")
    assert status == 426
    async with connect(server.socket_url) as client:
        await ask(client, type="chat", message="Hi")
        assert text_of(await frames_until(client, "done")).count("<script") == 0
        await ask(client, type="chat", id="q", message="Hi")
        frames = await frames_until(client, "done")
        assert text_of(frames) == FakeOpenAI.text(300)
        assert frames[-1]["usage"]["output_tokens"] == 300


async def test_foreign_pages_and_names_stay_out(start: Callable[..., Any]) -> None:
    server = await start(allowed_origins="https://friend.example")
    for origin, status in (
        ("https://evil.example", 403),
        ("null", 403),
        ("https://friend.example", 101),
        (server.url, 101),
    ):
        try:
            async with connect(server.socket_url, origin=origin):  # type: ignore[arg-type]  # a NewType
                got = 101
        except InvalidStatus as error:
            got = error.response.status_code
        assert got == status, origin
    for host, status in (("evil.example", 400), ("localhost", 200)):
        got, _ = await asyncio.to_thread(server.get, "/api/models", Host=host)
        assert got == status, host


async def test_a_request_that_is_resumed_after_a_drop_misses_nothing(
    start: Callable[..., Any], lab: FakeOpenAI
) -> None:
    server = await start()
    lab.answer_with(answer(400, rate=400))
    client = await connect(server.socket_url)
    await ask(client, type="chat", id="q", message="Hi", key="k")
    frames = await frames_until(client, "chunk")
    stream, got = frames[0]["stream"], text_of(frames)
    offset = frames[-1]["offset"]
    drops = 0
    while True:
        client.transport.abort()
        drops += 1
        client = await connect(server.socket_url)
        await ask(client, type="resume", id="r", stream=stream, offset=offset)
        frames = await frames_until(client, "chunk", "done")
        got += text_of(frames)
        if frames[-1]["type"] == "done":
            break
        offset = frames[-1]["offset"]
    await client.close()
    assert got == FakeOpenAI.text(400)
    assert drops > 3
    assert len(lab.chats) == 1


async def test_a_stop_lets_answers_finish_and_says_goodbye(
    start: Callable[..., Any], lab: FakeOpenAI
) -> None:
    server = await start()
    lab.answer_with(answer(100, rate=100))
    async with connect(server.socket_url) as client, connect(server.socket_url) as idle:
        await ask(client, type="chat", id="q", message="Hi")
        frames = await frames_until(client, "chunk")
        server.process.send_signal(signal.SIGTERM)
        frames += await frames_until(client, "done", "error")
        assert text_of(frames) == FakeOpenAI.text(100)
        for socket in (client, idle):
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
    assert await asyncio.to_thread(server.process.wait, 20) == 0


async def test_a_stop_interrupts_what_takes_too_long(
    start: Callable[..., Any], lab: FakeOpenAI
) -> None:
    server = await start(shutdown_s=1)
    lab.answer_with(answer(10).stalled(5))
    async with connect(server.socket_url) as client:
        await ask(client, type="chat", id="q", message="Hi")
        frames = await frames_until(client, "chunk")
        server.process.send_signal(signal.SIGTERM)
        frames += await frames_until(client, "done", "error")
        assert frames[-1]["reason"] == "interrupted"
        assert FakeOpenAI.text(10).startswith(text_of(frames))
    assert await asyncio.to_thread(server.process.wait, 20) == 0
    await lab.wait_closed(5)


async def test_it_refuses_to_listen_to_the_world(start: Callable[..., Any]) -> None:
    with pytest.raises(Refused) as refused:
        await start(host="0.0.0.0")
    assert refused.value.code == 2


async def test_a_second_server_on_the_same_data_is_told_what_to_do(
    start: Callable[..., Any], lab: FakeOpenAI, tmp_path: Path
) -> None:
    await start()
    second = ServerProcess(tmp_path / "second", lab.url, data_dir=tmp_path, wait_s=0)
    with pytest.raises(Refused) as refused:
        await asyncio.to_thread(second.start)
    assert refused.value.code == 1
    assert second.log.startswith("wireside: Another server works on this database.")
    assert "Traceback" not in second.log


async def test_a_kill_in_the_middle_of_fifty_answers_loses_nothing_shown(
    start: Callable[..., Any], lab: FakeOpenAI
) -> None:
    running = await start()
    clients = [await connect(running.socket_url) for _ in range(50)]
    shown: dict[str, str] = {}
    conversations: dict[str, str] = {}

    async def read(client: ClientConnection) -> None:
        frame = {"type": "chat", "id": "1", "message": "/lab tokens 2000 50"}
        await client.send(json.dumps({**frame, "conversation": "new"}))
        stream = ""
        with contextlib.suppress(ConnectionClosed):
            async for message in client:
                frame = json.loads(message)
                if frame["type"] == "start":
                    stream = frame["stream"]
                    conversations[stream] = frame["conversation"]
                    shown[stream] = ""
                else:
                    shown[stream] += frame["content"]

    readers = [asyncio.create_task(read(client)) for client in clients]
    while len(shown) < 50 or min(map(len, shown.values())) < 100:
        await asyncio.sleep(0.01)
    running.kill()
    await asyncio.wait(readers)
    again = await start()
    for stream, conversation in conversations.items():
        _, found = again.get(f"/api/conversations/{conversation}")
        answer = found["turns"][0]["answer"][0]
        assert (answer["stream"], answer["state"]) == (stream, "interrupted")
        assert answer["parts"][0]["text"].startswith(shown[stream])
    async with connect(again.socket_url) as client:
        stream, text = next(iter(shown.items()))
        frame = {"type": "resume", "id": "r", "stream": stream, "offset": len(text)}
        await client.send(json.dumps(frame))
        frames = [json.loads(await client.recv())]
        while frames[-1]["type"] != "done":
            frames.append(json.loads(await client.recv()))
    assert frames[0]["state"] == frames[-1]["reason"] == "interrupted"


def test_an_empty_key_that_a_full_disk_has_left_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "cookie.key"
    file.touch()
    key = cookie_secret(tmp_path)
    assert len(key) > 40
    assert file.read_text() == key == cookie_secret(tmp_path)
    assert file.stat().st_mode & 0o077 == 0


def test_a_folder_that_takes_no_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotConfigured, match="WIRESIDE_DATA_DIR"):
        cookie_secret(tmp_path / "file" / "data")


async def test_a_default_model_that_refuses_to_chat_is_passed_over(tmp_path: Path) -> None:
    async with FakeOpenAI(models=("first", "second")) as lab:
        parts = create_app(Settings(openai_base_url=lab.url, data_dir=tmp_path)).parts
        try:
            assert await parts.catalog.resolve_model(None) == "first"
            request = ModelRequest(
                model="first", messages=(Message.of_text("user", "/lab no-chat"),)
            )
            with pytest.raises(UnknownModel, match="can't chat"):
                async for _ in parts.provider.stream(request):
                    pass
            assert await parts.catalog.resolve_model(None) == "second"
            assert [model.can_chat for model in await parts.catalog.list_models()] == [True, False]
        finally:
            await parts.provider.aclose()
