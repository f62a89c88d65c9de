"""The chat page as its presenter shows it: the calls of its views after events and changes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import MODELS
from tests.ui.presenters.conftest import Begun, Screen
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.service import ChatService
from wireside.errors import StoreError
from wireside.extension.hooks import Start
from wireside.extension.questions import Approve, question_part
from wireside.extension.turn import User
from wireside.identity import LOCAL
from wireside.messages import Finished, ModelInfo, Options
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Feedback
from wireside.store.store import SqlStore
from wireside_ui.markdown.dialect import Markup
from wireside_ui.presenters.answer import row_of
from wireside_ui.presenters.questions import GivenAnswer
from wireside_ui.presenters.views import Sending


async def fail(*_: object, **__: object) -> None:
    raise StoreError


async def test_a_question_is_shown_acknowledged_and_answered(screen: Any, begun: Any) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("Because ")
    shown = await screen.shown()
    names = [call[0] for call in shown]
    assert names.index("transcript.append") < names.index("transcript.ops")
    assert next(call for call in shown if call[0] == "composer.accepted")[1] == "t1"
    assert ("welcome.show", "hidden") in shown
    assert ("composer.answering", True) in shown
    await say("of that.", ends=True)
    shown = await screen.shown()
    assert "of that." in str(shown)
    assert ("composer.answering", False) in shown
    assert shown.index(next(c for c in shown if c[0] == "transcript.ops")) < shown.index(
        next(c for c in shown if c[0] == "transcript.change" and c[2].get("state") == "done")
    )
    assert await screen.shown() == []


async def test_a_refused_question_is_given_back(screen: Any) -> None:
    await screen.ask("  ", "t1")
    assert await screen.changes("composer.refused") == [("t1", "The message is blank.", None)]


class TestLimits:
    """Limits are shown before they are reached, and the time to wait afterwards."""

    @pytest.fixture
    def quotas(self) -> UserQuotas:
        return UserQuotas(MemoryLimiter(lambda: 0.0), QuotaLimits(tokens_per_day=100, streams=1))

    async def test_a_refusal_says_how_long_to_wait(self, screen: Any, quotas: UserQuotas) -> None:
        await quotas.record_tokens(LOCAL, 100)
        await screen.ask("why?", "t1")
        (refused,) = await screen.changes("composer.refused")
        assert refused[:2] == ("t1", "You have reached a limit.")
        assert 3600 < refused[2] <= 86_400

    async def test_so_does_one_of_an_answer_that_is_to_be_made_anew(
        self, screen: Any, quotas: UserQuotas, begun: Any
    ) -> None:
        await screen.ask("why?", "t1")
        await (await begun(1))("Because.", ends=True)
        await screen.shown()
        await quotas.record_tokens(LOCAL, 100)
        await screen.act("retry", "t1")
        ((sentence, wait_s),) = await screen.changes("composer.tell")
        assert sentence == "You have reached a limit."
        assert wait_s > 3600

    async def test_answers_at_once_are_shown_while_they_are_made(
        self, screen: Any, begun: Any
    ) -> None:
        await screen.ask("why?", "t1")
        say = await begun(1)
        assert await screen.changes("composer.allow") == [("0 more answers at once",)]
        await say("Because.", ends=True)
        assert await screen.changes("composer.allow") == [("",)]


async def test_a_second_page_shows_what_is_there_and_goes_on(
    screen: Any, new_screen: Any, begun: Any
) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("Because ")
    await screen.shown()
    other = await new_screen(screen.conversation)
    shown = await other.shown()
    reset = next(call for call in shown if call[0] == "transcript.reset")
    assert reset[1][0].question == "why?"
    assert "Because" in str(shown)
    await say("of that.", ends=True)
    assert "of that." in str(await other.shown())
    assert "of that." in str(await screen.shown())


async def test_another_conversation_is_opened_on_the_same_page(screen: Any, begun: Any) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("Because ")
    await screen.shown()
    conversation = screen.conversation
    await screen.presenter.open("", None)
    shown = await screen.shown()
    assert ("transcript.reset", [], 0) in shown
    assert ("welcome.show", "empty") in shown
    assert ("composer.answering", False) in shown
    await say("it goes on ")
    assert await screen.shown() == []
    await screen.presenter.open(conversation.id, None)
    shown = await screen.shown()
    assert "Because it goes on" in str(shown)
    assert ("composer.answering", True) in shown
    await screen.presenter.open("nowhere", None)
    assert ("composer.lose", "nowhere") in await screen.shown()


@pytest.mark.parametrize("first_read", ["first", "last"])
async def test_the_conversation_opened_last_is_shown(
    screen: Any, begun: Any, chat: ChatService, monkeypatch: pytest.MonkeyPatch, first_read: str
) -> None:
    await screen.ask("why?", "t1")
    await (await begun(1))("Because.", ends=True)
    first = screen.conversation
    await screen.presenter.open("", None)
    await screen.ask("how?", "t2")
    await (await begun(2))("So.", ends=True)
    last = screen.conversation
    await screen.presenter.open("", None)
    await screen.shown()
    may_read = {first.id: asyncio.Event(), last.id: asyncio.Event()}
    read = chat.library.open_conversation

    async def read_when_allowed(conversation_id: str) -> Any:
        await may_read[conversation_id].wait()
        return await read(conversation_id)

    monkeypatch.setattr(chat.library, "open_conversation", read_when_allowed)
    openings = [asyncio.create_task(screen.presenter.open(one.id, None)) for one in (first, last)]
    await asyncio.sleep(0)
    for one in (first, last) if first_read == "first" else (last, first):
        may_read[one.id].set()
        await asyncio.sleep(0.05)
    await asyncio.gather(*openings)
    assert screen.presenter.transcript.conversation is last
    shown = await screen.shown()
    assert [call[1] for call in shown if call[0] == "sidebar.set_current"] == [last.id]
    assert "Because." not in str(shown)


async def test_an_edit_takes_out_what_followed(screen: Any, begun: Any) -> None:
    for number in (1, 2, 3):
        await screen.ask(f"q{number}", f"t{number}")
        await (await begun(number))("a", ends=True)
        await screen.shown()
    await screen.ask("better", "t4", edits="t2")
    await begun(4)
    shown = await screen.shown()
    (replaced,) = [call for call in shown if call[0] == "transcript.replace_from"]
    assert replaced[1] == 1
    assert [(row.question, row.sibling, row.siblings) for row in replaced[2]] == [("better", 1, 2)]
    assert replaced[3] == 2
    await screen.act("previous", "t4")
    (replaced,) = await screen.changes("transcript.replace_from")
    assert [row.question for row in replaced[1]] == ["q2", "q3"]
    assert replaced[2] == 3


async def test_what_waits_can_be_taken_back_from_the_middle(screen: Any, begun: Any) -> None:
    for number in (1, 2, 3):
        await screen.ask(f"q{number}", f"t{number}")
    await begun(1)
    await screen.shown()
    await screen.act("withdraw", "t2")
    shown = await screen.shown()
    assert ("composer.put_back", "q2", ()) in shown
    (replaced,) = [call for call in shown if call[0] == "transcript.replace_from"]
    assert [row.question for row in replaced[2]] == ["q1", "q3"]
    assert replaced[3] == 2


async def test_a_closed_page_is_not_kept_in_memory(
    new_screen: Any, chat: ChatService, begun: Any
) -> None:
    screen = await new_screen()
    await screen.ask("q", "t1")
    say = await begun(1)
    await say("a")
    await screen.shown()
    conversation = screen.conversation
    screen.presenter.close()
    await say("b")
    await chat.library.rename(conversation.id, "New")
    await chat.continue_answer(conversation, "t1")
    assert screen.calls == []
    presenter = weakref.ref(screen.presenter)
    del screen
    gc.collect()
    assert presenter() is None


async def test_feedback_is_shown_on_every_page(screen: Any, new_screen: Any, begun: Any) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("a", ends=True)
    await screen.shown()
    other = await new_screen(screen.conversation)
    await other.shown()
    await screen.act("up", "t1")
    for page in (screen, other):
        assert any(
            patch.get("feedback") == "up" for _, patch in await page.changes("transcript.change")
        )
    await screen.act("no-feedback", "t1")
    assert any(patch.get("feedback") == "" for _, patch in await other.changes("transcript.change"))


async def test_consent_is_kept_with_the_feedback_until_it_is_taken_back(
    screen: Any, chat: ChatService, begun: Any
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("a", ends=True)
    await screen.shown()
    for name, fields, feedback in (
        ("say", {"words": "no rating yet", "is_shown": True}, None),
        ("down", {}, Feedback("down")),
        ("say", {"words": "too long", "is_shown": True}, Feedback("down", "too long", True)),
        ("up", {}, Feedback("up", "too long", True)),
        ("unshow", {}, Feedback("up", "too long")),
        ("no-feedback", {}, None),
    ):
        await screen.act(name, "t1", **fields)
        turn = await chat.library.read_turn(screen.conversation, "t1")
        assert turn.feedback == feedback, name


async def test_a_deleted_conversation_leaves_every_page(
    screen: Any, chat: ChatService, begun: Any
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("a")
    await screen.shown()
    conversation_id = screen.conversation.id
    await chat.library.delete([conversation_id])
    shown = await screen.shown()
    assert ("welcome.show", "missing") in shown
    assert ("composer.lose", conversation_id) in shown


async def test_a_page_says_when_saving_is_behind(
    screen: Any, store: SqlStore, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await screen.ask("q", "t1")
    say = await begun(1)
    with monkeypatch.context() as broken:
        broken.setattr(store, "commit_writes", fail)
        await say("a")
        await asyncio.sleep(0.05)
        await screen.presenter.update()
        assert ("frame.show_saving", True) in screen.calls
        screen.calls.clear()
    await say("b", ends=True)
    assert ("frame.show_saving", True) not in await screen.shown()


async def test_a_place_that_was_found_is_jumped_to(screen: Any, begun: Any) -> None:
    for number in (1, 2, 3):
        await screen.ask(f"q{number}", f"t{number}")
        await (await begun(number))("a", ends=True)
        await screen.shown()
    conversation_id = screen.conversation.id
    await screen.ask("other", "t4", edits="t2")
    await screen.shown()
    await screen.presenter.open(conversation_id, "t3")
    shown = await screen.shown()
    assert ("transcript.jump", 2) in shown
    (replaced,) = [call for call in shown if call[0] == "transcript.replace_from"]
    assert [row.question for row in replaced[2]] == ["q2", "q3"]


async def test_what_can_not_be_read_now_is_told_and_requested_again(
    screen: Any, chat: ChatService, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("a", ends=True)
    conversation_id = screen.conversation.id
    await screen.shown()
    with monkeypatch.context() as broken:
        broken.setattr(chat.library, "read_turns", fail)
        await screen.presenter.give_rows(0)
        await screen.presenter.edit_last()
        shown = await screen.shown()
        assert ("transcript.miss", 0) in shown
        assert len([call for call in shown if call[0] == "composer.tell"]) == 2
        await screen.presenter.open("", None)
        await screen.shown()
        await screen.presenter.open(conversation_id, None)
        (problem,) = await screen.changes("welcome.show_problem")
        assert problem != ("",)
        assert screen.presenter.transcript.conversation is None
    await screen.presenter.open(conversation_id, None)
    assert ("transcript.reset", 1) in [(call[0], call[-1]) for call in await screen.shown()]


async def test_asking_again_uses_what_the_page_shows(
    screen: Any, new_screen: Any, begun: Any, provider: ScriptedProvider
) -> None:
    await screen.ask("why?", "t1", model="model-a")
    await (await begun(1))("Because.", ends=True)
    await screen.shown()
    other = await new_screen(screen.conversation)
    await other.shown()
    conversation_id = screen.conversation.id
    chosen = Options(model="model-b", system="Be brief.", temperature=0.0)
    await screen.presenter.choose(conversation_id, chosen)
    assert await other.changes("composer.set_choice") == [(conversation_id, chosen)]
    assert await screen.changes("composer.set_choice") == [], "the browser shows its own choice"
    await other.act("retry", "t1")
    await begun(2)
    request = provider.calls[-1].request
    assert (request.model, request.temperature) == ("model-b", 0.0)
    assert request.messages[0].text == "Be brief."


async def test_a_model_that_is_not_offered_gives_way_to_the_default(
    new_screen: Any, begun: Any, provider: ScriptedProvider
) -> None:
    provider.listed = (*MODELS, ModelInfo(id="old", name="Old"))
    screen = await new_screen(models=MODELS)
    await screen.ask("why?", "t1", model="old")
    await (await begun(1))("Because.", ends=True)
    await screen.shown()
    await screen.act("retry", "t1")
    await begun(2)
    assert [call.request.model for call in provider.calls] == ["old", "model-a"]


async def test_a_setting_out_of_its_range_is_refused(
    screen: Any, provider: ScriptedProvider
) -> None:
    await screen.presenter.send(
        Sending(turn_id="t1", question="why?", options=Options(), edits=None, invalid="temperature")
    )
    (refused,) = await screen.changes("composer.refused")
    assert refused == ("t1", "The temperature must be a number from 0 to 2.")
    assert provider.calls == []


async def test_a_row_tells_its_model_and_when_it_was_asked(screen: Any, begun: Any) -> None:
    await screen.ask("why?", "t1")
    await (await begun(1))("Because.", ends=True)
    shown = await screen.shown()
    [row] = [call[1] for call in shown if call[0] == "transcript.append"]
    assert row.asked_at > 1_000_000_000
    patches = [call[2] for call in shown if call[0] == "transcript.change"]
    assert "model-a" in [row.model, *(patch.get("model") for patch in patches)]


@pytest.mark.parametrize("name", ["retry", "continue"])
async def test_what_asks_the_model_counts_once_within_a_moment(
    screen: Any, begun: Any, provider: ScriptedProvider, name: str
) -> None:
    await screen.ask("why?", "t1")
    await (await begun(1))("Because.", ends=True)
    await screen.shown()
    await screen.act(name, "t1")
    await (await begun(2))("Again.", ends=True)
    await screen.shown()
    await screen.act(name, "t1")
    await screen.shown()
    assert len(provider.calls) == 2


async def asks(screen: Any, provider: ScriptedProvider) -> None:
    """Ask a question, whose answer asks for approval."""
    await screen.ask("Send it?", "t1")
    call = await provider.call(0)
    await screen.shown()
    call.say(question_part(Approve("Sure?"), part_id="q"))
    call.finish(Finished("asking"))
    await ended(screen)


async def ended(screen: Any) -> None:
    while screen.conversation.live:
        await asyncio.sleep(0)


async def test_a_question_is_answered_once(screen: Any, provider: ScriptedProvider) -> None:
    await asks(screen, provider)
    assert (await screen.changes("transcript.change"))[-1][1]["state"] == "asking"
    yes = GivenAnswer(row_id="t1", part_id="q", value=True)
    await screen.presenter.answer_question(yes)
    call = await provider.call(1)
    ops = [op for call in await screen.changes("transcript.ops") for op in call[1]]
    call.say(question_part(Approve("Sure?"), part_id="q", answer=True), "Sent.")
    call.finish()
    await ended(screen)
    ops += [op for call in await screen.changes("transcript.ops") for op in call[1]]
    assert [op[1]["data"]["answer"] for op in ops if op[0] == "d"][-1] is True
    assert "Sent." in str(ops)
    await screen.presenter.answer_question(replace(yes, value=False))
    told = await screen.changes("composer.tell")
    assert told == [("This question was answered already.", None)]
    assert len(provider.calls) == 2


@pytest.mark.parametrize("value", ["yes", {"a": True}])
async def test_an_answer_that_does_not_fit_is_refused(
    screen: Any, provider: ScriptedProvider, value: Any
) -> None:
    await asks(screen, provider)
    await screen.presenter.answer_question(GivenAnswer(row_id="t1", part_id="q", value=value))
    await screen.presenter.answer_question(GivenAnswer(row_id="t2", part_id="q", value=True))
    assert [call[0] for call in await screen.changes("composer.tell")] == [
        "answer: this question wants true or false."
    ]
    assert len(provider.calls) == 1


async def test_files_are_shown_with_their_question_and_given_back(
    screen: Any, begun: Any, chat: ChatService
) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"1;2"

    file = await chat.files.upload_file("a.csv", content())
    shown_file = {"id": file.id, "name": "a.csv", "media_type": "text/csv"}
    for turn_id, attachments in (("t1", ()), ("t2", (file.id,))):
        await screen.presenter.send(
            Sending(
                turn_id=turn_id,
                question="" if attachments else "q1",
                options=Options(),
                edits=None,
                attachments=attachments,
            )
        )
    await begun(0)
    (turn,) = await chat.library.read_turns(screen.conversation, 1, 1)
    assert row_of(turn, Markup(frozenset()), "en").files == (shown_file,)
    await screen.act("withdraw", "t2")
    assert ("composer.put_back", "", (shown_file,)) in await screen.shown()
    edited = Sending(
        turn_id="t4", question="", options=Options(), edits="t1", attachments=(file.id,)
    )
    await screen.presenter.send(edited)
    await screen.act("edit", "t4")
    assert ("composer.edit", "t4", "", (shown_file,)) in await screen.shown()
    unknown = Sending(
        turn_id="t3", question="?", options=Options(), edits=None, attachments=("nowhere",)
    )
    await screen.presenter.send(unknown)
    (refused,) = await screen.changes("composer.refused")
    assert refused[0] == "t3"


async def test_a_new_chat_in_an_open_page_has_new_texts(new_screen: Any, chat: ChatService) -> None:
    texts = [Start("Hello again", ["One more?"]), Start(), None]
    begun = asyncio.Event()

    async def start(user: User) -> Start | None:
        if not texts:
            begun.set()
            await asyncio.sleep(3600)
        return texts.pop(0)

    chat.core.parts.hooks.on_start = start
    screen = await new_screen(welcome="For *all*")
    for expected in (
        [("<p>Hello again</p>", ["One more?"])],
        [("<p>For <em>all</em></p>", ())],
        [("<p>For <em>all</em></p>", ())],  # a hook that returns nothing
    ):
        await screen.presenter.open("", None)
        assert [
            (call[0].strip(), call[1]) for call in await screen.changes("welcome.show_start")
        ] == expected
    late = asyncio.create_task(screen.presenter.open("", None))
    await begun.wait()
    await screen.ask("q", "t1")
    await screen.presenter.open(screen.conversation.id, None)
    late.cancel()
    assert await screen.changes("welcome.show_start") == []


class TestTemporary:
    """A temporary chat has no address, no entry and no end but the page's."""

    async def test_it_is_asked_in_and_never_listed(self, screen: Any, begun: Any) -> None:
        await screen.ask("why?", "t1", is_temporary=True)
        await (await begun(1))("Because.", ends=True)
        shown = await screen.shown()
        assert ("composer.accepted", "t1", "") in shown
        assert ("sidebar.set_current", "") in shown
        assert ("frame.set_title", "Temporary chat", 0) in shown
        assert not [call for call in shown if call[0] == "header.show"]  # it shows a temporary chat
        assert not [call for call in shown if call[0] == "sidebar.put"]
        conversation = screen.conversation
        await screen.ask("and?", "t2", is_temporary=True)
        await (await begun(2))("So.", ends=True)
        assert screen.conversation is conversation
        assert conversation.total == 2

    @pytest.mark.parametrize(
        "leaves", ["opens another", "closes the page", "asks a usual question"]
    )
    async def test_it_ends_when_it_is_left(self, screen: Any, begun: Any, leaves: str) -> None:
        await screen.ask("why?", "t1", is_temporary=True)
        await begun(1)
        conversation = screen.conversation
        if leaves == "opens another":
            await screen.presenter.open("", None)
        elif leaves == "closes the page":
            screen.presenter.close()
        else:
            await screen.ask("why?", "t2")
            assert not screen.conversation.is_temporary
        assert conversation.is_deleted

    async def test_a_chat_that_is_stored_is_not_asked_in(self, screen: Any, begun: Any) -> None:
        await screen.ask("why?", "t1")
        stored = screen.conversation
        await (await begun(1))("Because.", ends=True)
        await screen.ask("and?", "t2", is_temporary=True)
        assert stored.total == 1
        assert screen.conversation.is_temporary


async def test_the_header_shows_the_title_and_follows_its_changes(screen: Any, begun: Any) -> None:
    await screen.ask("Where do wombats live?", "t1")
    await begun(1)
    shown = [call[0] for call in await screen.changes("header.show")]
    assert shown[-1].title == "Where do wombats live?"
    await screen.chat.library.rename(screen.conversation.id, "Wombats")
    shown = [call[0] for call in await screen.changes("header.show")]
    assert [info.title for info in shown] == ["Wombats"]
    await screen.presenter.open("", None)
    assert ("header.show", None, None) in screen.calls


async def test_the_use_of_the_context_follows_the_conversation(
    screen: Screen, begun: Begun
) -> None:
    assert await screen.changes("composer.show_context") == []
    await screen.ask("Hi", "t1")
    say = await begun(1)
    await say("Hello", ends=True)
    ((use,),) = await screen.changes("composer.show_context")
    assert (use["messages"], use["max_messages"], use["leaves_out"]) == (2, 40, False)
    assert use["tokens"] == len("HiHello") // 4
    assert await screen.changes("composer.show_context") == []
    await screen.presenter.open("", None)
    assert (None,) in await screen.changes("composer.show_context")


async def test_what_can_not_be_summarised_is_said(screen: Screen) -> None:
    await screen.presenter.compact()
    calls = await screen.shown()
    assert ("composer.compacting", False) in calls


async def test_answers_are_shown_side_by_side_until_one_is_kept(
    screen: Screen, provider: ScriptedProvider
) -> None:
    await screen.presenter.send(
        Sending(
            turn_id="t1",
            question="Hi",
            options=Options(),
            edits=None,
            compared=("model-a", "model-b"),
        )
    )
    for index in range(2):
        call = await provider.call(index)
        call.say(f"I am {call.request.model}")
        call.finish()
    conversation = screen.conversation
    async with asyncio.timeout(5):
        while conversation.live:
            await asyncio.sleep(0.001)
    await screen.presenter.open("", None)
    await screen.presenter.open(conversation.id, None)
    (shown,) = (await screen.changes("transcript.reset"))[-1][0]
    assert shown.id == "t1"
    assert [one.id for one in shown.beside] == ["t1-2"]
    await screen.act("keep", "t1-2")
    async with asyncio.timeout(5):
        while conversation.live:
            await asyncio.sleep(0.001)
    kept = [rows[-1] for _, rows, _ in await screen.changes("transcript.replace_from")]
    assert (kept[-1].id, kept[-1].beside) == ("t1-2", ())


async def test_answers_that_come_after_an_update_of_the_page_are_shown_beside(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ChatService._ask_version

    async def ask_and_update(chat: ChatService, *args: Any) -> None:
        await ask(chat, *args)
        if len(screen.conversation.branches) == 1:  # only the first of them
            await screen.presenter.transcript.update()

    monkeypatch.setattr(ChatService, "_ask_version", ask_and_update)
    sending = {"turn_id": "t1", "question": "Hi", "options": Options(), "edits": None}
    models = ("model-a", "model-b")
    await screen.presenter.send(Sending(**sending, compared=models))  # type: ignore[arg-type]
    changes = await screen.changes("transcript.replace_from")
    assert [one.id for one in changes[-1][1][-1].beside] == ["t1-2"]
    await screen.presenter.transcript.update()
    assert await screen.changes("transcript.replace_from") == []
