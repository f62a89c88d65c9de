"""Copies of conversations: duplicates, and new conversations from a turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wireside.chat.asking import NEW
from wireside.chat.copies import title_of_copy
from wireside.chat.service import ChatService
from wireside.errors import NotFound
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Feedback


@pytest.fixture
def ask(chat: ChatService, provider: ScriptedProvider) -> Any:
    """Ask a question and have it answered; return the conversation and the turn."""

    async def ask_and_answer(question: str, where: str = NEW) -> Any:
        number = len(provider.calls)
        conversation, turn = await chat.ask_in_conversation(
            where, question, key=None, options=Options(model="model-a")
        )
        call = await provider.call(number)
        call.say(f"re {question}")
        call.finish()
        while turn.is_live or not turn.segments:
            await asyncio.sleep(0.001)
        await chat.saving.wait_until_all_stored(5)
        return conversation, turn

    return ask_and_answer


async def shown(chat: ChatService, conversation_id: str) -> list[tuple[str, str]]:
    conversation = await chat.library.open_conversation(conversation_id)
    assert conversation is not None
    turns = await chat.library.read_turns(conversation, 0, conversation.total - 1)
    return [(turn.question, turn.text) for turn in turns]


async def test_a_fork_has_everything_up_to_its_turn(chat: ChatService, ask: Any) -> None:
    conversation, first = await ask("one")
    _, second = await ask("two", conversation.id)
    await ask("three", conversation.id)
    await chat.library.tag(conversation.id, ["work"])
    await chat.library.pin(conversation.id, True)
    await chat.give_feedback(conversation, first.id, Feedback("up"))
    info = await chat.library.fork(conversation.id, second.id)
    assert await shown(chat, info.id) == [("one", "re one"), ("two", "re two")]
    assert (info.title, info.tags, info.pinned_at) == ("one (2)", ("work",), None)
    assert len(await shown(chat, conversation.id)) == 3
    _, asked = await ask("four", info.id)
    copied = await chat.library.open_conversation(info.id)
    assert copied is not None
    (turn, *_) = await chat.library.read_turns(copied, 0, 2)
    assert (turn.feedback, asked.depth) == (None, 2)
    assert turn.id != first.id
    hits = await chat.library.search("four")
    assert {hit.conversation_id for hit in hits} == {info.id}


async def test_a_fork_follows_the_branch_of_its_turn(
    chat: ChatService, ask: Any, provider: ScriptedProvider
) -> None:
    conversation, first = await ask("one")
    await ask("two", conversation.id)
    edited = await chat.edit_turn(
        conversation, first.id, "uno", new_turn_id="edited", options=Options(model="model-a")
    )
    call = await provider.call(2)
    call.say("re uno")
    call.finish()
    while edited.is_live or not edited.segments:
        await asyncio.sleep(0.001)
    left = await chat.library.fork(conversation.id, first.id)
    right = await chat.library.fork(conversation.id, "edited")
    assert await shown(chat, left.id) == [("one", "re one")]
    assert await shown(chat, right.id) == [("uno", "re uno")]

    whole = await chat.library.duplicate(conversation.id)
    copied = await chat.library.open_conversation(whole.id)
    assert copied is not None
    assert await shown(chat, whole.id) == [("uno", "re uno")]
    (turn,) = await chat.library.read_turns(copied, 0, 0)
    assert copied.siblings(turn) == (1, 2)
    await chat.show_sibling(copied, turn.id, -1)
    assert await shown(chat, whole.id) == [("one", "re one"), ("two", "re two")]
    assert await shown(chat, conversation.id) == [("uno", "re uno")]


async def test_what_is_not_finished_is_interrupted_in_the_copy(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    conversation, turn = await chat.ask_in_conversation(NEW, "Hi", key=None, options=Options())
    call = await provider.call(0)
    call.say("half of")
    await chat.ask_in_conversation(conversation.id, "queued", key=None, options=Options())
    while turn.text != "half of":
        await asyncio.sleep(0.001)
    await chat.saving.wait_until_all_stored(5)
    info = await chat.library.duplicate(conversation.id)
    assert await shown(chat, info.id) == [("Hi", "half of"), ("queued", "")]
    copied = await chat.library.open_conversation(info.id)
    assert copied is not None
    turns = await chat.library.read_turns(copied, 0, 1)
    assert [one.end and one.end.reason for one in turns] == ["interrupted"] * 2
    assert turn.is_live
    call.finish()


async def test_the_chosen_options_are_those_of_the_copy(chat: ChatService, ask: Any) -> None:
    conversation, turn = await ask("one")
    chosen = Options(model="model-a", system="Be short.", temperature=0.2)
    await chat.choose_options(conversation, chosen)
    for info in (
        await chat.library.duplicate(conversation.id),
        await chat.library.fork(conversation.id, turn.id),
    ):
        copied = await chat.library.open_conversation(info.id)
        assert copied is not None
        assert await chat.options_of(copied) == chosen


async def test_empty_conversations_are_copied_and_unknown_ones_are_not(
    chat: ChatService, ask: Any
) -> None:
    empty = await chat.library.create("Nothing")
    assert (await chat.library.duplicate(empty.id)).title == "Nothing (2)"
    conversation, turn = await ask("one")
    with pytest.raises(NotFound):
        await chat.library.duplicate("nowhere")
    with pytest.raises(NotFound):
        await chat.library.fork(conversation.id, "nowhere")
    with pytest.raises(NotFound):
        await chat.library.fork(empty.id, turn.id)


def test_a_copy_is_numbered() -> None:
    assert title_of_copy("a (9)", max_chars=200) == "a (10)"
    assert title_of_copy("", max_chars=200) == ""
    assert title_of_copy("x" * 200, max_chars=200) == "x" * 196 + " (2)"
