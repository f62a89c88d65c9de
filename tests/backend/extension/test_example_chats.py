"""The chats in examples/ answer as they say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from starlette.testclient import TestClient

from wireside import Chat, ChatTester
from wireside.parts import DataPart, FilePart
from wireside.providers.scripted import ScriptedProvider

EXAMPLES = Path(__file__).parents[3] / "examples"


def load(name: str) -> Chat:
    chat = load_module(name).chat
    assert isinstance(chat, Chat)
    return chat


def load_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


async def test_the_support_bot_refunds_after_approval() -> None:
    async with ChatTester(load("support_bot")) as tester:
        reply = await tester.ask("Refund it, please")
        assert reply.question is not None
        assert reply.question["type"] == "text"
        reply = await tester.answer("1002")
        assert reply.question is not None
        assert "480.00 €" in reply.question["prompt"]
        assert (await tester.answer(True)).text == "Refunded. Your receipt is R-1002."
        await tester.ask("Refund order 1001")
        assert (await tester.answer(False)).text == "Nothing was refunded."


async def test_the_analyst_counts_its_tables() -> None:
    async with ChatTester(load("analyst")) as tester:
        await tester.ask("Revenue by month")
        reply = await tester.ask("Again", options={"limit": 2})
    assert reply.text == "Table 2: the revenue by month."
    kinds = [part.kind for part in reply.parts if isinstance(part, DataPart)]
    assert kinds == ["step", "table", "source"]
    assert [part.name for part in reply.parts if isinstance(part, FilePart)] == ["revenue.csv"]


@pytest.mark.parametrize("has_model", [True, False])
async def test_the_folder_search_names_its_sources(
    has_model: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tea.md").write_text("# Tea\n\nGreen tea takes three minutes.", "utf-8")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    provider = ScriptedProvider(["Three minutes."]) if has_model else None
    async with ChatTester(load("folder_search"), provider=provider) as tester:
        reply = await tester.ask("How long does green tea take?")
        assert reply.text == ("Three minutes." if has_model else "> Green tea takes three minutes.")
        sources = [part.text for part in reply.parts if isinstance(part, DataPart)]
        assert sources[-1] == "tea.md"
        assert (await tester.ask("Coffee?")).text == "No file has anything about this."


def test_the_mounted_chat_knows_the_users_of_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRESIDE_DATA_DIR", str(tmp_path))
    app = load_module("mounted_chat").app
    with TestClient(app, base_url="http://127.0.0.1") as browser:
        at_sign_in = browser.get("/chat", headers={"Accept": "text/html"})
        assert at_sign_in.url.path == "/login"
        assert browser.get("/chat/api/models").status_code == 401
        form = {"name": "ada", "password": "wrong"}
        own = {"Origin": "http://127.0.0.1"}
        assert browser.post(str(at_sign_in.url), data=form).status_code == 403
        back = browser.post(str(at_sign_in.url), data={**form, "password": "countess"})
        assert (back.url.path, back.status_code) == ("/chat/", 200)
        away = {"next": "//elsewhere.example"}
        back = browser.post("/login", params=away, data={**form, "password": "countess"})
        assert back.url.path == "/"
        assert "embed.js" in back.text
        with browser.websocket_connect("ws://127.0.0.1/chat/ws/ai-chat", headers=own) as socket:
            socket.send_json({"type": "chat", "id": "1", "message": "hi"})
            frames = [socket.receive_json()]
            while frames[-1]["type"] not in ("done", "error"):
                frames.append(socket.receive_json())
        text = "".join(frame["content"] for frame in frames if frame["type"] == "chunk")
        assert text == "You are Ada, and you wrote: hi"
