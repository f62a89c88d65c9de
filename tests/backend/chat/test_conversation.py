"""Conversations: turns wait, go on, are taken back, asked anew."""

from __future__ import annotations

import asyncio

import pytest

from wireside.chat.conversation import Conversation
from wireside.chat.service import ChatService
from wireside.errors import BadMessage, NotFound, ProviderUnavailable, TooLarge, UnknownModel
from wireside.messages import Options


async def send(chat: ChatService, conversation: Conversation, question: str, turn_id: str):
    return await chat.send(conversation, question, turn_id=turn_id, options=Options())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def contexts(call) -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in call.request.messages]


async def test_a_question_is_answered(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    turn = await send(chat, conversation, "  What is\n a frame? ", "t1")
    call = await provider.call()
    call.say("JSON.")
    call.finish()
    await settle()
    assert turn.answers[-1].text == "JSON."
    assert not turn.waiting
    assert not turn.is_live
    assert conversation.title == "What is a frame?"
    assert chat.open(conversation.id) is conversation
    assert chat.open("unknown") is None


async def test_sent_twice_asked_once(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    first = await send(chat, conversation, "Hi", "t1")
    assert await send(chat, conversation, "Hi", "t1") is first
    await settle()
    assert len(provider.calls) == 1
    assert conversation.path() == [first]


async def test_a_second_question_waits_its_turn(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    await send(chat, conversation, "one", "t1")
    second = await send(chat, conversation, "two", "t2")
    call = await provider.call(0)
    await settle()
    assert second.waiting
    assert len(provider.calls) == 1
    call.say("1")
    call.finish()
    call = await provider.call(1)
    assert contexts(call) == [("user", "one"), ("assistant", "1"), ("user", "two")]
    assert not second.waiting


async def test_a_waiting_question_can_be_taken_back(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    first = await send(chat, conversation, "one", "t1")
    await send(chat, conversation, "two", "t2")
    third = await send(chat, conversation, "three", "t3")
    await settle()
    assert chat.withdraw(conversation, "t2") == "two"
    assert conversation.path() == [first, third]
    with pytest.raises(NotFound):
        chat.withdraw(conversation, "t1")
    (await provider.call(0)).finish()
    assert contexts(await provider.call(1))[-1] == ("user", "three")


async def test_stop_lets_the_next_begin(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    turn = await send(chat, conversation, "one", "t1")
    await send(chat, conversation, "two", "t2")
    await provider.call(0)
    await settle()
    await chat.stop(turn.answers[-1].segments[-1])
    await provider.call(1)


async def test_retry_keeps_the_first_answer_beside(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    turn = await send(chat, conversation, "one", "t1")
    (await provider.call(0)).fail(ProviderUnavailable())
    await settle()
    await chat.retry(conversation, "t1", model="model-b")
    await chat.retry(conversation, "t1")  # while one is being made: nothing
    call = await provider.call(1)
    assert call.request.model == "model-b"
    call.say("better")
    call.finish()
    await settle()
    assert [answer.text for answer in turn.answers] == ["", "better"]


async def test_continue_goes_on_in_the_same_message(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    turn = await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("first half, ")
    await settle()
    await chat.stop(turn.answers[-1].segments[-1])
    await chat.continue_answer(conversation, "t1")
    call = await provider.call(1)
    assert contexts(call)[:2] == [("user", "one"), ("assistant", "first half, ")]
    call.say("second half")
    call.finish()
    await settle()
    assert len(turn.answers) == 1
    assert turn.answers[-1].text == "first half, second half"


async def test_edit_asks_anew_from_there(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    await send(chat, conversation, "one", "t1")
    (await provider.call(0)).finish()
    await settle()
    await send(chat, conversation, "two", "t2")
    running = await provider.call(1)
    edited = await chat.edit(conversation, "t2", "two, better", new_turn_id="t3")
    assert [turn.id for turn in conversation.path()] == ["t1", "t3"]
    assert contexts(await provider.call(2))[-1] == ("user", "two, better")
    assert running.is_closed
    assert await chat.edit(conversation, "t1", "?", new_turn_id="t3") is edited


async def test_what_can_not_be_sent_leaves_nothing_behind(chat: ChatService) -> None:
    conversation = chat.start_conversation()
    for question, error in ((" \n", BadMessage), ("x" * 100_001, TooLarge)):
        with pytest.raises(error):
            await send(chat, conversation, question, "t1")
    with pytest.raises(UnknownModel):
        await chat.send(conversation, "Hi", turn_id="t1", options=Options(model="nope"))
    assert conversation.path() == []


async def test_an_answer_that_can_not_begin_says_why(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    turn = await send(chat, conversation, "Hi", "t1")
    await chat._runner.drain(0)  # the server shuts down between the question and its answer
    await settle()
    (answer,) = turn.answers
    assert not answer.is_live


async def test_who_watches_is_told_of_each_change(chat: ChatService, provider) -> None:
    conversation = chat.start_conversation()
    seen: list[int] = []
    unsubscribe = conversation.subscribe(lambda: seen.append(len(conversation.path())))
    await send(chat, conversation, "one", "t1")
    await settle()
    assert seen
    unsubscribe()
    count = len(seen)
    await send(chat, conversation, "two", "t2")
    assert len(seen) == count
