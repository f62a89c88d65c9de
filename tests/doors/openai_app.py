"""A chat whose handlers the door's tests ask: questions, steps, sources, files and parameters."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from wireside import Chat
from wireside.extension.parts import File, Image, Source, Table
from wireside.extension.questions import Approve, Choose
from wireside.messages import ToolDelta

chat = Chat()


@chat.on_message
async def deploy(turn: Any) -> AsyncIterator[Any]:
    yield "Let me see. "
    if not await turn.ask(Approve("Deploy it?")):
        yield "Left as it is."
        return
    where = await turn.ask(Choose("Where?", {"eu": "Europe", "us": "America"}))
    yield f"Deployed to {where}."


@chat.on_message
async def rich(turn: Any) -> AsyncIterator[Any]:
    yield "Before."
    async with turn.step("query", input="SELECT 1") as step:
        step.output = "1"
    yield Source("The book", "https://example.org/book")
    yield Table(columns=["a"], rows=[[1]])
    yield Image(url="https://example.org/a.png", name="a")
    yield File("content", name="a.txt")
    yield "After."


@chat.on_message
async def parameters(turn: Any) -> AsyncIterator[Any]:
    tools = [tool["function"]["name"] for tool in turn.parameters.get("tools", ())]
    yield json.dumps({**turn.parameters, "tools": tools, "text": turn.text})
    if tools and not any(message["role"] == "tool" for message in turn.messages):
        yield ToolDelta("c1", tools[0], "requested", '{"city": "Bern"}')
