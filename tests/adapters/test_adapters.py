"""Adapters of agent frameworks: the same agent, against a real model server, behaves the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest

from tests.adapters.conftest import Need
from tests.adapters.frameworks import FRAMEWORKS, World
from wireside import Chat, ChatTester, Reply
from wireside.parts import ReasoningPart, TextPart, ToolCallPart
from wireside.testing import FakeOpenAI, Script, answer, failure

NUMBERS = count(1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=FRAMEWORKS)
def chat(request: pytest.FixtureRequest, need: Need, lab: FakeOpenAI, world: World) -> Chat:
    make, module = FRAMEWORKS[request.param]
    need(module)
    return make(lab.url, world)


def calling(name: str, arguments: str = "{}", text: str = "") -> Script:
    """Return an answer that calls a tool, with an id of its own."""
    script = answer(text and [text], tool_calls=[(name, arguments)], finish="tool_calls")
    call_id = f"call-{next(NUMBERS)}".encode()
    body = (step.replace(b"call_lab_0", call_id) for step in script.body if type(step) is bytes)
    return replace(script, body=tuple(body))


def calls_in(reply: Reply) -> list[tuple[str, str, str | None]]:
    return [
        (part.name, part.state, part.result)
        for part in reply.parts
        if isinstance(part, ToolCallPart)
    ]


async def test_text_reasoning_and_tool_calls_come_in_order(
    chat: Chat, lab: FakeOpenAI, world: World
) -> None:
    lab.answer_with(
        calling("weather", '{"city": "Oslo"}', "Let me look. "), answer(["It is ", "warm."])
    )
    async with ChatTester(chat, door="socket", cut=True) as tester:
        reply = await tester.ask("Weather in Oslo?")
    assert reply.error is None
    kinds = [type(part) for part in reply.parts]
    assert kinds == [TextPart, ToolCallPart, TextPart]
    assert reply.text == "Let me look. \n\nIt is warm."
    (call,) = (part for part in reply.parts if isinstance(part, ToolCallPart))
    assert (call.name, call.state, call.result) == ("weather", "done", "Oslo: 21 degrees")
    assert "Oslo" in call.arguments
    assert world.looked == ["Oslo"]


# ChatOpenAI of LangChain drops the reasoning of compatible services: see test_langgraph.py
@pytest.mark.parametrize(
    "chat", [name for name in FRAMEWORKS if name != "langgraph"], indirect=True
)
async def test_reasoning(chat: Chat, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["Yes."], reasoning=["Hm, ", "so."]))
    async with ChatTester(chat) as tester:
        reply = await tester.ask("?")
    assert reply.parts == (ReasoningPart("Hm, so."), TextPart("Yes."))


async def test_a_follow_up_remembers_text_and_tool_results(chat: Chat, lab: FakeOpenAI) -> None:
    lab.answer_with(
        calling("weather", '{"city": "Oslo"}'), answer(["It is warm."]), answer(["Yes, warm."])
    )
    async with ChatTester(chat) as tester:
        await tester.ask("Weather in Oslo?")
        await tester.restart()
        reply = await tester.ask("Really?")
    assert reply.text == "Yes, warm."
    messages = [one for one in lab.chats[-1].body["messages"] if one["role"] != "system"]
    assert [one["role"] for one in messages] == ["user", "assistant", "tool", "assistant", "user"]
    question, called, result, said, again = messages
    assert (question["content"], again["content"]) == ("Weather in Oslo?", "Really?")
    assert called["tool_calls"][0]["function"]["name"] == "weather"
    assert result["tool_call_id"] == called["tool_calls"][0]["id"]
    assert (result["content"], said["content"]) == ("Oslo: 21 degrees", "It is warm.")


async def test_a_stop_reaches_a_running_tool(chat: Chat, lab: FakeOpenAI, world: World) -> None:
    lab.answer_with(calling("wait", "{}", "Wait. "))
    async with ChatTester(chat) as tester:
        asking = asyncio.create_task(tester.ask("?"))
        async with asyncio.timeout(10):
            await world.waits.wait()
            await tester.stop()
            await world.cleaned_up.wait()
        reply = await asking
    assert (reply.text, reply.reason) == ("Wait. ", "cancelled")


async def test_a_stop_closes_the_stream_of_the_model(chat: Chat, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["One ", "two ", "three"]).stalled(2))
    async with ChatTester(chat) as tester:
        asking = asyncio.create_task(tester.ask("?"))
        await lab.wait_open()
        await asyncio.sleep(0.1)
        await tester.stop()
        reply = await asking
        await lab.wait_closed(5)
    assert reply.reason == "cancelled"


async def test_a_failure_keeps_the_text_before_it(chat: Chat, lab: FakeOpenAI) -> None:
    lab.answer_with(
        calling("weather", '{"city": "Oslo"}', "Let me look. "), failure(400, "The lab fails.")
    )
    async with ChatTester(chat) as tester:
        reply = await tester.ask("?")
    assert reply.text == "Let me look. "
    assert reply.error is not None
    assert "The server's log has error" in reply.error


@pytest.mark.parametrize(("approved", "restarts"), [(True, True), (False, True), (True, False)])
async def test_an_approval_survives_a_restart_and_nothing_runs_twice(
    chat: Chat, lab: FakeOpenAI, world: World, *, approved: bool, restarts: bool
) -> None:
    lab.answer_with(
        calling("weather", '{"city": "Oslo"}', "Let me look. "),
        calling("send", '{"to": "Ada"}', "Now the letter. "),
        answer(["That ", "was it."]),
        answer(["Yes."]),
    )
    async with ChatTester(chat) as tester:
        reply = await tester.ask("Write to Ada")
        assert reply.reason == "asking", reply
        assert reply.question is not None
        assert reply.question["type"] == "approve"
        assert "Ada" in str(reply.question)
        assert reply.text == "Let me look. \n\nNow the letter. "
        assert world.sent == []
        if restarts:
            await tester.restart()
        reply = await tester.answer(approved)
        assert (reply.text, reply.reason, reply.error) == ("That was it.", "stop", None)
        assert world.sent == (["Ada"] if approved else [])
        assert world.looked == ["Oslo"]
        assert len(lab.chats) == 3
        name, state, result = calls_in(reply)[-1]
        assert name == "send"
        assert (state == "done" and result == "Sent to Ada.") or not approved
        await tester.ask("Is it sent?")
    roles = [one["role"] for one in lab.chats[-1].body["messages"] if one["role"] != "system"]
    told = ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert [role for role in roles if role != "assistant"] == [
        role for role in told if role != "assistant"
    ], lab.chats[-1].body["messages"]


async def test_two_approvals_one_after_the_other(chat: Chat, lab: FakeOpenAI, world: World) -> None:
    lab.answer_with(
        calling("send", '{"to": "Ada"}'), calling("send", '{"to": "Bob"}'), answer(["Done."])
    )
    async with ChatTester(chat) as tester:
        reply = await tester.ask("Write to Ada and Bob")
        assert "Ada" in str(reply.question)
        await tester.restart()
        reply = await tester.answer(True)
        assert "Bob" in str(reply.question), reply
        await tester.restart()
        reply = await tester.answer(True)
    assert (reply.text, reply.error) == ("Done.", None)
    assert world.sent == ["Ada", "Bob"]
