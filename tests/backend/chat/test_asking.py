"""Questions that end a running answer, edited answers, and instructions of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from wireside.chat.context import ContextLimit, context_messages
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.instructions import TEXTS, instructed
from wireside.chat.service import ChatService
from wireside.errors import BadMessage, NotFound, TooLarge, TooMany
from wireside.messages import End, Options
from wireside.openai_wire.requests import plain_text
from wireside.parts import EDITED, INSTRUCTION, STEER, DataPart, Part, text_parts
from wireside.providers.scripted import ScriptedCall, ScriptedProvider

STEERS = DataPart(kind=STEER, data="{}")


@pytest.fixture
async def conversation(chat: ChatService) -> Conversation:
    return chat.library.new_conversation()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def send(
    chat: ChatService,
    conversation: Conversation,
    question: str,
    turn_id: str,
    *,
    steers: bool = False,
) -> ConversationTurn:
    return await chat.send_question(
        conversation, question, turn_id=turn_id, options=Options(), steers=steers
    )


def contexts(call: ScriptedCall) -> list[tuple[str, str]]:
    return [(m.role, plain_text(m.parts)) for m in call.request.messages]


async def answered(chat: ChatService, conversation: Conversation, turn_id: str) -> ConversationTurn:
    turn = await chat.library.read_turn(conversation, turn_id)
    await until(lambda: not turn.waiting and not turn.is_live)
    return turn


async def test_a_steering_question_ends_the_answer_and_goes_on_from_it(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    first = await send(chat, conversation, "Describe Go", "t1")
    call = await provider.call(0)
    call.say("Go is")
    await until(lambda: first.text == "Go is")
    second = await send(chat, conversation, "In one word", "t2", steers=True)
    await until(lambda: not first.is_live)
    assert first.end == End("cancelled")
    assert first.text == "Go is"
    call = await provider.call(1)
    assert contexts(call) == [
        ("user", "Describe Go"),
        ("assistant", "Go is"),
        ("user", "In one word"),
    ]
    assert second.question == "In one word"
    call.finish()


async def test_a_steering_question_before_the_first_text_is_asked_together_with_the_one_before(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "A poem about rain", "t1")
    await provider.call(0)
    await send(chat, conversation, "Make it short", "t2", steers=True)
    call = await provider.call(1)
    assert contexts(call) == [("user", "A poem about rain\n\nMake it short")]
    call.say("Drip.")
    call.finish()
    await answered(chat, conversation, "t2")
    await send(chat, conversation, "And snow?", "t3")
    call = await provider.call(2)
    assert contexts(call)[:2] == [
        ("user", "A poem about rain\n\nMake it short"),
        ("assistant", "Drip."),
    ]


async def test_a_steering_question_that_is_sent_again_stops_nothing_else(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "one", "t1")
    await provider.call(0)
    second = await send(chat, conversation, "two", "t2", steers=True)
    await provider.call(1)
    assert await send(chat, conversation, "two", "t2", steers=True) is second
    await asyncio.sleep(0)
    assert second.is_live
    assert len(provider.calls) == 2


async def test_a_steering_question_that_waits_stops_the_answer_when_it_is_sent_again(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    first = await send(chat, conversation, "one", "t1")
    await provider.call(0)
    second = await send(chat, conversation, "two", "t2")  # its server ended before the stop
    assert first.is_live
    assert await send(chat, conversation, "two", "t2", steers=True) is second
    await provider.call(1)
    assert first.end == End("cancelled")


async def test_questions_that_wait_stay_before_a_steering_one(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    first = await send(chat, conversation, "one", "t1")
    await provider.call(0)
    second = await send(chat, conversation, "two", "t2")
    third = await send(chat, conversation, "three", "t3", steers=True)
    call = await provider.call(1)
    assert first.end == End("cancelled")
    assert (second.waiting, third.waiting) == (False, True)
    call.say("2")
    call.finish()
    call = await provider.call(2)
    assert contexts(call)[-3:] == [("user", "two"), ("assistant", "2"), ("user", "three")]


async def test_a_steering_question_without_a_running_answer_is_a_question(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "one", "t1", steers=True)
    assert turn.question_parts == text_parts("one")


def test_only_a_steering_question_goes_on_from_one_without_an_answer() -> None:
    limit = ContextLimit()
    turns: list[tuple[tuple[Part, ...], tuple[Part, ...]]] = [(text_parts("one"), ())]
    assert [m.text for m in context_messages(turns, text_parts("two"), limit)] == ["two"]
    steering: tuple[Part, ...] = (*text_parts("two"), STEERS)
    (message,) = context_messages(turns, steering, limit)
    assert plain_text(message.parts) == "one\n\ntwo"
    assert STEERS not in message.parts


async def test_an_edited_answer_is_a_version_that_later_questions_go_on_from(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("wrong")
    call.finish()
    original = await answered(chat, conversation, "t1")
    await chat.edit_answer(conversation, "t1", "right", new_turn_id="e1")
    edited = await answered(chat, conversation, "e1")
    assert (edited.text, edited.question, edited.end) == ("right", "one", End("stop"))
    assert isinstance(edited.answer[0], DataPart)
    assert edited.answer[0].kind == EDITED
    assert conversation.siblings(edited) == (1, 2)
    assert original.text == "wrong"
    assert edited.segments[0].model == "model-a"
    await chat.edit_answer(conversation, "t1", "right", new_turn_id="e1")  # sent again
    assert conversation.siblings(edited) == (1, 2)
    await send(chat, conversation, "two", "t2")
    call = await provider.call(1)
    assert contexts(call) == [("user", "one"), ("assistant", "right"), ("user", "two")]
    await chat.saving.wait_until_all_stored(5)
    record = await chat._store.read_turn("e1")
    assert record is not None
    assert record.answer == edited.answer
    assert len(provider.calls) == 2  # no model was asked for the edited text


async def test_an_edited_answer_of_a_temporary_chat(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    conversation = chat.library.new_temporary_conversation()
    await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("wrong")
    call.finish()
    await answered(chat, conversation, "t1")
    await chat.edit_answer(conversation, "t1", "right", new_turn_id="e1")
    edited = await answered(chat, conversation, "e1")
    assert edited.text == "right"
    await until(lambda: not conversation.live)


async def test_what_is_no_answer_is_refused(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    with pytest.raises(TooMany):
        await chat.edit_answer(conversation, "t1", "right", new_turn_id="e1")
    call.say("1")
    call.finish()
    await answered(chat, conversation, "t1")
    with pytest.raises(BadMessage):
        await chat.edit_answer(conversation, "t1", " \n", new_turn_id="e1")
    with pytest.raises(TooLarge):
        await chat.edit_answer(conversation, "t1", "a" * 800_001, new_turn_id="e1")
    with pytest.raises(NotFound):
        await chat.edit_answer(conversation, "none", "right", new_turn_id="e1")


async def test_a_shorter_answer_is_asked_for_by_a_part_of_its_own(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("a long one")
    call.finish()
    await answered(chat, conversation, "t1")
    short = await chat.retry_turn(conversation, "t1", instruction="shorter")
    again = await chat.retry_turn(conversation, "t1", instruction="shorter")
    assert again is short  # asked once, as no text has come
    assert short.question == "one"
    assert short.question_parts == instructed(text_parts("one"), "shorter")
    call = await provider.call(1)
    assert contexts(call) == [("user", f"one\n\n{TEXTS['shorter']}")]
    call.say("short")
    call.finish()
    await answered(chat, conversation, short.id)
    longer = await chat.retry_turn(conversation, short.id, instruction="longer")
    assert [part.text for part in longer.question_parts if isinstance(part, DataPart)] == [
        TEXTS["longer"]
    ]
    assert [part.kind for part in longer.question_parts if isinstance(part, DataPart)] == [
        INSTRUCTION
    ]
