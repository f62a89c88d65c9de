"""The adapter of LlamaIndex: tools that wait at the same time, and workflows of a team's own."""

from typing import Any  # LlamaIndex reads annotations at run time: they are no strings here

import pytest

from tests.adapters.conftest import Need
from tests.adapters.frameworks import chat_of
from wireside import ChatTester, Turn
from wireside.messages import Message
from wireside.parts import ImagePart, TextPart, ToolCallPart
from wireside.testing import FakeOpenAI, answer


@pytest.fixture(autouse=True)
def llama_index(need: Need) -> None:
    need("llama_index.core")


async def test_a_workflow_is_answered_by_its_result_and_may_ask(need: Need) -> None:
    from tests.adapters.lab_llm import Greeting
    from wireside.adapters.llama_index import stream_workflow

    chat = chat_of(lambda turn: stream_workflow(Greeting(timeout=10), turn))
    async with ChatTester(chat) as tester:
        reply = await tester.ask("Hi")
        assert reply.question is not None
        assert (reply.question["type"], reply.question["prompt"]) == ("text", "Name?")
        await tester.restart()
        reply = await tester.answer("Ada")
    assert (reply.text, reply.error) == ("Hi, Ada", None)


async def test_a_tool_that_has_run_beside_one_that_waits_does_not_run_again(
    lab: FakeOpenAI,
) -> None:
    from llama_index.core.agent.workflow import FunctionAgent

    from tests.adapters.lab_llm import LabLLM, asking_tool
    from wireside.adapters.llama_index import stream_workflow

    sent: list[str] = []
    looked: list[str] = []

    async def work(to: str) -> str:
        sent.append(to)
        return f"Sent to {to}."

    async def look(city: str) -> str:
        """Look."""
        looked.append(city)
        return "warm"

    agent = FunctionAgent(tools=[asking_tool(work), look], llm=LabLLM(url=lab.url))
    calls = [("send", '{"to":"Ada"}'), ("look", '{"city":"Oslo"}'), ("send", '{"to":"Bob"}')]
    lab.answer_with(answer("", tool_calls=calls, finish="tool_calls"), answer(["Done."]))
    async with ChatTester(chat_of(lambda turn: stream_workflow(agent, turn))) as tester:
        reply = await tester.ask("?")
        answers = {"Ada": False, "Bob": True}
        for _ in range(2):
            assert reply.question is not None, reply
            await tester.restart()
            (name,) = (name for name in answers if name in reply.question["prompt"])
            reply = await tester.answer(answers.pop(name))
    assert (reply.text, reply.error) == ("Done.", None)
    assert (sent, looked) == (["Bob"], ["Oslo"])
    assert [part.state for part in reply.parts if isinstance(part, ToolCallPart)] == ["done"] * 2


@pytest.mark.parametrize(
    ("url", "block"),
    # a model class may fetch an address, which an imported conversation contains
    [("data:image/png;base64,AA==", "ImageBlock"), ("https://a.example/b.png", "TextBlock")],
)
async def test_an_image_reaches_the_workflow_by_its_content(url: str, block: str) -> None:
    from tests.adapters.lab_llm import Describing
    from wireside.adapters.llama_index import stream_workflow

    parts = (TextPart("What?"), ImagePart(url=url))
    turn: Turn[Any, Any] = Turn("What?", messages=[Message("user", parts)])
    found = [part async for part in stream_workflow(Describing(), turn)]
    assert found == [str(["TextBlock", block])]
