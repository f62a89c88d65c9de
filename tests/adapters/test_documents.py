"""The examples of docs/extending-adapters.md and of examples/ run."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.adapters.conftest import Need
from wireside import ChatTester
from wireside.parts import DataPart, data_of
from wireside.providers.scripted import ScriptedProvider
from wireside.testing import FakeOpenAI, answer

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "extending-adapters.md").read_text("utf-8")
EXAMPLES = dict(
    re.findall(r"^## ([^\n]+)\n+```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
)
MODULES = {
    "pydantic-ai": "pydantic_ai",
    "LangGraph": "langchain.agents",
    "OpenAI Agents SDK": "agents",
    "LlamaIndex": "llama_index.core",
}


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"loaded_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_each_framework_has_an_example_of_few_lines() -> None:
    assert EXAMPLES.keys() == MODULES.keys()
    assert max(len(list(filter(str.strip, code.splitlines()))) for code in EXAMPLES.values()) <= 15


@pytest.mark.parametrize("name", MODULES)
async def test_an_example_asks_and_sends(
    name: str, need: Need, lab: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(MODULES[name])
    monkeypatch.setenv("OPENAI_BASE_URL", lab.url)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    if name == "LlamaIndex":
        from llama_index.core import Settings

        from tests.adapters.lab_llm import LabLLM

        monkeypatch.setattr(Settings, "_llm", LabLLM(url=lab.url))
    file = tmp_path / f"example_{MODULES[name].partition('.')[0]}.py"
    file.write_text(EXAMPLES[name], "utf-8")
    arguments = '{"to": "Ada"}' if name == "LlamaIndex" else '{"to": "Ada", "text": "Hello"}'
    lab.answer_with(
        answer("", tool_calls=[("send", arguments)], finish="tool_calls"), answer(["It is sent."])
    )
    async with ChatTester(load(file).chat) as tester:
        reply = await tester.ask("Write to Ada")
        assert reply.question is not None, reply
        await tester.restart()
        reply = await tester.answer(True)
    assert (reply.text, reply.error) == ("It is sent.", None)
    assert lab.chats[-1].body["messages"][-1]["content"] == "Sent to Ada."


@pytest.mark.parametrize("approved", [True, False])
async def test_the_langgraph_agent_sends_after_approval(need: Need, *, approved: bool) -> None:
    need("langgraph")
    chat = load(ROOT / "examples" / "langgraph_agent.py").chat
    provider = ScriptedProvider(["Dear ", "Ada"]) if approved else None
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("Decline")
        assert reply.text == ("Dear Ada" if approved else "Dear all,\n\nDecline.\n\nYours")
        assert reply.question is not None
        await tester.restart()
        reply = await tester.answer(approved)
    assert (reply.text, reply.error) == ("The letter is on its way." if approved else "", None)
    steps = [data_of(part) for part in reply.parts if isinstance(part, DataPart)]
    names = [step["name"] for step in steps if isinstance(step, dict) and "state" in step]
    assert names == (["review", "send"] if approved else ["review"])
