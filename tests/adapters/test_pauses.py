"""Agents that wait for answers: their state, their questions and their tool calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from wireside import Approve, AskText, Chat, ChatTester, Choose, Form, Turn
from wireside.adapters.calls import Calls
from wireside.adapters.pauses import Pauses, question_of
from wireside.extension.questions import Question


class Agent:
    """An agent that asks ``questions`` one after the other."""

    def __init__(self, *questions: str) -> None:
        self._questions = questions
        self.begun = 0
        self.answers: list[Any] = []

    async def stream(self, turn: Turn) -> AsyncIterator[str]:
        pauses = Pauses(turn)
        await pauses.restore()
        if pauses.has_ended:
            return
        number = pauses.state
        if number is None:
            self.begun += 1
            yield "begun "
            number = 0
        while number < len(self._questions):
            (answer,) = await pauses.ask(number, [AskText(self._questions[number])])
            self.answers.append(answer)
            yield f"{answer} "
            number += 1
        pauses.end()
        yield "ended "


def chat_of(*agents: Agent, asks: str = "") -> Chat:
    chat = Chat()

    @chat.on_message
    async def answer(turn: Turn) -> AsyncIterator[str]:
        for agent in agents:
            async for part in agent.stream(turn):
                yield part
        if asks:
            yield str(await turn.ask(AskText(asks)))

    return chat


async def answered(tester: ChatTester, *answers: str) -> str:
    """Answer the questions, each after a restart; return the whole text."""
    text = (await tester.ask("go")).text
    for answer in answers:
        await tester.restart()
        text += (await tester.answer(answer)).text
    return text


async def test_an_agent_goes_on_after_each_restart() -> None:
    agent = Agent("a?", "b?", "c?")
    async with ChatTester(chat_of(agent)) as tester:
        assert await answered(tester, "one", "two", "three") == "begun one two three ended "
    assert (agent.begun, agent.answers) == (1, ["one", "two", "three"])


async def test_two_agents_of_one_answer_have_states_of_their_own() -> None:
    first, second = Agent("a?"), Agent("b?", "c?")
    async with ChatTester(chat_of(first, second)) as tester:
        text = await answered(tester, "one", "two", "three")
    assert text == "begun one ended begun two three ended "
    assert (first.begun, first.answers) == (1, ["one"])
    assert (second.begun, second.answers) == (1, ["two", "three"])


async def test_a_question_after_an_agent_does_not_run_it_again() -> None:
    agent = Agent("a?")
    async with ChatTester(chat_of(agent, asks="Good?")) as tester:
        assert await answered(tester, "one", "yes") == "begun one ended yes"
    assert (agent.begun, agent.answers) == (1, ["one"])


async def test_a_retry_begins_again() -> None:
    agent = Agent("a?")
    async with ChatTester(chat_of(agent)) as tester:
        await answered(tester, "one")
        reply = await tester.retry()
        assert (reply.text, reply.reason) == ("begun ", "asking")
    assert agent.begun == 2


async def test_each_turn_has_an_agent_of_its_own() -> None:
    agent = Agent("a?")
    async with ChatTester(chat_of(agent)) as tester:
        await answered(tester, "one")
        assert await answered(tester, "two") == "begun two ended "


@pytest.mark.parametrize(
    ("value", "question"),
    [
        ("Name?", AskText("Name?")),
        (Approve("Send?"), Approve("Send?")),
        ({"type": "approve", "prompt": "Send?", "yes": "Do"}, Approve("Send?", yes="Do")),
        ({"type": "text", "prompt": "Name?"}, AskText("Name?")),
        ({"prompt": "Name?"}, AskText("Name?")),
        ({"city": "Oslo"}, AskText('{"city": "Oslo"}')),
        (
            {"type": "choose", "prompt": "Which?", "options": ["a", "b"], "multiple": True},
            Choose("Which?", {"a": "a", "b": "b"}, multiple=True),
        ),
        (
            {"type": "choose", "prompt": "?", "options": [{"value": "a", "label": "A"}]},
            Choose("?", {"a": "A"}),
        ),
    ],
)
def test_what_an_agent_asks_is_a_question(value: object, question: Question) -> None:
    assert question_of(value) == question


def test_the_data_of_a_form_is_a_question() -> None:
    fields = [{"name": "city", "type": "choice", "options": ["Oslo"]}, {"name": "late"}]
    found = question_of({"type": "form", "prompt": "Where?", "fields": fields})
    assert isinstance(found, Form)
    assert found.parse({"city": "Oslo", "late": "yes"}) == {"city": "Oslo", "late": "yes"}


def test_calls_of_several_responses_have_different_ids() -> None:
    calls = Calls()
    first = calls.start("call_0", "look", "{}")
    assert calls.start("call_0", "look", "{}") == first
    assert [call.state for call in calls.end("call_0", "found")] == ["done"]
    assert list(calls.end("call_0", "found")) == []
    second = calls.start("call_0", "send", "{}")
    assert (first.call, second.call) == ("call_0", "call_0-2")
    restored = Calls()
    restored.restore(calls.to_object())
    (ended,) = restored.end("call_0", "no", failed=True)
    assert (ended.call, ended.name, ended.state) == ("call_0-2", "send", "failed")
