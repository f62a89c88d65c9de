"""Titles that a model writes."""

from __future__ import annotations

import asyncio

import pytest

from wireside.chat.titles import GIVEN_CHARS, ask_for_title, clean
from wireside.errors import ProviderUnavailable


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ('"Rainy weekends."', "Rainy weekends"),
        ("**Title:** Rainy\n\nBecause …", "Rainy"),
        ("\n  # Rainy   weekends\n", "Rainy weekends"),
        ("「雨の週末」", "雨の週末"),
        ("", None),
        ('""', None),
        ("word " * 30, None),
    ],
)
def test_only_what_is_fit_is_taken(said: str, title: str | None) -> None:
    assert clean(said) == title


async def test_the_model_is_asked_with_a_little_of_both(provider) -> None:
    asking = asyncio.create_task(ask_for_title(provider, "m", "q" * 9_000, "a" * 9_000))
    call = await provider.call()
    assert len(call.request.messages[-1].text) < 2 * GIVEN_CHARS + 100
    call.say("A ", "title")
    call.finish()
    assert await asking == "A title"


async def test_a_model_that_reasons_without_end_is_given_up(provider, monkeypatch) -> None:
    monkeypatch.setattr("wireside.chat.titles.PATIENCE_S", 0.01)
    asking = asyncio.create_task(ask_for_title(provider, "m", "q", "a"))
    call = await provider.call()
    assert await asking is None
    assert call.is_closed


async def test_a_model_that_fails_or_chats_gives_none(provider) -> None:
    asking = asyncio.create_task(ask_for_title(provider, "m", "q", "a"))
    (await provider.call(0)).fail(ProviderUnavailable())
    assert await asking is None
    asking = asyncio.create_task(ask_for_title(provider, "m", "q", "a"))
    call = await provider.call(1)
    call.say("Certainly, here is a long talk about titles. " * 20)
    assert await asking is None
    assert call.is_closed  # it is not paid for to its end
