"""Tools of a chat: what the model is offered, how calls run, and how they fail."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import pytest

from wireside import Chat, ChatTester, Image, ToolFailed
from wireside.extension.tools import LIMITS
from wireside.messages import Finished, TextDelta, ToolDelta, Usage
from wireside.parts import DataPart, ImagePart, ToolCallPart
from wireside.providers.scripted import ScriptedProvider, Step


def requests(*calls: tuple[str, str]) -> list[Step]:
    """Return the script of a model that requests calls."""
    deltas = [ToolDelta(f"c{n}", name, "requested", text) for n, (name, text) in enumerate(calls)]
    return [TextDelta("Let me see. "), *deltas, Finished("stop", Usage(1, 2))]


ANSWER: list[Step] = ["It is warm.", Finished("stop", Usage(10, 20))]


def weather_chat() -> Chat:
    chat = Chat()

    @chat.tool
    async def weather(city: str, unit: Literal["C", "F"] = "C") -> dict[str, object]:
        """Return the weather of a city."""
        return {"city": city, "unit": unit, "degrees": 21}

    return chat


def calls_of(parts: tuple[Any, ...]) -> list[tuple[str, str | None]]:
    return [(part.state, part.result) for part in parts if isinstance(part, ToolCallPart)]


async def test_a_tool_is_run_and_the_model_gets_its_result() -> None:
    provider = ScriptedProvider(requests(("weather", '{"city": "Zürich"}')), ANSWER)
    async with ChatTester(weather_chat(), provider=provider) as tester:
        reply = await tester.ask("Weather?")
        follow_up = await tester.ask("And now?")
    assert reply.text == "Let me see. \n\nIt is warm."
    assert calls_of(reply.parts) == [("done", '{"city":"Zürich","unit":"C","degrees":21}')]
    first, second, _ = (call.request for call in provider.calls)
    (spec,) = first.tools
    assert (spec.name, spec.description) == ("weather", "Return the weather of a city.")
    schema = json.loads(spec.parameters)
    assert schema["required"] == ["city"]
    assert schema["properties"]["unit"]["enum"] == ["C", "F"]
    (call,) = (part for part in second.messages[-1].parts if isinstance(part, ToolCallPart))
    assert (call.name, call.state) == ("weather", "done")
    assert follow_up.error is None


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        ("{}", "city: Field required"),
        ('{"city": "Z", "unit": "K"}', "unit: "),
    ],
)
async def test_arguments_that_do_not_fit_are_reported_to_the_model(
    arguments: str, result: str
) -> None:
    provider = ScriptedProvider(requests(("weather", arguments)), ANSWER)
    async with ChatTester(weather_chat(), provider=provider) as tester:
        reply = await tester.ask("Weather?")
    ((state, found),) = calls_of(reply.parts)
    assert state == "failed"
    assert result in str(found)
    assert reply.text.endswith("It is warm.")


async def test_failures_of_a_tool_end_its_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = Chat()

    @chat.tool
    def refuses() -> None:
        raise ToolFailed("The office is closed.")

    @chat.tool
    def breaks() -> None:
        raise ValueError("secret")

    @chat.tool
    def floods() -> str:
        return "x" * 1_000_000

    calls = [(name, "{}") for name in ("refuses", "breaks", "floods")]
    provider = ScriptedProvider(requests(*calls), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("?")
    refused, broken, flooded = calls_of(reply.parts)
    assert refused == ("failed", "The office is closed.")
    assert broken == ("failed", "The tool failed.")
    assert flooded[0] == "done"
    assert len(flooded[1] or "") < LIMITS.result_chars + 100


async def test_a_model_that_never_stops_to_request_tools_is_asked_without_them() -> None:
    again = requests(("weather", '{"city": "Z"}'))
    provider = ScriptedProvider(*[again] * LIMITS.rounds, ANSWER)
    async with ChatTester(weather_chat(), provider=provider) as tester:
        reply = await tester.ask("Weather?")
    assert len(provider.calls) == LIMITS.rounds + 1
    assert not provider.calls[-1].request.tools
    assert len(calls_of(reply.parts)) == LIMITS.rounds
    assert reply.text.endswith("It is warm.")


async def test_a_model_that_requests_tools_which_it_was_not_offered_gets_none() -> None:
    again = requests(("weather", '{"city": "Z"}'))
    provider = ScriptedProvider(again)
    async with ChatTester(weather_chat(), provider=provider) as tester:
        reply = await tester.ask("Weather?")
    states = [state for state, _ in calls_of(reply.parts)]
    assert states == ["done"] * LIMITS.rounds + ["requested"]
    assert len(provider.calls) == LIMITS.rounds + 1


async def test_approval_shows_arguments_in_a_fence_that_they_cannot_leave() -> None:
    chat = Chat()

    @chat.tool(approve=True)
    def send(text: str) -> str:
        return text

    arguments = json.dumps({"text": "```\n# Approve at once\n````"})
    provider = ScriptedProvider(requests(("send", arguments)), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("?")
    assert reply.question is not None
    assert reply.question["prompt"].endswith(f"`````json\n{arguments}\n`````")


async def test_an_image_is_shown_to_the_user() -> None:
    chat = Chat()

    @chat.tool
    def draw() -> Image:
        return Image(data=b"\x89PNG", name="sketch")

    provider = ScriptedProvider(requests(("draw", "{}")), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("Draw")
    assert any(isinstance(part, ImagePart) for part in reply.parts)
    assert calls_of(reply.parts) == [("done", "The user sees the result.")]


@pytest.mark.parametrize("approved", [True, False])
async def test_approval_may_come_after_a_restart_and_nothing_runs_twice(approved: bool) -> None:
    chat = Chat()
    sent: list[str] = []
    looked: list[str] = []

    @chat.tool(approve=True)
    async def send(to: str) -> str:
        """Send the letter."""
        sent.append(to)
        return "Sent."

    @chat.tool
    async def look() -> str:
        looked.append("once")
        return "found"

    script = requests(("look", "{}"), ("send", '{"to": "Ada"}'))
    provider = ScriptedProvider(script, ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        reply = await tester.ask("Send it")
        assert reply.reason == "asking"
        assert not sent
        await tester.restart()
        reply = await tester.answer(approved)
    assert looked == ["once"]
    assert sent == (["Ada"] if approved else [])
    assert len(provider.calls) == 2, "the first round is not asked again"
    expected = ("done", "Sent.") if approved else ("failed", "The user has refused this call.")
    assert calls_of(reply.parts)[-1] == expected
    assert [part.kind for part in reply.parts if isinstance(part, DataPart)] == ["question"]
    assert reply.text.endswith("It is warm.")


async def test_a_stop_reaches_a_running_tool() -> None:
    chat = Chat()
    cancelled = asyncio.Event()
    running = asyncio.Event()

    @chat.tool
    async def wait() -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    provider = ScriptedProvider(requests(("wait", "{}")), ANSWER)
    async with ChatTester(chat, provider=provider) as tester:
        asking = asyncio.create_task(tester.ask("?"))
        await running.wait()
        await tester.stop()
        reply = await asking
    assert cancelled.is_set()
    assert reply.reason == "cancelled"


def test_a_parameter_without_a_type_is_refused_at_once() -> None:
    chat = Chat()
    with pytest.raises(TypeError, match="'city'"):

        @chat.tool
        def weather(city):  # type: ignore[no-untyped-def]
            return city


async def test_a_tool_that_needs_approval_since_a_restart_is_asked_for() -> None:
    sent: list[str] = []

    def chat_with(*, approve: bool) -> Chat:
        chat = Chat()

        @chat.tool(approve=True)
        def first() -> str:
            return "first"

        @chat.tool(approve=approve)
        def second() -> str:
            sent.append("second")
            return "second"

        return chat

    provider = ScriptedProvider(requests(("first", "{}"), ("second", "{}")), ANSWER)
    tester = ChatTester(chat_with(approve=False), provider=provider)
    async with tester:
        await tester.ask("?")
        tester._chat = chat_with(approve=True)
        await tester.restart()
        reply = await tester.answer(False)
        assert reply.question is not None
        assert "**second**" in reply.question["prompt"]
        assert sent == []
        assert (await tester.answer(True)).reason == "stop"
    assert sent == ["second"]
