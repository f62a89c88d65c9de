"""Titles written by a model."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from wireside.chat.titles import GIVEN_CHARS, ask_for_title, extract_title
from wireside.errors import ProviderUnavailable
from wireside.providers.scripted import ScriptedProvider


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ('"Rainy weekends."', "Rainy weekends"),
        ("**Title:** Rainy\n\nBecause …", "Rainy"),
        ("\n  # Rainy   weekends\n", "Rainy weekends"),
        ("「雨の週末」", "雨の週末"),
        ("Okay, so the user wants a title. Let me think.\n\nRainy weekends", "Rainy weekends"),
        ("Let me see what it is about.\nRainy weekends</s>", "Rainy weekends"),
        # reasoning
        ("<think>\nThe user wants a title.\n</think>\n\nRain and clouds", "Rain and clouds"),
        ("<thinking>Hm: short.</thinking> Rain", "Rain"),
        ("The user wants a title.\n</think>\nRain", "Rain"),
        ("<think>It never ends, so there is no title", None),
        (
            "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Rain",
            "Rain",
        ),
        ("◁think▷Hm◁/think▷Rain", "Rain"),
        # JSON around the title
        ('{"title": "Rain and clouds"}', "Rain and clouds"),
        ('```json\n{"title": "Rain"}\n```', "Rain"),
        ('{"titles": ["Rain", "Clouds"]}', "Rain"),
        ('{"conversation": {"title": "Rain"}}', "Rain"),
        ('["Rain"]', "Rain"),
        ('{"title": "Rain and clou', "Rain and clou"),
        ("{}", None),
        # polite introductions
        ("Sure! Here is a title: Rain and clouds", "Rain and clouds"),
        ("Sure! Here is a title:\n\n**Rain and clouds**", "Rain and clouds"),
        ('Certainly! Here\'s a concise title for the conversation:\n\n"Rain"', "Rain"),
        ("Here are some options:\n1. Rain\n2. Clouds", "Rain"),
        ("Okay, Rain and clouds", "Rain and clouds"),
        ("Klar! Hier ist ein Titel: Regen", "Regen"),
        ("Voici un titre : Pluie et nuages", "Pluie et nuages"),
        ("¡Claro! Aquí tienes un título: Lluvia", "Lluvia"),
        ("当然！以下是标题：雨", "雨"),
        ("はい、タイトルは：雨の週末", "雨の週末"),
        ('A good title would be "Rain and clouds".', "Rain and clouds"),
        ("The title is: Rain", "Rain"),
        ("Suggested title: Rain", "Rain"),
        ("Title - Rain", "Rain"),
        ("Let me think.\n\nTitle: Rain", "Rain"),
        ("Based on this, a suitable title is **Rain and clouds**.", "Rain and clouds"),
        ('"Rain" is a good title.', "Rain"),
        # labels and headings
        ("# Title\n\nRain", "Rain"),
        ("assistant\n\nRain", "Rain"),
        ("Final answer: Rain", "Rain"),
        ("[Rain]", "Rain"),
        ("Title: Rain", "Rain"),
        ("Titel: Regen", "Regen"),
        ("**Titel**: Regen", "Regen"),
        ("Titre : Pluie", "Pluie"),
        ("Título: Lluvia", "Lluvia"),
        ("Titolo: Pioggia", "Pioggia"),
        ("Заголовок: Дождь", "Дождь"),
        ("**Название:** Дождь", "Дождь"),
        ("標題：雨", "雨"),
        ("标题：《雨》", "雨"),
        ("タイトル：「雨の週末」", "雨の週末"),
        ("제목: 비", "비"),
        ("العنوان: مطر", "مطر"),
        ("शीर्षक: बारिश", "बारिश"),
        ("Tytuł: Deszcz", "Deszcz"),
        ("Başlık: Yağmur", "Yağmur"),
        ("Tiêu đề: Mưa", "Mưa"),
        ("Conversation title: Rain", "Rain"),
        ("Chat-Titel: Regen", "Regen"),
        ("Subject: Rain", "Rain"),
        # numbers, lists, marks
        ("1. Rain", "Rain"),
        ("1) Rain\n2) Clouds", "Rain"),
        ("- Rain", "Rain"),
        ("• Rain", "Rain"),
        ("### 1. **Rain**", "Rain"),
        ("*Rain*", "Rain"),
        ("`Rain`", "Rain"),
        ("<title>Rain</title>", "Rain"),
        (r"\boxed{Rain}", "Rain"),
        ("„Regen und Wolken“", "Regen und Wolken"),
        ("« Pluie »", "Pluie"),
        ("『雨』", "雨"),
        ("Rain and clouds (3 words)", "Rain and clouds"),
        ("Rain 🌧️", "Rain 🌧️"),
        # text that is a title already is kept
        ("Python: lists and tuples", "Python: lists and tuples"),
        ("C++ or Rust?", "C++ or Rust?"),
        ("Hello, World!", "Hello, World!"),
        ("3 ways to cook rice", "3 ways to cook rice"),
        ("2024 budget", "2024 budget"),
        ("It's raining", "It's raining"),
        ("How long is a title?", "How long is a title?"),
        ("Okonomiyaki recipe", "Okonomiyaki recipe"),
        ("Topic modelling in Python", "Topic modelling in Python"),
        ("How titles of nobility work", "How titles of nobility work"),
        ("snake_case and camelCase", "snake_case and camelCase"),
        ("vector<int> in C++", "vector<int> in C++"),
        # no title
        ("I'm sorry, but I can't help with that.", None),
        ("Untitled", None),
        ("null", None),
        ("", None),
        ('""', None),
        ("word " * 30, None),
    ],
)
def test_only_what_is_fit_is_taken(said: str, title: str | None) -> None:
    assert extract_title(said) == title


ask = partial(ask_for_title, model="m", question="q", answer="a")


async def test_the_model_is_asked_with_a_little_of_both(provider: ScriptedProvider) -> None:
    asking = asyncio.create_task(ask(provider, question="q" * 9_000, answer="a" * 9_000))
    call = await provider.call()
    assert len(call.request.messages[-1].text) < 2 * GIVEN_CHARS + 100
    call.say("A ", "title")
    call.finish()
    assert await asking == "A title"


async def test_a_model_that_reasons_without_end_is_given_up(provider: ScriptedProvider) -> None:
    asking = asyncio.create_task(ask(provider, timeout_s=0.01))
    call = await provider.call()
    assert await asking is None
    assert call.is_closed


async def test_reasoning_in_the_text_is_no_talk_about_titles(provider: ScriptedProvider) -> None:
    asking = asyncio.create_task(ask(provider))
    call = await provider.call()
    call.say("<think>", *["The title should be short. "] * 100, "</think>", "Rain")
    call.finish()
    assert await asking == "Rain"


async def test_a_model_that_fails_or_chats_gives_none(provider: ScriptedProvider) -> None:
    asking = asyncio.create_task(ask(provider))
    (await provider.call(0)).fail(ProviderUnavailable())
    assert await asking is None
    asking = asyncio.create_task(ask(provider))
    call = await provider.call(1)
    call.say("Certainly, here is a long talk about titles. " * 20)
    assert await asking is None
    assert call.is_closed  # its remaining output is not paid for
