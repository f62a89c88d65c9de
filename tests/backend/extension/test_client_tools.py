"""Tools that a client runs, next to those of the server; and what handlers learn of a request."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from wireside import Chat
from wireside.messages import Delta, Finished, Message, ModelRequest, TextDelta, ToolDelta, ToolSpec
from wireside.parts import ToolCallPart
from wireside.providers.scripted import ScriptedProvider, Step

OF_CLIENT = ToolSpec(name="open_door", description="", parameters='{"type":"object"}')

REQUEST = ModelRequest(
    model="test",
    messages=(Message.of_text("user", "Go"),),
    tools=(OF_CLIENT,),
    parameters='{"seed": 7, "tool_choice": "required"}',
)

ANSWER: list[Step] = ["Done.", Finished("stop")]


def calls(*names: str) -> list[Step]:
    deltas = [ToolDelta(f"c{n}", name, "requested", "{}") for n, name in enumerate(names)]
    return ["Let me see. ", *deltas, Finished("stop")]


async def answer(
    chat: Chat, provider: ScriptedProvider | None, request: ModelRequest
) -> list[Delta]:
    async with aclosing(chat.provider(provider).stream(request)) as deltas:
        return [delta async for delta in deltas]


def server_chat(ran: list[str]) -> Chat:
    chat = Chat()

    @chat.tool
    def clock() -> str:
        """Return the time."""
        ran.append("clock")
        return "noon"

    return chat


async def test_a_call_for_the_client_ends_the_answer_and_the_servers_are_dropped() -> None:
    ran: list[str] = []
    provider = ScriptedProvider(calls("open_door", "clock"))
    deltas = await answer(server_chat(ran), provider, REQUEST)
    requested = [delta for delta in deltas if isinstance(delta, ToolDelta)]
    assert [(one.name, one.state) for one in requested] == [("open_door", "requested")]
    assert isinstance(deltas[-1], Finished)
    assert ran == []
    offered = provider.calls[0].request.tools
    assert [spec.name for spec in offered] == ["open_door", "clock"]


async def test_after_a_tool_of_the_server_no_tool_is_forced() -> None:
    ran: list[str] = []
    provider = ScriptedProvider(calls("clock"), ANSWER)
    deltas = await answer(server_chat(ran), provider, REQUEST)
    assert "".join(one.text for one in deltas if isinstance(one, TextDelta)).endswith("Done.")
    assert ran == ["clock"]
    first, second = (json.loads(call.request.parameters) for call in provider.calls)
    assert first == {"seed": 7, "tool_choice": "required"}
    assert second == {"seed": 7}


async def test_a_tool_of_the_client_takes_the_place_of_the_servers() -> None:
    ran: list[str] = []
    request = replace(REQUEST, tools=(replace(OF_CLIENT, name="clock"),))
    provider = ScriptedProvider(calls("clock"))
    deltas = await answer(server_chat(ran), provider, request)
    assert [one.state for one in deltas if isinstance(one, ToolDelta)] == ["requested"]
    assert [spec.name for spec in provider.calls[0].request.tools] == ["clock"]
    assert ran == []


async def test_a_handler_learns_what_was_requested_and_what_was_asked() -> None:
    chat = Chat()
    seen: dict[str, Any] = {}

    @chat.on_message
    async def test(turn: Any) -> str:
        seen.update(turn.parameters, text=turn.text)
        return "Fine."

    result = ToolCallPart(call="c", name="open_door", state="done", result="open")
    messages = (*REQUEST.messages, Message("assistant", (result,)))
    await answer(chat, None, replace(REQUEST, messages=messages, max_tokens=5))
    assert (seen["seed"], seen["max_tokens"], seen["text"]) == (7, 5, "Go")
    assert seen["tools"][0]["function"]["name"] == "open_door"
