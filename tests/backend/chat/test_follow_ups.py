"""Questions that a model suggests after an answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.backend.chat.test_asking import answered, send
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.follow_ups import ask_for_follow_ups, extract_questions
from wireside.chat.service import ChatService
from wireside.errors import ProviderUnavailable
from wireside.providers.scripted import ScriptedProvider


@pytest.mark.parametrize(
    ("said", "questions"),
    [
        ("Why?\nHow long does it take?", ("Why?", "How long does it take?")),
        ("Sure, here are some:\n1. **Why?**\n2) “How?”\n- When?", ("Why?", "How?", "When?")),
        ("<think>Hm\nWhat?</think>\nWarum?", ("Warum?",)),
        ("a?\nb?\nc?\nd?", ("a?", "b?", "c?")),
        ("Why?\nWhy?", ("Why?",)),
        ("x" * 161, ()),
        ("\n---\n***\n", ()),
        ("", ()),
    ],
)
def test_questions_in_a_reply(said: str, questions: tuple[str, ...]) -> None:
    assert extract_questions(said) == questions


async def test_a_model_that_fails_suggests_nothing(provider: ScriptedProvider) -> None:
    asking = asyncio.create_task(
        ask_for_follow_ups(provider, model="model-a", question="Hi", answer="Hello")
    )
    (await provider.call(0)).fail(ProviderUnavailable("gone"))
    assert await asking == ()


async def test_a_model_is_asked_once_for_an_answer(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    chat = ChatService(ChatCore(replace(parts), ChatRules(follow_ups=True)))
    conversation = chat.library.new_conversation()
    await send(chat, conversation, "Hi", "t1")
    call = await provider.call(0)
    call.say("Hello")
    call.finish()
    turn = await answered(chat, conversation, "t1")
    pages = [asyncio.create_task(chat.follow_ups(conversation, turn)) for _ in range(2)]
    call = await provider.call(1)
    assert "Hello" in call.request.messages[-1].text
    call.say("Why?\nHow?")
    call.finish()
    assert [await page for page in pages] == [("Why?", "How?")] * 2
    assert len(provider.calls) == 2


async def test_there_are_none_by_default_and_in_temporary_chats(
    chat: ChatService, parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    suggesting = ChatService(ChatCore(replace(parts), ChatRules(follow_ups=True)))
    for count, (one, conversation) in enumerate(
        (
            (chat, chat.library.new_conversation()),
            (suggesting, suggesting.library.new_temporary_conversation()),
        )
    ):
        await send(one, conversation, "Hi", f"t{count}")
        call = await provider.call(count)
        call.say("Hello")
        call.finish()
        turn = await answered(one, conversation, f"t{count}")
        assert await one.follow_ups(conversation, turn) == ()
