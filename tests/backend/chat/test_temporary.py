"""Temporary conversations: never stored, and out of reach for everyone but their page."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from wireside.chat.conversation import Conversation
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.chat.watchers import Answering, ListChange
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Feedback

SECRET = "xylophonic-secret"


def holds_secret(folder: Path) -> bool:
    return any(SECRET.encode() in file.read_bytes() for file in folder.glob("wireside.db*"))


async def ask(chat: ChatService, conversation: Conversation, question: str, turn_id: str) -> None:
    await chat.send_question(conversation, question, turn_id=turn_id, options=Options())


async def answered(
    chat: ChatService, provider: ScriptedProvider, conversation: Conversation, number: int
) -> None:
    call = await provider.call(number)
    call.say(f"answer {number} {SECRET}")
    call.finish()
    async with asyncio.timeout(5):
        while conversation.live:
            await asyncio.sleep(0.001)


async def test_nothing_of_a_temporary_conversation_is_stored(
    parts: ChatDependencies, chat: ChatService, provider: ScriptedProvider, tmp_path: Path
) -> None:
    rules = ChatRules(title_model="")  # a title would be asked for
    chat = ChatService(ChatCore(parts, rules))
    conversation = chat.library.new_temporary_conversation()
    await ask(chat, conversation, f"first {SECRET}", "t1")
    await answered(chat, provider, conversation, 0)
    await ask(chat, conversation, "second", "t2")
    await answered(chat, provider, conversation, 1)
    await chat.retry_turn(conversation, "t2")
    await answered(chat, provider, conversation, 2)
    await chat.edit_turn(conversation, "t1", f"edited {SECRET}", new_turn_id="t3")
    await answered(chat, provider, conversation, 3)
    await chat.give_feedback(conversation, "t1", Feedback("up"))
    await chat.choose_options(conversation, Options(system=SECRET))
    await chat.saving.wait_until_all_stored(5)
    assert len(provider.calls) == 4
    assert (await chat.library.list_page()).conversations == ()
    assert await chat.library.search(SECRET) == []
    assert await parts.store.read_turn("t1") is None
    assert not holds_secret(tmp_path)


async def test_its_turns_stay_in_memory_and_are_the_context(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    conversation = chat.library.new_temporary_conversation()
    await ask(chat, conversation, "first", "t1")
    await answered(chat, provider, conversation, 0)
    gc.collect()
    await ask(chat, conversation, "second", "t2")
    call = await provider.call(1)
    assert [message.text for message in call.request.messages] == [
        "first", f"answer 0 {SECRET}", "second",
    ]  # fmt: skip
    await answered(chat, provider, conversation, 1)
    gc.collect()
    turns = await chat.library.read_turns(conversation, 0, 1)
    assert [turn.question for turn in turns] == ["first", "second"]


async def test_its_id_opens_nothing_and_the_list_is_not_told(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    changes: list[ListChange] = []
    chat.library.watch(changes.append)
    conversation = chat.library.new_temporary_conversation()
    await ask(chat, conversation, "first", "t1")
    await answered(chat, provider, conversation, 0)
    assert await chat.library.open_conversation(conversation.id) is None
    assert {type(change) for change in changes} == {Answering}


async def test_a_discarded_one_stops_its_answer(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    conversation = chat.library.new_temporary_conversation()
    await ask(chat, conversation, "first", "t1")
    await ask(chat, conversation, "second", "t2")
    await provider.call(0)
    chat.library.discard_temporary(conversation)
    async with asyncio.timeout(5):
        while conversation.live:
            await asyncio.sleep(0.001)
    assert len(provider.calls) == 1
