"""The examples of docs/mcp.md work."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.backend.extension.test_tools import ANSWER, calls_of, requests
from wireside import Chat, ChatTester
from wireside.extension.mcp.servers import read_servers
from wireside.providers.scripted import ScriptedProvider

pytestmark = pytest.mark.slow

DOCUMENT = (Path(__file__).parents[4] / "docs" / "mcp.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)


def test_the_example_of_the_setting_is_valid() -> None:
    (config,) = blocks("json")
    files, crm = read_servers(config.replace("…", "x"))
    assert files.command[0] == "npx"
    assert crm.approve == ("delete_customer",)


async def test_the_example_in_code_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server, app = blocks("python")
    (tmp_path / "clock_server.py").write_text(server)
    chat = loaded(tmp_path / "app.py", app)
    calls = requests(("clock_now", "{}"), ("clock_set_alarm", '{"time": "7:00"}'))
    async with ChatTester(chat, provider=ScriptedProvider(calls, ANSWER)) as tester:
        reply = await tester.ask("What time is it?")
        assert reply.question is not None, "only the alarm needs an approval"
        reply = await tester.answer(True)
    assert calls_of(reply.parts)[-1] == ("done", "The alarm is set to 7:00.")


def loaded(file: Path, code: str) -> Chat:
    file.write_text(code)
    spec = importlib.util.spec_from_file_location("mcp_example", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert isinstance(module.chat, Chat)
    return module.chat
