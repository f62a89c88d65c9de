"""The scripted model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from wireside.errors import ProviderRateLimited, ProviderUnavailable
from wireside.messages import Delta, Finished, Message, ModelRequest, TextDelta
from wireside.providers.scripted import ScriptedProvider

REQUEST = ModelRequest(model="scripted", messages=(Message.of_text("user", "Hi"),))


async def answer(provider: ScriptedProvider) -> list[Delta]:
    return [delta async for delta in provider.stream(REQUEST)]


async def test_scripts_are_played_in_turn_and_the_last_one_stays() -> None:
    provider = ScriptedProvider(["a"], ["b", Finished("length")])
    assert await answer(provider) == [TextDelta("a"), Finished("stop")]
    for _ in range(2):
        assert await answer(provider) == [TextDelta("b"), Finished("length")]


async def test_an_error_is_raised_where_it_stands() -> None:
    deltas: list[Delta] = []
    with pytest.raises(ProviderRateLimited):
        async for delta in ScriptedProvider(["a", ProviderRateLimited()]).stream(REQUEST):
            deltas.append(delta)
    assert deltas == [TextDelta("a")]


async def test_an_event_holds_the_answer_back() -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(["a", gate, "b"])
    async with aclosing(provider.stream(REQUEST)) as deltas:
        assert await anext(deltas) == TextDelta("a")
        following = asyncio.ensure_future(anext(deltas))
        await asyncio.sleep(0)
        assert (following.done(), provider.open_calls) == (False, 1)
        gate.set()
        assert await following == TextDelta("b")
    assert provider.open_calls == 0


async def test_closing_ends_the_answers_that_wait() -> None:
    provider = ScriptedProvider([asyncio.Event()])
    waiting = asyncio.create_task(answer(provider))
    await asyncio.sleep(0)
    await provider.aclose()
    with pytest.raises(ProviderUnavailable):
        await waiting
