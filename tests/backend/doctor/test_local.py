"""The doctor's checks, on a local server whose behaviour the test sets."""

from __future__ import annotations

import asyncio
import http
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from wireside.doctor import local
from wireside.doctor.checks import Check
from wireside.doctor.local import examine
from wireside.errors import (
    NotConfigured,
    ProviderAuth,
    ProviderUnavailable,
    UnknownModel,
    WiresideError,
)
from wireside.messages import Finished, ModelInfo
from wireside.providers import weights
from wireside.providers.scripted import ScriptedProvider
from wireside.settings.model import Settings
from wireside.store.store import SqlStore
from wireside.testing import FakeOpenAI, failure


def answering(error: WiresideError | None = None) -> ScriptedProvider:
    """A provider with one model that answers with a word, or raises."""
    return ScriptedProvider(
        [error or "Hello", Finished("length")], models=(ModelInfo(id="small", name="Small"),)
    )


@dataclass
class Running:
    """The state of a running server, which the doctor checks through its port."""

    ready: dict[str, object] = field(
        default_factory=lambda: {"status": "ready", "provider": "embedded", "memory_mb": 120.5}
    )
    frames: list[dict[str, object]] = field(default_factory=list)
    refused_origins: set[str] = field(default_factory=set)
    status: int = 403
    closes_at_once: bool = False
    port: int = 0

    def answer(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path == "/api/health/live":
            return self._json({"status": "ok"})
        if request.path == "/api/health/ready":
            return self._json(self.ready)
        if request.headers.get("Origin") in self.refused_origins:
            return Response(self.status, http.HTTPStatus(self.status).phrase, Headers())
        return None

    def _json(self, value: dict[str, object]) -> Response:
        body = json.dumps(value).encode()
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
        return Response(200, "OK", headers, body)

    async def talk(self, ws: ServerConnection) -> None:
        if self.closes_at_once:
            return
        async for frame in ws:
            if json.loads(frame)["type"] == "ping":
                await ws.send('{"type": "pong"}')
            else:
                for answer in self.frames:
                    await ws.send(json.dumps(answer))
                    await asyncio.sleep(0.01)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    chunk: dict[str, object] = {"type": "chunk", "content": "one "}
    script = Running(frames=[chunk, chunk, {"type": "done"}])
    async with serve(script.talk, "127.0.0.1", 0, process_request=script.answer) as server:
        script.port = next(iter(server.sockets)).getsockname()[1]
        yield script


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("WIRESIDE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRESIDE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WIRESIDE_DATA_DIR", str(tmp_path / "data"))


async def check(name: str, *, port: int = 0, origin: str | None = None) -> Check:
    checks = await examine(port=port, origin=origin, make=lambda _: answering())
    return [found for found in checks if found.name == name][-1]


async def model_check(provider: ScriptedProvider, **settings: str) -> Check:
    found = await local.check_provider(Settings(**settings), lambda _: provider)  # type: ignore[arg-type]
    assert provider.is_closed
    assert {call.request.max_tokens for call in provider.calls} <= {1}
    return found


def test_nothing_is_written(tmp_path: Path) -> None:
    asyncio.run(check("Python"))
    assert list(tmp_path.iterdir()) == []


async def test_every_failure_has_a_remedy() -> None:
    for found in await examine(port=0, make=lambda _: answering(ProviderAuth())):
        assert (found.state == "failed") == (found.remedy is not None), found


async def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRESIDE_PORT", "http")
    found = [c for c in await examine(make=lambda _: answering()) if c.state == "failed"]
    assert [c.name for c in found] == ["Settings"]
    assert "WIRESIDE_PORT" in found[0].finding
    assert found[0].remedy == "export WIRESIDE_PORT=8080"


async def test_each_provider_is_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await local.check_providers(Settings()) == []
    async with FakeOpenAI() as good, FakeOpenAI() as keyed:
        keyed.models_answer = failure(401, "Incorrect API key: sk-secret")
        providers = [
            {"name": "good", "base_url": good.url, "api_key": "sk-secret"},
            {"name": "alias", "base_url": good.url, "aliases": {"fast": "gone"}},
            {"name": "none", "base_url": good.url, "include": ["gpt-*"]},
            {"name": "keyed", "base_url": keyed.url, "api_key": "sk-secret"},
            {"name": "down", "base_url": "http://127.0.0.1:9/v1"},
            {"name": "off", "base_url": good.url, "enabled": False},
        ]
        monkeypatch.setenv("OPENAI_BASE_URL", good.url)
        monkeypatch.setenv("WIRESIDE_PROVIDERS", json.dumps(providers))
        checks = await examine(port=0, make=lambda _: answering())
    found = {one.finding.split(" ")[0]: one for one in checks if one.name == "Provider"}
    assert {name: one.state for name, one in found.items()} == {
        "main": "ok",
        "good": "ok",
        "alias": "warning",
        "none": "failed",
        "keyed": "failed",
        "down": "failed",
        "off": "skipped",
    }
    assert "2 models (lab-1, lab-2), with its key" in found["good"].finding
    assert "without a key" in found["main"].finding
    assert "`fast`" in found["alias"].finding
    assert "`include`" in found["none"].finding
    assert "`keyed` in [[providers]]" in str(found["keyed"].remedy)
    assert str(found["down"].remedy).startswith("curl http://127.0.0.1:9/v1/models")
    assert "sk-secret" not in repr(checks)


async def test_a_public_address_without_accounts_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await check("Accounts")).state == "ok"
    monkeypatch.setenv("WIRESIDE_PUBLIC_URL", "https://chat.example.org")
    found = await check("Accounts")
    assert (found.state, found.remedy) == ("warning", "export WIRESIDE_AUTH=password")
    monkeypatch.setenv("WIRESIDE_HOST", "0.0.0.0")
    assert (await check("Accounts")).state == "failed"
    monkeypatch.setenv("WIRESIDE_AUTH", "password")
    assert (await check("Accounts")).state == "ok"


def test_a_misspelt_variable_is_told() -> None:
    found = local.check_names({"WIRESIDE_PROT": "1", "HOME": "/"})
    assert (found.state, found.remedy) == ("failed", "unset WIRESIDE_PROT")
    assert "WIRESIDE_PORT" in found.finding
    assert local.check_names({"WIRESIDE_PORT": "1"}).state == "ok"


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = local.check_folder("Data folder", tmp_path / "file" / "data", "data_dir")
    assert found.state == "failed"
    assert "WIRESIDE_DATA_DIR" in (found.remedy or "")


async def test_missing_and_damaged_weights_are_pulled(tmp_path: Path) -> None:
    settings = Settings()
    missing = await local.check_weights(settings)
    settings.cache_dir.mkdir()
    with weights.path(settings.cache_dir).open("wb") as file:
        file.truncate(weights.SMOLLM2.size)
    damaged = await local.check_weights(settings)
    assert "missing" in missing.finding
    assert "damaged" in damaged.finding
    assert {missing.remedy, damaged.remedy} == {"wireside pull"}
    skipped = await local.check_weights(Settings(openai_api_key="k"))
    assert skipped.state == "skipped"


async def test_a_model_that_answers_is_fine() -> None:
    found = await model_check(answering())
    assert found.state == "ok"
    assert "small" in found.finding


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ProviderAuth(), "OPENAI_API_KEY"),
        (ProviderUnavailable(), "curl http://127.0.0.1:9/v1/models"),
        (NotConfigured(), "OPENAI_BASE_URL"),
    ],
)
async def test_a_model_that_fails_comes_with_what_mends_it(
    error: WiresideError, words: str
) -> None:
    found = await model_check(answering(error), openai_base_url="http://127.0.0.1:9/v1")
    assert found.state == "failed"
    assert found.finding == str(error)
    assert words in (found.remedy or "")


async def test_a_model_that_is_not_offered_is_told() -> None:
    found = await model_check(answering(UnknownModel()), model="gpt-9")
    assert (found.state, found.remedy) == ("failed", "export WIRESIDE_MODEL=small")


async def test_a_model_that_answers_without_being_listed_is_fine() -> None:
    """Azure lists models, and also answers to the names of deployments."""
    assert (await model_check(answering(), model="my-deployment")).state == "ok"


async def test_an_address_that_was_found_is_the_remedy() -> None:
    line = "export OPENAI_BASE_URL=http://127.0.0.1:9/v1"
    error = NotConfigured("It is at …/v1.", remedy=line)
    found = await model_check(answering(error), openai_base_url="http://127.0.0.1:9")
    assert (found.state, found.remedy) == ("failed", line)


async def test_a_port_is_free_taken_or_ours(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        taken = await asyncio.to_thread(local.check_port, Settings(port=port), None)
    free = local.check_port(Settings(port=port), None)
    ours = await check("Port", port=running.port)
    assert (taken.state, free.state, ours.state) == ("failed", "ok", "ok")
    assert "wireside serve --port" in (taken.remedy or "")
    assert "Wireside runs" in ours.finding


async def test_a_server_with_a_provider_of_its_own_is_named(
    running: Running,
) -> None:
    running.ready["provider"] = "parrot"
    for name in ("Weights", "Model"):
        found = await check(name, port=running.port)
        assert found.state == "skipped"
        assert "parrot" in found.finding


async def test_without_a_server_its_checks_are_skipped() -> None:
    assert (await check("Streaming")).state == "skipped"


async def test_a_server_that_behaves_passes(running: Running) -> None:
    for name in ("WebSocket", "Streaming", "Server's memory"):
        found = await check(name, port=running.port)
        assert found.state == "ok", found


async def test_a_refused_origin_is_told_with_the_setting(running: Running) -> None:
    page = "http://localhost:3000"
    running.refused_origins.add(page)
    found = await check("WebSocket", port=running.port, origin=page)
    assert found.state == "failed"
    assert f"WIRESIDE_ALLOWED_ORIGINS={page}" in (found.remedy or "")


async def test_a_socket_that_closes_at_once_is_told(running: Running) -> None:
    running.closes_at_once = True
    assert (await check("WebSocket", port=running.port)).state == "failed"


async def test_an_answer_in_one_lump_does_not_stream(running: Running) -> None:
    running.frames = [{"type": "chunk", "content": "all at once"}, {"type": "done"}]
    found = await check("Streaming", port=running.port)
    assert found.state == "failed"
    assert "one piece" in found.finding


async def test_an_error_of_the_server_is_passed_on(running: Running) -> None:
    running.frames = [{"type": "error", "message": "The key was refused."}]
    found = await check("Streaming", port=running.port)
    assert (found.state, found.finding) == ("failed", "The key was refused.")


async def test_a_frame_that_cannot_be_read_is_a_finding(running: Running) -> None:
    running.frames = [{"type": "chunk", "content": 7}]
    found = await check("Streaming", port=running.port)
    assert found.state == "failed"
    assert found.finding.startswith("no answer: The frame of type chunk is invalid")


async def test_a_fat_server_is_told(running: Running) -> None:
    running.ready["memory_mb"] = 4000
    found = await check("Server's memory", port=running.port)
    assert found.state == "failed"
    assert "WIRESIDE_RESUME_WINDOW_S" in (found.remedy or "")


@pytest.mark.slow
async def test_the_database_is_looked_at(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    found = await local.check_database(settings, is_running=False)
    assert (found.state, "will be created" in found.finding) == ("ok", True)
    running = SqlStore(f"sqlite:///{tmp_path / 'wireside.db'}")
    await running.open()
    assert (await local.check_database(settings, is_running=True)).state == "ok"
    other = await local.check_database(settings, is_running=False)
    assert (other.state, other.finding.startswith("Another server")) == ("failed", True)
    await running.aclose()
    nowhere = Settings(data_dir=tmp_path, database_url="postgresql://x:secret@127.0.0.1:9/x")
    found = await local.check_database(nowhere, is_running=False)
    assert found.state == "failed"
    assert "secret" not in found.finding


async def test_mcp_servers_are_opened_and_their_tools_counted(tmp_path: Path) -> None:
    programs = Path(__file__).parents[1] / "extension" / "mcp" / "programs"
    raw = {"command": sys.executable, "args": [str(programs / "raw.py"), "good"]}
    servers = {"good": raw, "bad": {"command": "no-such-program", "env": {"KEY": "sesame"}}}
    settings = Settings(data_dir=tmp_path, mcp_servers=json.dumps({"mcpServers": servers}))
    good, bad = await local.check_mcp_servers(settings)
    assert (good.state, good.finding) == ("ok", "good, 1 tool")
    assert (bad.state, bad.finding) == ("failed", "bad: There is no such program or folder.")
    assert not await local.check_mcp_servers(Settings(data_dir=tmp_path))
