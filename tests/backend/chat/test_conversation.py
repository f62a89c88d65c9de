"""Conversations: turns are queued, continued, withdrawn and retried; earlier branches are kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from tests.hand_clock import HandClock
from wireside.chat.asking import NEW
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.errors import (
    BadMessage,
    Forbidden,
    NotFound,
    Overloaded,
    ProviderUnavailable,
    StoreError,
    TooLarge,
    UnknownModel,
)
from wireside.generation.runner import Runner, RunnerLimits
from wireside.messages import End, Finished, Options, Usage
from wireside.parts import FilePart, upload_of
from wireside.providers.scripted import ScriptedCall, ScriptedProvider
from wireside.records import Feedback, Write, WriteResult


@pytest.fixture
async def conversation(chat: ChatService) -> Conversation:
    return chat.library.new_conversation()


async def send(
    chat: ChatService, conversation: Conversation, question: str, turn_id: str
) -> ConversationTurn:
    return await chat.send_question(conversation, question, turn_id=turn_id, options=Options())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def answered(turn: ConversationTurn) -> ConversationTurn:
    await until(lambda: not turn.waiting and not turn.is_live)
    return turn


async def shown(chat: ChatService, conversation: Conversation) -> list[str]:
    turns = await chat.library.read_turns(conversation, 0, conversation.total - 1)
    return [turn.id for turn in turns]


async def again(chat: ChatService, conversation: Conversation) -> Conversation:
    """Open the conversation as the next process would: from the store alone."""
    await chat.saving.wait_until_all_stored(5)
    stored = await chat._store.conversation(conversation.id)
    assert stored is not None
    return Conversation(stored)


def contexts(call: ScriptedCall) -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in call.request.messages]


async def test_a_question_is_answered_and_kept(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "  What is\n a frame? ", "t1")
    call = await provider.call()
    call.say("JSON.")
    call.finish(Finished("stop", Usage(3, 1)))
    await answered(turn)
    assert turn.text == "JSON."
    assert not turn.waiting
    assert turn.end == End("stop", usage=Usage(3, 1))
    assert conversation.title == "What is a frame?"
    assert await chat.library.open_conversation(conversation.id) is conversation
    assert await chat.library.open_conversation("unknown") is None
    record = await chat._store.read_turn("t1")
    assert record is not None
    assert record.segments[0].end == turn.end
    assert record.question == "  What is\n a frame? "


async def test_sent_twice_asked_once(chat: ChatService, provider: ScriptedProvider) -> None:
    first = await chat.conversation_for("t1")
    assert await chat.conversation_for("t1") is first
    turn = await send(chat, first, "Hi", "t1")
    assert await chat.conversation_for("t1") is first
    assert await send(chat, first, "Hi", "t1") is turn
    await provider.call(0)
    assert await shown(chat, first) == ["t1"]
    assert len(provider.calls) == 1


async def test_a_taken_name_of_another_conversation_is_refused(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "Hi", "t1")
    other = chat.library.new_conversation()
    with pytest.raises(BadMessage):
        await send(chat, other, "Hi", "t1")


async def test_a_second_question_waits_its_turn(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "one", "t1")
    second = await send(chat, conversation, "two", "t2")
    call = await provider.call(0)
    assert second.waiting
    call.say("1")
    call.finish()
    call = await provider.call(1)
    assert contexts(call) == [("user", "one"), ("assistant", "1"), ("user", "two")]
    await until(lambda: not second.waiting)


async def test_a_waiting_question_can_be_taken_back(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "one", "t1")
    second = await send(chat, conversation, "two", "t2")
    third = await send(chat, conversation, "three", "t3")
    await provider.call(0)
    assert await chat.withdraw_turn(conversation, "t2") == "two"
    assert not second.waiting
    assert not second.segments
    assert await shown(chat, conversation) == ["t1", "t3"]
    assert third.depth == 1
    assert await shown(chat, await again(chat, conversation)) == ["t1", "t3"]
    with pytest.raises(NotFound):
        await chat.withdraw_turn(conversation, "t1")
    (await provider.call(0)).finish()
    assert contexts(await provider.call(1))[-1] == ("user", "three")


async def test_a_withdrawal_moves_the_branches_after_it_up(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    for turn_id in ("t1", "t2", "t3"):
        await send(chat, conversation, turn_id, turn_id)
    await provider.call(0)
    edited = await chat.edit_turn(conversation, "t3", "better", new_turn_id="t4")
    await chat.withdraw_turn(conversation, "t2")
    for one in (conversation, await again(chat, conversation)):
        assert await shown(chat, one) == ["t1", "t4"]
        assert one.siblings(await chat.library.read_turn(one, "t4")) == (1, 2)
    assert edited.depth == 1


async def test_a_withdrawn_edit_shows_what_it_replaced(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    for turn_id in ("t1", "t2"):
        await send(chat, conversation, turn_id, turn_id)
    await provider.call(0)
    await chat.edit_turn(conversation, "t2", "better", new_turn_id="t3")
    await chat.withdraw_turn(conversation, "t3")
    for one in (conversation, await again(chat, conversation)):
        assert await shown(chat, one) == ["t1", "t2"]
        assert one.siblings(await chat.library.read_turn(one, "t2")) == (0, 1)


async def test_who_may_only_read_stops_nothing(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "Hi", "t1")
    await provider.call()
    reader = replace(chat.caller, scopes=frozenset({"read"}))
    for who in (reader, replace(chat.caller, role="viewer")):
        with pytest.raises(Forbidden):
            await chat.for_caller(who).stop_stream(turn.segments[-1])
    assert turn.is_live
    await chat.stop_stream(turn.segments[-1])
    assert not turn.is_live


async def test_stop_lets_the_next_begin(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "one", "t1")
    await send(chat, conversation, "two", "t2")
    await provider.call(0)
    await chat.stop_stream(turn.segments[-1])
    await provider.call(1)


async def test_an_answer_without_a_word_makes_room(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "one", "t1")
    (await provider.call(0)).fail(ProviderUnavailable())
    await answered(turn)
    assert await chat.retry_turn(conversation, "t1") is turn
    await chat.retry_turn(conversation, "t1")  # not while an answer is streaming
    call = await provider.call(1)
    call.say("better")
    call.finish()
    await answered(turn)
    assert (turn.text, len(turn.segments)) == ("better", 1)
    assert conversation.siblings(turn) == (0, 1)
    record = await chat._store.read_turn("t1")
    assert record is not None
    assert len(record.segments) == 1


async def test_asking_again_keeps_the_earlier_answer_beside(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    for number, turn_id in enumerate(("t1", "t2")):
        turn = await send(chat, conversation, turn_id, turn_id)
        call = await provider.call(number)
        call.say(f"answer {number}")
        call.finish()
        await answered(turn)
    new = await chat.retry_turn(conversation, "t1")
    call = await provider.call(2)
    assert contexts(call) == [("user", "t1")]
    call.say("another")
    call.finish()
    await answered(new)
    assert conversation.siblings(new) == (1, 2)
    assert await shown(chat, conversation) == [new.id]
    await chat.show_sibling(conversation, new.id, 1)  # there is no next branch
    assert await shown(chat, conversation) == [new.id]
    await chat.show_sibling(conversation, new.id, -1)
    assert await shown(chat, conversation) == ["t1", "t2"]
    reopened = await again(chat, conversation)
    assert await shown(chat, reopened) == ["t1", "t2"]
    assert reopened.siblings(await chat.library.read_turn(reopened, "t1")) == (0, 2)


async def test_a_turn_that_was_searched_for_is_shown(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "one", "t1")
    (await provider.call(0)).finish()
    await answered(turn)
    await chat.edit_turn(conversation, "t1", "another", new_turn_id="t2")
    assert await shown(chat, conversation) == ["t2"]
    assert (await chat.show_turn(conversation, "t1")).depth == 0
    assert await shown(chat, conversation) == ["t1"]
    with pytest.raises(NotFound):
        await chat.show_turn(conversation, "nowhere")


async def test_continue_goes_on_in_the_same_message(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("first half, ")
    await until(lambda: turn.text)
    await chat.stop_stream(turn.segments[-1])
    await chat.continue_answer(conversation, "t1")
    call = await provider.call(1)
    assert contexts(call)[:2] == [("user", "one"), ("assistant", "first half, ")]
    call.say("second half")
    call.finish()
    await answered(turn)
    assert turn.text == "first half, second half"
    reopened = await again(chat, conversation)
    assert (await chat.library.read_turn(reopened, "t1")).text == "first half, second half"


async def test_edit_asks_anew_from_there(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    first = await send(chat, conversation, "one", "t1")
    (await provider.call(0)).finish()
    await answered(first)
    await send(chat, conversation, "two", "t2")
    running = await provider.call(1)
    waiting = await send(chat, conversation, "three", "w")
    edited = await chat.edit_turn(conversation, "t2", "two, better", new_turn_id="t3")
    assert await shown(chat, conversation) == ["t1", "t3"]
    assert contexts(await provider.call(2))[-1] == ("user", "two, better")
    assert running.is_closed
    await answered(waiting)
    assert waiting.end == End("cancelled")  # it can be retried, but is not retried automatically
    assert await chat.edit_turn(conversation, "t1", "?", new_turn_id="t3") is edited


async def test_an_edit_keeps_replaces_or_removes_the_files_of_a_question(
    chat: ChatService, conversation: Conversation
) -> None:
    async def upload(name: str) -> str:
        async def content() -> AsyncIterator[bytes]:
            yield b"1;2"

        return (await chat.files.upload_file(name, content())).id

    async def edit(turn_id: str, new_turn_id: str, question: str, *ids: str) -> list[str]:
        edited = await chat.edit_turn(
            conversation, turn_id, question, new_turn_id=new_turn_id, attachments=ids
        )
        return [part.name for part in edited.question_parts if isinstance(part, FilePart)]

    first, second = await upload("a.csv"), await upload("b.csv")
    await chat.send_question(conversation, "", turn_id="t1", options=Options(), attachments=[first])
    kept = await chat.edit_turn(conversation, "t1", "?", new_turn_id="t2")
    assert upload_of(kept.question_parts[1]) == first
    assert await edit("t2", "t3", "", second) == ["b.csv"]
    assert await edit("t3", "t4", "?", first, second) == ["a.csv", "b.csv"]
    assert await edit("t4", "t5", "?") == []
    with pytest.raises(BadMessage):  # neither a text nor a file is left
        await edit("t4", "t6", " ")
    with pytest.raises(NotFound):
        await edit("t4", "t6", "?", "nowhere")
    with pytest.raises(BadMessage, match="at most 10"):
        await edit("t4", "t6", "?", *(f"{n}" for n in range(11)))


async def test_what_can_not_be_sent_leaves_nothing_behind(
    chat: ChatService, conversation: Conversation
) -> None:
    for question, error in ((" \n", BadMessage), ("x" * 100_001, TooLarge)):
        with pytest.raises(error):
            await send(chat, conversation, question, "t1")
    with pytest.raises(UnknownModel):
        await chat.send_question(conversation, "Hi", turn_id="t1", options=Options(model="nope"))
    assert conversation.total == 0
    assert (await chat.library.list_page()).conversations == ()


async def test_an_answer_that_can_not_begin_says_why(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    chat._runner._limits = RunnerLimits(streams=0)
    turn = await answered(await send(chat, conversation, "Hi", "t1"))
    assert turn.end is not None
    assert turn.end.error is not None
    assert turn.end.error.code == "overloaded"


async def test_a_server_that_shuts_down_refuses_questions_and_begins_no_answer(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    """A question that waits is answered by the next process."""
    first = await send(chat, conversation, "one", "t1")
    await provider.call(0)
    waiting = await send(chat, conversation, "two", "t2")
    await chat._runner.drain(0)
    await answered(first)
    assert first.end == End("interrupted")
    with pytest.raises(Overloaded):
        await send(chat, conversation, "three", "t3")
    assert conversation.total == 2
    assert waiting.waiting
    assert await chat._store.conversations_with_waiting_turns() == [conversation.id]


async def test_who_watches_is_told_of_each_change(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    seen: list[str | None] = []
    unwatch = chat.watch_conversation(conversation, seen.append)
    turn = await send(chat, conversation, "one", "t1")
    assert seen == [None, "t1"]
    (await provider.call(0)).finish()
    await answered(turn)
    await until(lambda: seen == [None, "t1", "t1"])
    unwatch()
    await send(chat, conversation, "two", "t2")
    assert len(seen) == 3


async def test_feedback_is_kept(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    await send(chat, conversation, "one", "t1")
    await chat.give_feedback(conversation, "t1", Feedback("down", "too long"))
    reopened = await again(chat, conversation)
    assert (await chat.library.read_turn(reopened, "t1")).feedback == Feedback("down", "too long")
    with pytest.raises(NotFound):
        await chat.give_feedback(conversation, "t9", None)


async def test_a_key_names_a_request_in_a_conversation(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    conversation, turn = await chat.ask_in_conversation(NEW, "Hi", key="k", options=Options())
    same = await chat.ask_in_conversation(NEW, "Hi", key="k", options=Options())
    assert same == (conversation, turn)
    other = await chat.ask_in_conversation(conversation.id, "Hi", key="k", options=Options())
    assert other[0] is conversation
    assert other[1] is not turn
    with pytest.raises(NotFound):
        await chat.ask_in_conversation("nowhere", "Hi", key="k", options=Options())


async def test_whoever_goes_away_in_the_middle_leaves_nothing_half_done(
    chat: ChatService,
    conversation: Conversation,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = chat.saving._commit
    is_adding, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(writes: Sequence[Write]) -> Sequence[WriteResult]:
        is_adding.set()
        await may_go_on.wait()
        return await commit(writes)

    monkeypatch.setattr(chat.saving, "_commit", slowly)
    sending = asyncio.create_task(send(chat, conversation, "one", "t1"))
    await is_adding.wait()
    sending.cancel()
    await asyncio.wait([sending])
    may_go_on.set()
    (await provider.call(0)).finish()
    await answered(await send(chat, conversation, "one", "t1"))
    assert len(provider.calls) == 1


async def test_a_stored_stream_is_found_after_the_window(
    chat: ChatService,
    conversation: Conversation,
    provider: ScriptedProvider,
    clock: HandClock,
    runner: Runner,
) -> None:
    turn = await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("kept")
    call.finish()
    await answered(turn)
    await chat.saving.wait_until_all_stored(5)
    name = turn.segments[0].name
    clock.now += 601
    runner.release_expired()
    assert runner.stream_in_memory(name) is None
    stream = await chat.find_stream(name)
    assert stream.log.visible_text() == "kept"
    assert stream.log.end == End("stop")


async def test_a_store_that_fails_does_not_stop_the_talk(
    chat: ChatService,
    conversation: Conversation,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("stored, ")
    await until(lambda: turn.text)

    async def fail(*_: object, **__: object) -> None:
        raise StoreError

    with monkeypatch.context() as broken:
        broken.setattr(chat.saving, "_commit", fail)
        call.say("remembered")
        call.finish()
        await answered(turn)
        assert turn.text == "stored, remembered"
        assert chat.saving.is_behind
        second = await send(chat, conversation, "two", "t2")
        call = await provider.call(1)
        assert contexts(call)[1] == ("assistant", "stored, remembered")
        call.say("too")
        call.finish()
        await answered(second)
        assert await shown(chat, conversation) == ["t1", "t2"]
    assert await chat.saving.wait_until_all_stored(10)
    record = await chat._store.read_turn("t2")
    assert record is not None
    assert record.segments[0].end == End("stop")


class TestAfterAKill:
    """Recovery from a process that was killed."""

    @pytest.fixture
    async def left(
        self, chat: ChatService, conversation: Conversation, provider: ScriptedProvider
    ) -> Conversation:
        turn = await send(chat, conversation, "one", "t1")
        await send(chat, conversation, "two", "t2")
        (await provider.call(0)).say("half an ans")
        await until(lambda: turn.text)
        await chat.saving.wait_until_all_stored(5)
        return conversation

    @pytest.fixture
    async def next_chat(self, left: Conversation, parts: ChatDependencies) -> ChatService:
        """The service of the next process, whose memory has no streams of the last one."""
        runner = type(parts.runner)(
            parts.provider, parts.tasks, parts.runner._limits, parts.runner._clock, parts.saving
        )
        next_chat = ChatService(ChatCore(replace(parts, runner=runner), ChatRules()))
        await next_chat.core.resume_waiting()
        return next_chat

    async def test_answers_end_as_interrupted_and_go_on(
        self, next_chat: ChatService, left: Conversation, provider: ScriptedProvider
    ) -> None:
        conversation = await next_chat.library.open_conversation(left.id)
        assert conversation is not None
        turn = await next_chat.library.read_turn(conversation, "t1")
        assert turn.text == "half an ans"
        assert turn.end == End("interrupted")
        assert not turn.is_live

    async def test_what_waited_is_answered(
        self, next_chat: ChatService, left: Conversation, provider: ScriptedProvider
    ) -> None:
        call = await provider.call(1)
        assert contexts(call) == [("user", "one"), ("assistant", "half an ans"), ("user", "two")]


@pytest.mark.slow
async def test_ten_thousand_resends_around_drops_ask_once(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    dice = random.Random(1)

    async def resend() -> ConversationTurn | None:
        asking = asyncio.create_task(
            chat.ask_in_conversation(NEW, "Hi", key="k", options=Options())
        )
        if dice.random() < 0.5:  # the connection drops before the acknowledgement
            await asyncio.sleep(dice.choice((0, 0, 0.0005, 0.002)))
            asking.cancel()
        try:
            return (await asking)[1]
        except asyncio.CancelledError:
            return None

    turns: set[str] = set()
    for _ in range(200):
        sent = await asyncio.gather(*(resend() for _ in range(50)))
        turns |= {turn.id for turn in sent if turn}
    assert len(turns) == 1
    assert len(provider.calls) == 1
    assert len((await chat.library.list_page()).conversations) == 1


async def test_asking_again_editing_and_continuing_use_the_chosen_options(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    first = Options(model="model-a")
    turn = await chat.send_question(conversation, "one", turn_id="t1", options=first)
    call = await provider.call(0)
    call.say("half")
    await until(lambda: turn.text)
    await chat.stop_stream(turn.segments[-1])
    chosen = Options(model="model-b", system="Be brief.", temperature=0.0, max_tokens=5)
    await chat.continue_answer(conversation, "t1", chosen)
    requests = [(await provider.call(1)).request]
    await chat.stop_stream(turn.segments[-1])
    again_ = await chat.retry_turn(conversation, "t1", chosen)
    requests.append((await provider.call(2)).request)
    await chat.stop_stream(again_.segments[-1])
    edited = await chat.edit_turn(conversation, "t1", "two", new_turn_id="t2", options=chosen)
    requests.append((await provider.call(3)).request)
    for request in requests:
        assert (request.model, request.temperature, request.max_tokens) == ("model-b", 0.0, 5)
        assert request.messages[0].text == "Be brief."
    assert [stream.model for stream in turn.segments] == ["model-a", "model-b"]
    assert edited.options == again_.options == chosen
    await chat.stop_stream(edited.segments[-1])


async def test_the_options_of_a_conversation_are_those_chosen_else_of_its_last_turn(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    asked = Options(model="model-a", temperature=0.0, system="")
    turn = await chat.send_question(conversation, "one", turn_id="t1", options=asked)
    (await provider.call(0)).finish()
    await answered(turn)
    assert await chat.options_of(await again(chat, conversation)) == asked
    changes: list[str | None] = []
    chat.watch_conversation(conversation, changes.append)
    chosen = Options(model="model-b", system="Like a pirate", max_tokens=7)
    await chat.choose_options(conversation, chosen)
    assert changes == [None]
    await chat.choose_options(conversation, chosen)
    assert changes == [None], "the same choice is no change"
    assert await chat.options_of(await again(chat, conversation)) == chosen
    assert await chat.options_of(chat.library.new_conversation()) == Options()


async def test_asking_again_twice_asks_once(
    chat: ChatService, conversation: Conversation, provider: ScriptedProvider
) -> None:
    turn = await send(chat, conversation, "one", "t1")
    call = await provider.call(0)
    call.say("first")
    call.finish()
    await answered(turn)
    new = await chat.retry_turn(conversation, "t1")
    assert await chat.retry_turn(conversation, "t1") is new
    await provider.call(1)
    assert conversation.siblings(new) == (1, 2)
    assert await chat.retry_turn(conversation, "t1", Options(model="model-b")) is not new
