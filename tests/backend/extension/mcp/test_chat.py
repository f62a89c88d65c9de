"""Tools of MCP servers in answers: in code, by setting, with approval, stop and restart."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.backend.extension.mcp.conftest import raw_server
from tests.backend.extension.mcp.test_sessions import children, until
from tests.backend.extension.test_tools import ANSWER, calls_of, requests
from tests.server_process import ServerProcess
from wireside import Chat, ChatTester, McpServer, Settings, create_app
from wireside.errors import NotConfigured
from wireside.extension.mcp import connection, tools
from wireside.messages import ModelInfo, ModelRequest
from wireside.parts import ImagePart
from wireside.providers.scripted import ScriptedProvider
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.slow


def names_in(request: ModelRequest) -> list[str]:
    return [tool.name for tool in request.tools]


def written(notes: Path) -> str:
    return notes.read_text()


async def test_a_model_uses_the_tools_of_a_server(package_server: McpServer) -> None:
    chat = Chat(mcp_servers=[package_server])
    before = children()

    @chat.tool
    def own() -> str:
        """A tool of the chat."""
        return "own"

    calls = requests(("demo_add", '{"a": 1, "b": 2}'), ("own", "{}"), ("demo_refuse", "{}"))
    provider = ScriptedProvider(calls, ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("One and two?")
    added, own_result, refused = calls_of(reply.parts)
    assert (added, own_result) == (("done", "3"), ("done", "own"))
    assert refused[0] == "failed"
    assert "The office is closed" in str(refused[1])
    assert reply.text.endswith("It is warm.")
    assert {"demo_add", "own"} <= set(names_in(provider.calls[0].request))
    assert children() <= before


async def test_an_image_of_a_result_is_shown(package_server: McpServer) -> None:
    chat = Chat(mcp_servers=[package_server])
    provider = ScriptedProvider(requests(("demo_draw", "{}")), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("Draw")
    (image,) = [part for part in reply.parts if isinstance(part, ImagePart)]
    assert image.url.startswith("data:image/png;base64,")
    assert calls_of(reply.parts) == [("done", "A pixel:\n\n(The user sees an image.)")]


@pytest.mark.parametrize("sees", [True, False, None])
async def test_a_model_that_sees_gets_the_image(
    package_server: McpServer, sees: bool | None
) -> None:
    chat = Chat(mcp_servers=[package_server])
    models = (ModelInfo(id="m", name="M", can_see=sees),)
    provider = ScriptedProvider(requests(("demo_draw", "{}")), ANSWER, models=models)
    async with ChatTester(chat, provider=provider) as tester:
        await tester.ask("Draw")
    last = provider.calls[1].request.messages[-1]
    images = [part for part in last.parts if isinstance(part, ImagePart)]
    assert len(images) == (1 if sees else 0)
    assert last.role == ("user" if sees else "assistant")


@pytest.mark.parametrize("approved", [True, False])
async def test_an_approval_after_a_restart_runs_the_tool_once(
    package_server: McpServer, notes: Path, approved: bool
) -> None:
    chat = Chat(mcp_servers=[package_server])
    provider = ScriptedProvider(requests(("demo_write", '{"text": "milk"}')), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("Note milk")
        assert reply.question is not None
        assert "demo_write" in reply.question["prompt"]
        assert not written(notes)
        await tester.restart()
        reply = await tester.answer(approved)
    expected = ("done", "Written.") if approved else ("failed", "The user has refused this call.")
    assert calls_of(reply.parts)[-1] == expected
    assert written(notes) == ("milk\n" if approved else "")


async def test_a_tool_that_is_gone_after_a_restart_fails_its_call(
    package_server: McpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(mcp_servers=[package_server])
    provider = ScriptedProvider(requests(("demo_write", '{"text": "milk"}')), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        await tester.ask("Note milk")
        monkeypatch.setattr(connection, "WAIT_S", 0.5)
        chat.mcp_servers = (McpServer("demo", command=["no-such-program"]),)
        await tester.restart()
        reply = await tester.answer(True)
    assert calls_of(reply.parts)[-1] == ("failed", "This tool is not available any more.")
    assert reply.text.endswith("It is warm.")


async def test_a_stop_cancels_the_call_at_the_server(
    package_server: McpServer, notes: Path
) -> None:
    chat = Chat(mcp_servers=[package_server])
    provider = ScriptedProvider(requests(("demo_wait", "{}")), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        asking = asyncio.create_task(tester.ask("Wait"))
        await until(lambda: "waiting" in notes.read_text(), 20)
        await tester.stop()
        assert (await asking).reason == "cancelled"
        await until(lambda: "cancelled" in notes.read_text())


async def test_a_server_that_hangs_delays_an_answer_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.2)
    chat = Chat(mcp_servers=[raw_server("hang at initialize")])
    provider = ScriptedProvider(ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("?")
    assert reply.text == "It is warm."
    assert not provider.calls[0].request.tools


async def test_titles_use_no_tools(package_server: McpServer) -> None:
    provider = Chat(mcp_servers=[package_server]).provider(upstream := ScriptedProvider(ANSWER))
    request = ModelRequest(model="m", messages=(), allows_tools=False)
    async for _ in provider.stream(request):
        pass
    await provider.aclose()
    assert not upstream.calls[0].request.tools
    assert provider.kind == upstream.kind, "a server with tools is named by its models"


def test_a_missing_extra_is_named(
    package_server: McpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    config = json.dumps({"mcpServers": {"files": {"command": "x"}}})
    for chat, servers in ((Chat(mcp_servers=[package_server]), None), (None, config)):
        settings = Settings(data_dir=tmp_path, mcp_servers=servers)
        with pytest.raises(NotConfigured, match=r"wireside\[mcp\]"):
            create_app(settings, chat=chat, provider=ScriptedProvider())


def test_two_servers_of_one_name_are_refused(package_server: McpServer) -> None:
    with pytest.raises(ValueError, match="two MCP servers called 'demo'"):
        Chat(mcp_servers=[package_server] * 2).provider(ScriptedProvider())


@pytest.mark.slow
async def test_a_server_process_by_setting(package_server: McpServer, tmp_path: Path) -> None:
    secret = "sesame-1234"
    program, *args = package_server.command
    entry = {"command": program, "args": args, "env": {**package_server.env, "KEY": secret}}
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"demo": entry}}))
    with FakeOpenAI() as lab:
        lab.answer_with(
            answer([], tool_calls=[("demo_add", '{"a": 1, "b": 2}')], finish="tool_calls"),
            answer(["It is 3."]),
            answer([], tool_calls=[("demo_write", '{"text": "x"}')], finish="tool_calls"),
            answer(["It was not allowed."]),
        )
        async with ServerProcess(tmp_path / "data", lab.url, mcp_servers=config) as server:
            await until(lambda: "mcp_tools_listed" in server.log, 40)
            first = await asked(server.socket_url, {"type": "chat", "message": "1 + 2?"})
            assert text_of(first) == "It is 3."
            second = await asked(server.socket_url, {"type": "chat", "message": "Write"})
            assert text_of(second) == "It was not allowed.", "level 1 can't be asked"
            programs = server.process.children(recursive=True)
            assert any("server.py" in " ".join(child.cmdline()) for child in programs)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.process.wait, 30)
            assert not any(child.is_running() for child in programs)
        results = [message["content"] for message in messages_of(lab) if message["role"] == "tool"]
        assert "3" in results
        assert any("can't be asked" in str(result) for result in results)
    assert "mcp_tools_listed" in server.log
    assert secret not in server.log
    assert "Traceback" not in server.log


async def asked(url: str, frame: dict[str, object]) -> list[dict[str, object]]:
    async with connect(url) as client:
        await client.send(json.dumps(frame))
        frames = [json.loads(await client.recv())]
        while frames[-1]["type"] not in ("done", "error"):
            frames.append(json.loads(await client.recv()))
    return frames


def text_of(frames: list[dict[str, object]]) -> str:
    return "".join(str(frame["content"]) for frame in frames if frame["type"] == "chunk")


def messages_of(lab: FakeOpenAI) -> list[dict[str, object]]:
    return [message for request in lab.chats for message in request.body["messages"]]
