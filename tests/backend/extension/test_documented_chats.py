"""The chats in the documentation answer: each Python block runs as it stands."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wireside import Chat, ChatTester, Turn
from wireside.extension.chat import NoHandler
from wireside.providers.scripted import ScriptedProvider

DOCS = Path(__file__).parents[3] / "docs"
PAGES = (
    "coming-from.md",
    "extending.md",
    "extending-files.md",
    "extending-parts.md",
    "extending-questions.md",
)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read_blocks(page: str) -> list[str]:
    return BLOCK.findall((DOCS / page).read_text("utf-8"))


def params(*, of_tests: bool) -> list[Any]:
    return [
        pytest.param(block, id=f"{page}-{number}")
        for page in PAGES
        for number, block in enumerate(read_blocks(page))
        if ("\nasync def test_" in block) == of_tests
    ]


async def search(text: str) -> str:
    return f"found {text}"


def query(text: str) -> list[list[object]]:
    return [["May", 3]]


class Words:
    """What a model would write, for a loop of either kind."""

    def __init__(self, *texts: object) -> None:
        self._words = [f"{word} " for text in texts for word in str(text).split()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    async def __aiter__(self) -> AsyncIterator[str]:
        for word in self._words:
            yield word


class Adapter:
    """The adapter of a framework, whose events are of AG-UI."""

    async def run_stream(self) -> AsyncIterator[dict[str, str]]:
        yield {"type": "TEXT_MESSAGE_CONTENT", "messageId": "1", "delta": "Hello"}


def say_yes(turn: Turn) -> str:
    return "Yes."


@pytest.fixture
def run_block(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, Any]]:
    """Return a function that runs a block as a module of that name."""

    def run(block: str, name: str) -> dict[str, Any]:
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)  # dataclasses look their module up
        helpers = {"search": search, "query": query, "write": Words, "read_basket": str}
        module.__dict__.update(helpers, adapter=Adapter())
        exec(compile(block, name, "exec"), module.__dict__)
        return module.__dict__

    return run


RunBlock = Callable[[str, str], dict[str, Any]]


async def answer_to(question: Mapping[str, Any], tester: ChatTester) -> Any:
    match question["type"]:
        case "approve":
            return True
        case "choose":
            value = question["options"][0]["value"]
            return [value] if question["multiple"] else value
        case "form":
            values = {"text": "Rome", "number": 2, "switch": True}
            return {
                field["name"]: values.get(field["type"]) or field["options"][0]["value"]
                for field in question["fields"]
            }
        case "file":
            return await tester.upload("a.csv", b"a,b\n1,2\n")
        case _:
            return "Ada"


@pytest.mark.parametrize("block", params(of_tests=False))
async def test_a_documented_chat_answers(block: str, run_block: RunBlock) -> None:
    chat = run_block(block, "documented")["chat"]
    assert isinstance(chat, Chat)
    try:
        chat.check(has_models=True)
    except NoHandler:  # the block is about something else
        chat.on_message(say_yes)
    async with ChatTester(chat, provider=ScriptedProvider(["Hello"])) as tester:
        reply = await tester.ask("tea")
        while reply.question is not None:
            reply = await tester.answer(await answer_to(reply.question, tester))
        assert (reply.reason, reply.error) == ("stop", None)
        assert reply.parts


@pytest.mark.parametrize("block", params(of_tests=True))
async def test_a_documented_test_passes(block: str, run_block: RunBlock) -> None:
    blocks = read_blocks("extending.md")
    run_block(blocks[0], "app")
    run_block(next(one for one in blocks if "read_basket" in one), "shop")
    for name, found in run_block(block, "test_documented").items():
        if name.startswith("test_"):
            await found()
