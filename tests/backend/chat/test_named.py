"""Conversations that a client's program names."""

from __future__ import annotations

import asyncio

import pytest

from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.errors import NotFound
from wireside.identity import Caller
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider


async def test_the_same_name_finds_the_conversation_again(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    chat = ChatService(ChatCore(parts, ChatRules()))
    first, turn = await chat.ask_named("thread 1", "Hi", key="k", options=Options())
    again, same = await chat.ask_named("thread 1", "Hi", key="k", options=Options())
    assert (again.id, same.id) == (first.id, turn.id)
    call = await provider.call(0)
    stream = await chat.wait_for_answer(first, turn)
    assert chat.live_stream(first) is stream
    call.say("Hello")
    call.finish()
    async with asyncio.timeout(5):
        while chat.live_stream(first):
            await asyncio.sleep(0.001)
    restarted = ChatService(ChatCore(parts, ChatRules()))
    found = await restarted.library.open_or_create("thread 1")
    assert (found.id, found.total) == (first.id, 1)
    by_id = await restarted.library.open_or_create(first.id)
    assert by_id is found
    other = await restarted.library.open_or_create("thread 2")
    assert other.id != first.id


async def test_names_belong_to_their_caller(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    core = ChatCore(parts, ChatRules())
    ada, bob = (
        ChatService(core, Caller(user_id=name, name=name, role="user")) for name in ("ada", "bob")
    )
    one, _ = await ada.ask_named("mine", "Hi", key=None, options=Options())
    two = await bob.library.open_or_create("mine")
    assert one.id != two.id
    assert not two.is_stored
    guessed = await bob.library.open_or_create(one.id)
    assert guessed.id not in (one.id, two.id)
    (await provider.call(0)).finish()


async def test_a_deleted_conversation_is_not_asked_in(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    chat = ChatService(ChatCore(parts, ChatRules()))
    one, turn = await chat.ask_named("mine", "Hi", key=None, options=Options())
    (await provider.call(0)).finish()
    await (await chat.wait_for_answer(one, turn)).wait_ended()
    await chat.library.delete([one.id])
    with pytest.raises(NotFound):
        await chat.ask_named("mine", "Again", key=None, options=Options())


async def test_a_deleted_conversation_that_left_memory_is_not_asked_in(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    """Its row stays in the store until it is purged; a question must not be added to it."""
    chat = ChatService(ChatCore(parts, ChatRules()))
    one, turn = await chat.ask_named("mine", "Hi", key="k", options=Options())
    (await provider.call(0)).finish()
    await (await chat.wait_for_answer(one, turn)).wait_ended()
    await parts.saving.wait_until_all_stored(5)
    await chat.library.delete([one.id])
    restarted = ChatService(ChatCore(parts, ChatRules()))
    for question, key in (("Again", None), ("Hi", "k")):
        with pytest.raises(NotFound, match="deleted"):
            await restarted.ask_named("mine", question, key=key, options=Options())
    restarted = ChatService(ChatCore(parts, ChatRules()))
    assert [info.id for info in await restarted.library.restore([one.id])] == [one.id]
    found = await restarted.library.open_or_create("mine")
    assert (found.id, found.total) == (one.id, 1)
