"""The adapter of the OpenAI Agents SDK: handoffs, the context of a run, and structured results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.adapters.conftest import Need
from tests.adapters.frameworks import chat_of
from wireside import ChatTester, Turn
from wireside.messages import Message
from wireside.parts import DataPart, ImagePart, TextPart, data_of
from wireside.testing import FakeOpenAI, answer

PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(autouse=True)
def openai_agents(need: Need) -> None:
    need("agents")
    from agents import set_tracing_disabled

    set_tracing_disabled(True)


def model_of(lab: FakeOpenAI) -> Any:
    from agents import AsyncOpenAI, OpenAIChatCompletionsModel

    return OpenAIChatCompletionsModel("lab-1", AsyncOpenAI(base_url=lab.url, api_key="x"))


async def test_a_handoff_is_a_step(lab: FakeOpenAI) -> None:
    from agents import Agent

    from wireside.adapters.openai_agents import stream_agent

    writer: Any = Agent("Writer", model=model_of(lab))
    agent: Any = Agent("Clerk", model=model_of(lab), handoffs=[writer])
    call = [("transfer_to_writer", "{}")]
    lab.answer_with(answer("", tool_calls=call, finish="tool_calls"), answer(["Dear Ada"]))
    async with ChatTester(chat_of(lambda turn: stream_agent(agent, turn))) as tester:
        reply = await tester.ask("Write to Ada")
    assert (reply.text, reply.error) == ("Dear Ada", None)
    (step,) = (data_of(part) for part in reply.parts if isinstance(part, DataPart))
    assert (step["name"], step["state"]) == ("Clerk → Writer", "done")


@dataclass
class Office:
    sent: list[str] = field(default_factory=list)


@pytest.mark.parametrize("restarts", [True, False])
async def test_the_context_of_a_run_is_there_after_an_approval(
    lab: FakeOpenAI, *, restarts: bool
) -> None:
    from agents import Agent, RunContextWrapper, function_tool

    from wireside.adapters.openai_agents import stream_agent

    async def send(context: Any, to: str) -> str:
        """Send a letter."""
        context.context.sent.append(to)
        return "Sent."

    send.__annotations__["context"] = RunContextWrapper[Office]
    tool = function_tool(send, needs_approval=True)
    agent: Any = Agent("Clerk", model=model_of(lab), tools=[tool])
    call = [("send", '{"to": "Ada"}')]
    lab.answer_with(answer("", tool_calls=call, finish="tool_calls"), answer(["Done."]))
    office = Office()
    chat = chat_of(lambda turn: stream_agent(agent, turn, context=office))
    async with ChatTester(chat) as tester:
        await tester.ask("Write to Ada")
        if restarts:
            await tester.restart()
        reply = await tester.answer(True)
    assert (reply.text, reply.error, office.sent) == ("Done.", None, ["Ada"])


async def test_a_structured_result_is_json_text_and_an_image_reaches_the_model(
    lab: FakeOpenAI,
) -> None:
    from agents import Agent
    from pydantic import BaseModel

    from wireside.adapters.openai_agents import stream_agent

    class City(BaseModel):
        name: str

    agent: Any = Agent("Clerk", model=model_of(lab), output_type=City)
    lab.answer_with(answer(['{"name":', '"Oslo"}']))
    message = Message("user", (TextPart("What?"), ImagePart(url=PIXEL)))
    turn: Turn[Any, Any] = Turn("What?", messages=[message])
    parts = [part async for part in stream_agent(agent, turn)]
    assert "".join(parts) == '{"name":"Oslo"}'
    (sent,) = lab.chats[-1].body["messages"]
    text, image = sent["content"]
    assert (text["text"], image["image_url"]["url"]) == ("What?", PIXEL)
