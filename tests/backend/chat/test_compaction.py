"""Summaries in the place of older turns: in the context, undone, by branch and by themselves."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.backend.chat.test_asking import answered, contexts, send
from wireside.chat.context import ContextLimit, context_use
from wireside.chat.conversation import Conversation
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.chat.summaries import REQUEST, summary_in, summary_part, undone
from wireside.errors import NotFound, ProviderUnavailable, TooMany
from wireside.messages import End
from wireside.parts import Part, TextPart, text_parts
from wireside.providers.scripted import ScriptedProvider

PAIR: tuple[tuple[Part, ...], tuple[Part, ...]] = (text_parts("a" * 40), text_parts("b" * 60))


@pytest.fixture
async def conversation(chat: ChatService) -> Conversation:
    return chat.library.new_conversation()


async def ask(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider, count: int
) -> None:
    for _ in range(count):
        number = conversation.total
        asked = len(provider.calls)
        await send(chat, conversation, f"question {number}", f"t{number}")
        call = await provider.call(asked)
        call.say(f"answer {number}")
        call.finish()
        await answered(chat, conversation, f"t{number}")


async def compact(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider, text: str
) -> None:
    running = asyncio.create_task(chat.compact(conversation))
    call = await provider.call(len(provider.calls))
    call.say(text)
    call.finish()
    assert await running == "done"


async def test_a_summary_takes_the_place_of_the_turns_before(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await ask(chat, conversation, provider, 4)
    await compact(chat, conversation, provider, "<think>Hm.</think>All about numbers.")
    asked = provider.calls[-1].request
    assert "question 0" in asked.messages[-1].text
    assert "question 2" not in asked.messages[-1].text
    assert not asked.allows_tools
    turn = await answered(chat, conversation, "t1")
    part = summary_in(turn.answer)
    assert part is not None
    assert part.text == "All about numbers."
    assert (turn.text, turn.end) == ("answer 1", End("stop"))
    await ask(chat, conversation, provider, 1)
    assert contexts(provider.calls[-1]) == [
        ("user", REQUEST),
        ("assistant", "All about numbers."),
        ("user", "question 2"),
        ("assistant", "answer 2"),
        ("user", "question 3"),
        ("assistant", "answer 3"),
        ("user", "question 4"),
    ]
    await chat.saving.wait_until_all_stored(5)
    record = await chat._store.read_turn("t1")
    assert record is not None
    assert summary_in(record.answer) == part


async def test_a_summary_is_undone_and_made_again(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await ask(chat, conversation, provider, 3)
    await compact(chat, conversation, provider, "first")
    assert await chat.compact(conversation) == "nothing"
    await answered(chat, conversation, "t0")
    await chat.undo_compaction(conversation, "t0")
    turn = await answered(chat, conversation, "t0")
    assert summary_in(turn.answer) is None
    with pytest.raises(NotFound):
        await chat.undo_compaction(conversation, "t0")
    await compact(chat, conversation, provider, "second")
    turn = await answered(chat, conversation, "t0")
    part = summary_in(turn.answer)
    assert part is not None
    assert part.text == "second"
    assert len(turn.answer) == 2  # one part, in its last state


async def test_a_summary_belongs_to_the_branches_through_its_turn(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await ask(chat, conversation, provider, 4)
    await compact(chat, conversation, provider, "short")  # of t0 and t1
    await chat.edit_turn(conversation, "t1", "another", new_turn_id="e1")
    call = await provider.call(5)
    assert contexts(call) == [
        ("user", "question 0"),
        ("assistant", "answer 0"),
        ("user", "another"),
    ]
    call.say("1")
    call.finish()
    await answered(chat, conversation, "e1")
    await chat.show_sibling(conversation, "e1", -1)
    await chat.edit_turn(conversation, "t2", "also", new_turn_id="e2")
    call = await provider.call(6)
    assert contexts(call) == [("user", REQUEST), ("assistant", "short"), ("user", "also")]


async def test_what_has_no_older_turns_is_not_summarised(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    assert await chat.compact(conversation) == "nothing"
    await ask(chat, conversation, provider, 1)
    assert await chat.compact(conversation) == "nothing"
    assert len(provider.calls) == 1


async def test_a_model_that_fails_or_is_silent_changes_nothing(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await ask(chat, conversation, provider, 3)
    running = asyncio.create_task(chat.compact(conversation))
    call = await provider.call(3)
    with pytest.raises(TooMany):
        await chat.compact(conversation)
    call.fail(ProviderUnavailable("gone"))
    with pytest.raises(ProviderUnavailable):
        await running
    running = asyncio.create_task(chat.compact(conversation))
    (await provider.call(4)).finish()
    assert await running == "empty"
    turn = await answered(chat, conversation, "t0")
    assert turn.answer == (TextPart("answer 0"),)


async def test_the_use_of_a_context(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    use = await chat.context_use(conversation)
    assert (use.messages, use.chars, use.is_nearly_full) == (0, 0, False)
    await ask(chat, conversation, provider, 2)
    use = await chat.context_use(conversation)
    assert (use.messages, use.chars) == (4, 2 * len("question 0answer 0"))


def test_a_context_is_nearly_full_before_turns_are_left_out() -> None:
    limit = ContextLimit(messages=100, chars=1_000)
    for count, is_nearly_full, leaves_out in (
        (7, False, False),
        (8, True, False),
        (11, True, True),
    ):
        use = context_use([PAIR] * count, limit, is_cut=False)
        assert (use.is_nearly_full, use.leaves_out) == (is_nearly_full, leaves_out)
    assert context_use([PAIR], limit, is_cut=True).leaves_out
    summary = summary_part("so far", turns=20, model="m")
    turns = [PAIR] * 20 + [(PAIR[0], (*PAIR[1], summary)), PAIR]
    use = context_use(turns, limit, is_cut=True)
    assert (use.messages, use.leaves_out) == (4, False)
    turns[-2] = (PAIR[0], (*PAIR[1], undone(summary)))
    assert context_use(turns, limit, is_cut=False).leaves_out


async def test_the_server_compacts_by_itself(
    parts: ChatDependencies, provider: ScriptedProvider
) -> None:
    rules = ChatRules(history=ContextLimit(messages=10), compaction="auto")
    chat = ChatService(ChatCore(replace(parts), rules))
    conversation = chat.library.new_conversation()
    await ask(chat, conversation, provider, 3)
    assert len(provider.calls) == 3
    await ask(chat, conversation, provider, 1)
    call = await provider.call(4)
    assert call.request.model == "model-a"
    assert "question 1" in call.request.messages[-1].text
    call.say("so far")
    call.finish()
    async with asyncio.timeout(5):
        while summary_in((await answered(chat, conversation, "t1")).answer) is None:
            await asyncio.sleep(0.005)
    assert not (await chat.context_use(conversation)).is_nearly_full
