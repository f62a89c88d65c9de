"""The tester of chats: the same conversation by each door, cut at every frame, over a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from wireside import Approve, Chat, ChatTester, ProviderError, Source, Turn, UnknownModel
from wireside.errors import BadMessage
from wireside.parts import DataPart
from wireside.providers.scripted import ScriptedProvider
from wireside.pytest_plugin import MakeTester
from wireside.tester import NoQuestion


def shop() -> Chat:
    chat = Chat("Shop")

    @chat.on_message
    async def order(turn: Turn) -> AsyncIterator[Any]:
        yield f"Hello {turn.user.name}. "
        async with turn.step("look up", input=turn.text) as step:
            step.output = "one"
        if turn.text == "fail":
            raise ProviderError("The shop is closed.")
        if await turn.ask(Approve("Order?")):
            yield "Ordered."
            yield Source("Shop", url="https://shop.example")

    @chat.on_message(name="model")
    async def model(turn: Turn) -> AsyncIterator[Any]:
        async for text in turn.complete():
            yield text

    return chat


async def test_a_conversation(chat_tester: MakeTester) -> None:
    async with chat_tester(shop(), user="ada") as tester:
        reply = await tester.ask("tea")
        assert (reply.text, reply.reason) == ("Hello ada. ", "asking")
        assert reply.question is not None
        assert reply.question["prompt"] == "Order?"
        with pytest.raises(BadMessage):
            await tester.answer("yes")
        await tester.restart()
        reply = await tester.answer(True)
        assert (reply.text, reply.reason, reply.question) == ("Ordered.", "stop", None)
        kinds = [part.kind for part in reply.parts if isinstance(part, DataPart)]
        assert kinds == ["question", "source"]
        with pytest.raises(NoQuestion):
            await tester.answer(True)
        tester.new_conversation()
        assert (await tester.ask("tea")).reason == "asking"


async def test_errors(chat_tester: MakeTester) -> None:
    async with chat_tester(shop()) as tester:
        reply = await tester.ask("fail")
        assert (reply.text, reply.error) == ("Hello . ", "The shop is closed.")
        with pytest.raises(UnknownModel):
            await tester.ask("tea", model="other")


async def test_the_models_of_a_provider() -> None:
    provider = ScriptedProvider(["from ", "upstream"])
    async with ChatTester(shop(), provider=provider) as tester:
        assert (await tester.ask("hi", model="model")).text == "from upstream"
