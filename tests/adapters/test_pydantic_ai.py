"""The adapter of pydantic-ai: structured results, images, several calls, and external tools."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adapters.conftest import Need
from tests.adapters.frameworks import chat_of
from wireside import ChatTester, Turn
from wireside.messages import Message
from wireside.parts import ImagePart, TextPart, ToolCallPart

PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(autouse=True)
def pydantic_ai(need: Need) -> None:
    need("pydantic_ai")


async def test_a_structured_result_is_shown_as_json() -> None:
    from pydantic import BaseModel
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    from wireside.adapters.pydantic_ai import stream_agent

    class City(BaseModel):
        name: str

    agent: Any = Agent(TestModel(custom_output_args={"name": "Oslo"}), output_type=City)
    async with ChatTester(chat_of(lambda turn: stream_agent(agent, turn))) as tester:
        reply = await tester.ask("?")
    assert reply.text.strip() == '```json\n{"name":"Oslo"}\n```'


async def test_two_calls_are_approved_one_by_one_and_a_failed_one_is_told() -> None:
    from pydantic_ai import Agent, DeferredToolRequests, ModelRetry
    from pydantic_ai.models.function import DeltaToolCall, FunctionModel

    from wireside.adapters.pydantic_ai import stream_agent

    sent: list[str] = []

    async def model(messages: list[Any], info: Any) -> Any:
        if len(messages) > 1:
            yield "Done."
            return
        for index, name in enumerate(("Ada", "Bob")):
            yield {index: DeltaToolCall("send", f'{{"to": "{name}"}}', tool_call_id=name)}

    agent: Any = Agent(
        FunctionModel(stream_function=model), output_type=[str, DeferredToolRequests]
    )

    @agent.tool_plain(requires_approval=True)
    async def send(to: str) -> str:
        if to == "Bob":
            raise ModelRetry("There is no Bob.")
        sent.append(to)
        return "Sent."

    async with ChatTester(chat_of(lambda turn: stream_agent(agent, turn))) as tester:
        await tester.ask("?")
        await tester.restart()
        await tester.answer(True)
        await tester.restart()
        reply = await tester.answer(True)
    assert (reply.text, reply.error, sent) == ("Done.", None, ["Ada"])
    states = {part.call: part.state for part in reply.parts if isinstance(part, ToolCallPart)}
    assert states == {"Ada": "done", "Bob": "failed"}


async def test_a_call_of_an_external_tool_fails_with_its_name() -> None:
    from pydantic_ai import Agent, CallDeferred, DeferredToolRequests
    from pydantic_ai.models.test import TestModel

    from wireside.adapters.pydantic_ai import stream_agent

    agent: Any = Agent(TestModel(), output_type=[str, DeferredToolRequests])

    @agent.tool_plain
    async def scan() -> str:
        raise CallDeferred

    async with ChatTester(chat_of(lambda turn: stream_agent(agent, turn))) as tester:
        reply = await tester.ask("?")
    assert reply.error == "Nothing here runs the external tools scan."


async def test_an_image_and_the_arguments_of_the_run_reach_the_model() -> None:
    from pydantic_ai import Agent, BinaryContent, ImageUrl
    from pydantic_ai.models.function import FunctionModel

    from wireside.adapters.pydantic_ai import stream_agent

    seen: list[Any] = []

    async def model(messages: list[Any], info: Any) -> Any:
        seen.extend(messages[-1].parts[-1].content)
        yield "A pixel."

    agent: Any = Agent(FunctionModel(stream_function=model), deps_type=str)
    parts = (TextPart("What?"), ImagePart(url=PIXEL), ImagePart(url="https://a.example/b.png"))
    turn: Turn[Any, Any] = Turn("What?", messages=[Message("user", parts)])
    answer = [part async for part in stream_agent(agent, turn, deps="x")]
    assert "".join(answer) == "A pixel."
    text, image, linked = seen
    assert text == "What?"
    assert isinstance(image, BinaryContent)
    assert image.media_type == "image/png"
    assert isinstance(linked, ImageUrl)
