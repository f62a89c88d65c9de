"""Two to four models answer one question side by side; one answer is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.backend.chat.test_asking import answered, contexts, send, until
from wireside.chat.comparison import is_kept
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.errors import BadMessage, TooMany, UnknownModel
from wireside.identity import Caller
from wireside.messages import End, Options
from wireside.ports.quotas import Unlimited
from wireside.providers.scripted import ScriptedProvider

MODELS = ("model-a", "model-b")


@pytest.fixture
async def conversation(chat: ChatService) -> Conversation:
    return chat.library.new_conversation()


async def compare(
    chat: ChatService, conversation: Conversation, turn_id: str = "t1"
) -> ConversationTurn:
    return await chat.compare(
        conversation, "Hi", turn_id=turn_id, models=MODELS, options=Options(temperature=0.5)
    )


async def test_models_answer_at_once_as_versions_of_the_turn(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    first = await compare(chat, conversation)
    calls = [await provider.call(0), await provider.call(1)]
    assert sorted(call.request.model for call in calls) == list(MODELS)
    assert all(call.request.temperature == 0.5 for call in calls)
    assert all(contexts(call) == [("user", "Hi")] for call in calls)
    turns = await chat.compared_turns(conversation, first)
    assert [turn.id for turn in turns] == ["t1", "t1-2"]
    assert [turn.options.model for turn in turns] == list(MODELS)
    assert all(turn.is_live for turn in turns)
    assert conversation.is_on_shown_path(first)
    assert conversation.siblings(first) == (0, 2)
    assert await compare(chat, conversation) is first  # sent again
    assert len(provider.calls) == 2
    for call in calls:
        call.say(f"I am {call.request.model}")
        call.finish()
    for turn in turns:
        await answered(chat, conversation, turn.id)
    await chat.keep_answer(conversation, "t1-2")
    kept = await answered(chat, conversation, "t1-2")
    assert is_kept(kept.answer)
    assert kept.end == End("stop")
    assert conversation.is_on_shown_path(kept)
    assert await chat.compared_turns(conversation, kept) == []
    await send(chat, conversation, "And?", "t2")
    call = await provider.call(2)
    assert contexts(call) == [("user", "Hi"), ("assistant", "I am model-b"), ("user", "And?")]


async def test_keeping_one_answer_stops_the_others(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await compare(chat, conversation)
    calls = {call.request.model: call for call in (await provider.call(0), await provider.call(1))}
    with pytest.raises(TooMany):
        await chat.keep_answer(conversation, "t1")
    calls["model-a"].say("done")
    calls["model-a"].finish()
    await answered(chat, conversation, "t1")
    await chat.keep_answer(conversation, "t1")
    other = await answered(chat, conversation, "t1-2")
    assert other.end == End("cancelled")


async def test_a_conversation_that_goes_on_ends_the_comparison(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    first = await compare(chat, conversation)
    for index in range(2):
        call = await provider.call(index)
        call.say("ok")
        call.finish()
    await answered(chat, conversation, "t1")
    await answered(chat, conversation, "t1-2")
    await send(chat, conversation, "And?", "t2")
    assert await chat.compared_turns(conversation, first) == []
    again = await chat.retry_turn(conversation, "t1")
    assert await chat.compared_turns(conversation, again) == []


async def test_what_can_not_be_compared_is_refused_as_a_whole(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    for models in (("model-a",), ("model-a", "model-a"), tuple("abcde")):
        with pytest.raises(BadMessage):
            await chat.compare(conversation, "Hi", turn_id="t1", models=models, options=Options())
    with pytest.raises(UnknownModel):
        await chat.compare(
            conversation, "Hi", turn_id="t1", models=("model-a", "none"), options=Options()
        )
    assert conversation.total == 0
    await send(chat, conversation, "one", "t0")
    await provider.call(0)
    with pytest.raises(TooMany):
        await compare(chat, conversation)
    await asyncio.sleep(0)
    assert conversation.total == 1


class CountedSlots(Unlimited):
    """Counts the slots that are held, and the messages."""

    held = highest = messages = 0

    def acquire_slot(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        self.held += 1
        self.highest = max(self.highest, self.held)

        def release() -> None:
            self.held -= 1

        return release

    async def record_message(self, caller: Caller) -> None:
        self.messages += 1


async def test_each_answer_takes_a_slot_and_counts_as_a_message(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    quotas = CountedSlots()
    chat = ChatService(ChatCore(replace(parts, quotas=quotas), ChatRules()))
    conversation = chat.library.new_conversation()
    await compare(chat, conversation)
    assert (quotas.held, quotas.messages) == (2, 2)
    for index in range(2):
        (await provider.call(index)).finish()
    await answered(chat, conversation, "t1")
    await answered(chat, conversation, "t1-2")
    await until(lambda: not quotas.held)
    assert quotas.highest == 2
