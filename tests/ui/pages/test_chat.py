"""The messages that an open page sends to its browser."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from nicegui import Client, ui
from nicegui.element import Element

from wireside.auth.limiter import MemoryLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.conversation import Conversation
from wireside.chat.service import ChatService
from wireside.errors import NotConfigured, StoreError
from wireside.generation.reader import Reader
from wireside.identity import LOCAL
from wireside.messages import Finished, Options, TextDelta
from wireside_ui.components.composer import Sending
from wireside_ui.components.transcript import Action
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import LOOP_CHARS, render
from wireside_ui.pages import chat as chat_page
from wireside_ui.pages.chat import ChatPage
from wireside_ui.presenters import answer
from wireside_ui.presenters.answer import MORE
from wireside_ui.theme import Branding


class Screen:
    """A page without a browser: records the messages to it, as (method, arguments)."""

    def __init__(self, chat: ChatService) -> None:
        self.chat = chat
        self.client = Client(ui.page(""))
        self.page = ChatPage(
            chat=chat,
            look=Branding(),
            markup=Markup(frozenset()),
            client=self.client,
            language="en",
            base="",
            version="v1",
        )

    async def build(self, conversation: Conversation | None = None) -> Screen:
        with self.client:
            await self.page.build(conversation.id if conversation else None, None, ())
        self.page._list.begin()
        return self

    async def told(self) -> list[tuple[Any, ...]]:
        """Bring the page up to date; return the messages since the last call."""
        assert await self.chat.saving.flush(5)
        for _ in range(3):  # tasks that waited for the store continue
            await asyncio.sleep(0)
        with self.client:
            await self.page._update()
        return CALLS.pop(self.client.id, [])

    async def changes(self, method: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in await self.told() if call[0] == method]

    async def open(self, conversation_id: str, turn_id: str | None = None) -> None:
        with self.client:
            await self.page._open(conversation_id, turn_id)

    async def ask(self, question: str, turn_id: str, edits: str | None = None) -> None:
        with self.client:
            await self.page._send(
                Sending(turn_id=turn_id, question=question, options=Options(), edits=edits)
            )

    async def act(self, name: Any, turn_id: str) -> None:
        with self.client:
            await self.page._act(Action(name=name, row_id=turn_id))


CALLS: dict[str, list[tuple[Any, ...]]] = {}


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record the calls for a browser, as they would arrive there."""

    def run_method(element: Element, name: str, *args: Any, timeout: float = 1) -> None:
        call = (name, *json.loads(json.dumps(args)))
        CALLS.setdefault(element.client.id, []).append(call)

    CALLS.clear()
    monkeypatch.setattr(Element, "run_method", run_method)


@pytest.fixture
async def screen(chat: ChatService) -> Screen:
    return await Screen(chat).build()


@pytest.fixture
def begun(provider: Any) -> Callable[..., Any]:
    """Wait for ``count`` provider requests; return a function that extends the last answer."""

    async def wait(count: int) -> Callable[..., Any]:
        while len(provider.answers) < count:
            await asyncio.sleep(0.001)
        steps = provider.answers[-1]

        async def say(text: str, *, ends: bool = False) -> None:
            steps.put_nowait(TextDelta(text))
            if ends:
                steps.put_nowait(Finished("stop"))
            for _ in range(20):
                await asyncio.sleep(0)

        return say

    return wait


async def test_a_question_is_shown_acknowledged_and_answered(screen: Screen, begun: Any) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("Because ")
    told = await screen.told()
    names = [call[0] for call in told]
    assert names.index("append") < names.index("ops")
    assert next(call for call in told if call[0] == "accepted")[1] == "t1"
    assert ("setView", "hidden") in told
    assert ("setAnswering", True) in told
    await say("of that.", ends=True)
    told = await screen.told()
    assert "of that." in json.dumps(told)
    assert ("setAnswering", False) in told
    assert told.index(next(c for c in told if c[0] == "ops")) < told.index(
        next(c for c in told if c[0] == "update" and c[2].get("state") == "done")
    )
    assert await screen.told() == []


async def test_a_tick_goes_through_no_turn_that_has_not_changed(
    screen: Screen, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("a")
    await screen.told()
    walks: list[None] = []
    path = Conversation.path
    monkeypatch.setattr(Conversation, "path", lambda self: walks.append(None) or path(self))
    await say("b")
    assert await screen.changes("ops")
    assert not walks


async def test_a_refused_question_is_given_back(screen: Screen) -> None:
    await screen.ask("  ", "t1")
    assert await screen.changes("refused") == [("t1", "The message is blank.", None)]


class TestLimits:
    """Limits are shown before they are reached, and the time to wait afterwards."""

    @pytest.fixture
    def quotas(self) -> UserQuotas:
        return UserQuotas(MemoryLimiter(lambda: 0.0), QuotaLimits(tokens_per_day=100, streams=1))

    async def test_a_refusal_says_how_long_to_wait(
        self, screen: Screen, quotas: UserQuotas
    ) -> None:
        await quotas.spend(LOCAL, 100)
        await screen.ask("why?", "t1")
        (refused,) = await screen.changes("refused")
        assert refused[:2] == ("t1", "You have reached a limit.")
        assert 3600 < refused[2] <= 86_400

    async def test_so_does_one_of_an_answer_that_is_to_be_made_anew(
        self, screen: Screen, quotas: UserQuotas, begun: Any
    ) -> None:
        await screen.ask("why?", "t1")
        await (await begun(1))("Because.", ends=True)
        await screen.told()
        await quotas.spend(LOCAL, 100)
        await screen.act("retry", "t1")
        ((sentence, wait_s),) = await screen.changes("tell")
        assert sentence == "You have reached a limit."
        assert wait_s > 3600

    async def test_answers_at_once_are_told_while_they_are_made(
        self, screen: Screen, begun: Any
    ) -> None:
        await screen.ask("why?", "t1")
        say = await begun(1)
        assert await screen.changes("allow") == [("0 more answers at once",)]
        await say("Because.", ends=True)
        assert await screen.changes("allow") == [("",)]


async def test_a_second_page_shows_what_is_there_and_goes_on(
    screen: Screen, chat: ChatService, begun: Any
) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("Because ")
    await screen.told()
    other = await Screen(chat).build(screen.page._conversation)
    told = await other.told()
    shown = next(call for call in told if call[0] == "reset")
    assert shown[1][0]["question"] == "why?"
    assert "Because" in json.dumps(told)
    await say("of that.", ends=True)
    assert "of that." in json.dumps(await other.told())
    assert "of that." in json.dumps(await screen.told())


async def test_another_conversation_is_opened_on_the_same_page(
    screen: Screen, chat: ChatService, begun: Any
) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("Because ")
    await screen.told()
    conversation = screen.page._conversation
    await screen.open("")
    told = await screen.told()
    assert ("reset", [], 0) in told
    assert ("setView", "empty") in told
    assert ("setAnswering", False) in told
    await say("it goes on ")
    assert await screen.told() == []
    await screen.open(conversation.id)
    told = await screen.told()
    assert "Because it goes on" in json.dumps(told)
    assert ("setAnswering", True) in told
    await screen.open("nowhere")
    assert ("lose", "nowhere") in await screen.told()


async def test_an_edit_takes_out_what_followed(screen: Screen, begun: Any) -> None:
    for number in (1, 2, 3):
        await screen.ask(f"q{number}", f"t{number}")
        await (await begun(number))("a", ends=True)
        await screen.told()
    await screen.ask("better", "t4", edits="t2")
    await begun(4)
    told = await screen.told()
    (replaced,) = [call for call in told if call[0] == "replaceFrom"]
    assert replaced[1] == 1
    assert [(row["question"], row["sibling"], row["siblings"]) for row in replaced[2]] == [
        ("better", 1, 2)
    ]
    assert replaced[3] == 2
    await screen.act("previous", "t4")
    (replaced,) = await screen.changes("replaceFrom")
    assert [row["question"] for row in replaced[1]] == ["q2", "q3"]
    assert replaced[2] == 3


async def test_what_waits_can_be_taken_back_from_the_middle(screen: Screen, begun: Any) -> None:
    for number in (1, 2, 3):
        await screen.ask(f"q{number}", f"t{number}")
    await begun(1)
    await screen.told()
    await screen.act("withdraw", "t2")
    told = await screen.told()
    assert ("putBack", "q2") in told
    (replaced,) = [call for call in told if call[0] == "replaceFrom"]
    assert [row["question"] for row in replaced[2]] == ["q1", "q3"]
    assert replaced[3] == 2


async def test_what_goes_on_never_leaves_the_screen(screen: Screen, begun: Any) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("first ")
    await screen.page._stop()
    await screen.told()
    await screen.act("continue", "t1")
    await (await begun(2))("second")
    told = await screen.told()
    assert not [call for call in told if call[0] == "update" and call[2].get("html") == ""]
    ops = [op for call in told if call[0] == "ops" for op in call[2]]
    assert ops[0] == ["r", ""]
    assert "first second" in json.dumps(ops)


@pytest.fixture
def parsed_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of characters of each parse on the event loop."""
    lengths: list[int] = []
    parse = Markup.parse

    def note(markup: Markup, text: str, env: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            lengths.append(len(text))
        return parse(markup, text, env)

    monkeypatch.setattr(Markup, "parse", note)
    return lengths


@pytest.mark.parametrize("unit", ["![", "[a](", "語**「", "word ", "> - a\n", "|a|b\n|-|-\n"])
async def test_long_pieces_are_parsed_beside_the_event_loop(
    screen: Screen, begun: Any, parsed_on_the_loop: list[int], unit: str
) -> None:
    text = (unit * 8_000)[:16_000]
    await screen.ask("q", "t1")
    say = await begun(1)
    for at in range(0, len(text), 4_000):
        await say(text[at : at + 4_000], ends=at == 12_000)
        await screen.told()
    assert max(parsed_on_the_loop, default=0) <= LOOP_CHARS


async def test_what_was_made_beside_the_loop_for_a_talk_that_is_left_is_not_shown(
    screen: Screen, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("word " * 2_000)
    is_made, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(work: Callable[[], Any]) -> Any:
        made = work()
        is_made.set()
        await go_on.wait()
        return made

    monkeypatch.setattr(chat_page, "aside_short", slowly)
    updating = asyncio.create_task(screen.told())
    await is_made.wait()
    await screen.open("")
    go_on.set()
    told = await updating
    assert not [call for call in told if call[0] == "ops"]


async def test_a_row_that_comes_late_shows_an_answer_that_grows(screen: Screen, begun: Any) -> None:
    await screen.ask("q", "t1")
    say = await begun(1)
    await say("early ")
    await screen.told()
    with screen.client:
        await screen.page._give_rows(0)
    told = await screen.told()
    assert told[0][0] == "put"
    assert "early" in json.dumps([call for call in told if call[0] == "ops"])


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts rendered outside of the event loop."""
    texts: list[str] = []

    def note(text: str, markup: Markup) -> str:
        assert threading.current_thread() is not threading.main_thread()
        texts.append(text)
        return render(text, markup)

    monkeypatch.setattr(chat_page, "render", note)
    return texts


@pytest.fixture
async def long_talk(screen: Screen, begun: Any, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    """A conversation in which only the last answer is short enough to be rendered at once."""
    monkeypatch.setattr(chat_page, "READY_CHARS", 40)
    monkeypatch.setattr(chat_page, "BEGINNING_CHARS", 20)
    for number in (1, 2, 3):
        await screen.ask("q", f"t{number}")
        await (await begun(number))(f"*answer {number}*\n\n**and its end**", ends=True)
        await screen.told()
    conversation = screen.page._conversation
    assert conversation is not None
    return conversation


async def test_long_answers_come_after_their_page_the_last_one_first(
    long_talk: Conversation, chat: ChatService, rendered: list[str]
) -> None:
    other = await Screen(chat).build(long_talk)
    (shown,) = await other.changes("reset")
    assert [row["html"] for row in shown[0]] == [
        f"<p><em>answer 1</em></p>{MORE}",
        f"<p><em>answer 2</em></p>{MORE}",
        "<p><em>answer 3</em></p><p><strong>and its end</strong></p>",
    ]
    making = asyncio.create_task(other.page._make_late())
    while other.page._late or len(CALLS.get(other.client.id, [])) < 2:
        await asyncio.sleep(0.001)
    assert await other.changes("update") == [
        ("t2", {"html": "<p><em>answer 2</em></p><p><strong>and its end</strong></p>"}),
        ("t1", {"html": "<p><em>answer 1</em></p><p><strong>and its end</strong></p>"}),
    ]
    making.cancel()


async def test_an_answer_that_goes_on_while_it_is_rendered_is_not_shown_as_it_was(
    long_talk: Conversation, screen: Screen, begun: Any, rendered: list[str]
) -> None:
    with screen.client:
        await screen.page._give_rows(0)
    await screen.told()
    assert list(screen.page._late) == ["t2", "t1"]
    going_on = asyncio.Event()

    async def go_on(*_: object) -> str:
        """Extend the answer meanwhile, as another page can."""
        await screen.chat.continue_answer(long_talk, "t2")
        await (await begun(4))("more")
        going_on.set()
        return "as it was"

    screen.page._late.pop("t1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_page, "aside", go_on)
        making = asyncio.create_task(screen.page._make_late())
        await going_on.wait()
        await asyncio.sleep(0.01)
    told = await screen.told()
    assert "as it was" not in json.dumps(told)
    assert "more" in json.dumps(told)
    making.cancel()


async def test_an_answer_that_was_followed_is_not_rendered_again(
    screen: Screen, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise AssertionError

    await screen.ask("q", "t1")
    say = await begun(1)
    await say("half ")
    await screen.told()
    monkeypatch.setattr(answer, "render", fail)
    monkeypatch.setattr(chat_page, "render", fail)
    await say("whole", ends=True)
    told = await screen.told()
    assert "whole" in json.dumps([call for call in told if call[0] == "ops"])
    assert screen.page._late == {}
    assert [call[2]["state"] for call in told if call[0] == "update"][-1] == "done"


async def test_a_page_that_is_gone_holds_nothing(
    screen: Screen, chat: ChatService, begun: Any
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("a")
    await screen.told()
    conversation = screen.page._conversation
    stream = conversation.known("t1").segments[0]
    screen.page._close()
    assert not chat.core.conversations.watchers
    assert not chat.core.conversations.of_lists
    assert not any(isinstance(key, Reader) for key in stream._bell._wakes)
    assert screen.client.id not in CALLS


async def test_without_models_it_says_why(screen: Screen, provider: Any) -> None:
    provider.problem = NotConfigured("Set OPENAI_API_KEY.")
    looking = asyncio.create_task(screen.page._show_models())
    await asyncio.sleep(0.01)
    assert await screen.changes("setProblem") == [("Set OPENAI_API_KEY.",)] * 2
    provider.problem = None
    screen.page._look_again.set()
    await looking
    told = await screen.told()
    assert ("setModels", [{"id": "model-a", "name": "Model A", "canChat": True}]) in told
    assert ("setProblem", "") in told


async def test_a_page_that_nobody_sees_is_updated_when_it_is_seen(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wireside_ui.pages.chat.UNSEEN_TICK_S", 3600.0)
    await screen.page._rest()
    screen.page._see(False)
    resting = asyncio.create_task(screen.page._rest())
    await asyncio.sleep(0.2)
    assert not resting.done()
    screen.page._see(True)
    await resting


async def test_a_page_waits_until_its_connection_has_taken_what_it_was_given(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog = 100
    monkeypatch.setattr("wireside_ui.pages.chat.untaken", lambda client: backlog)
    monkeypatch.setattr(Client, "has_socket_connection", True)
    resting = asyncio.create_task(screen.page._rest())
    await asyncio.sleep(0.2)
    assert not resting.done()
    backlog = 0
    await resting


async def test_feedback_is_shown_on_every_page(
    screen: Screen, chat: ChatService, begun: Any
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("a", ends=True)
    await screen.told()
    other = await Screen(chat).build(screen.page._conversation)
    await other.told()
    await screen.act("up", "t1")
    for page in (screen, other):
        assert any(patch.get("feedback") == "up" for _, patch in await page.changes("update"))
    await screen.act("no-feedback", "t1")
    assert any(patch.get("feedback") == "" for _, patch in await other.changes("update"))


async def test_a_deleted_conversation_leaves_every_page(
    screen: Screen, chat: ChatService, begun: Any
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("a")
    await screen.told()
    conversation_id = screen.page._conversation.id
    await chat.library.delete([conversation_id])
    told = await screen.told()
    assert ("setView", "missing") in told
    assert ("lose", conversation_id) in told


async def test_a_page_says_when_saving_is_behind(
    screen: Screen, chat: ChatService, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreError

    await screen.ask("q", "t1")
    say = await begun(1)
    with monkeypatch.context() as broken:
        broken.setattr(chat.saving, "_write", fail)
        await say("a")
        await asyncio.sleep(0.05)
        with screen.client:
            await screen.page._update()
        assert screen.page._saving.visible
    await say("b", ends=True)
    await screen.told()
    assert not screen.page._saving.visible


async def test_a_place_that_was_found_is_jumped_to(screen: Screen, begun: Any) -> None:
    for number in (1, 2, 3):
        await screen.ask(f"q{number}", f"t{number}")
        await (await begun(number))("a", ends=True)
        await screen.told()
    conversation_id = screen.page._conversation.id
    await screen.ask("other", "t4", edits="t2")
    await screen.told()
    await screen.open(conversation_id, "t3")
    told = await screen.told()
    assert ("jump", 2) in told
    (replaced,) = [call for call in told if call[0] == "replaceFrom"]
    assert [row["question"] for row in replaced[2]] == ["q2", "q3"]


async def test_what_the_store_refuses_is_shown_as_it_was(
    screen: Screen, chat: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreError

    info = await chat.library.create("Kept")
    await screen.told()
    with monkeypatch.context() as broken, screen.client:
        broken.setattr(chat._store, "delete", fail)
        broken.setattr(chat._store, "update", fail)
        await screen.page._list._delete([info.id])
        await screen.page._list._rename(info.id, "New")
    told = await screen.told()
    assert [call[1]["title"] for call in told if call[0] == "put"] == ["Kept", "Kept"]
    assert len([call for call in told if call[0] == "tell"]) == 2


async def test_what_can_not_be_read_now_is_told_and_asked_for_again(
    screen: Screen, chat: ChatService, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreError

    await screen.ask("q", "t1")
    await (await begun(1))("a", ends=True)
    conversation_id = screen.page._conversation.id
    await screen.told()
    with monkeypatch.context() as broken, screen.client:
        broken.setattr(chat.library, "turns", fail)
        await screen.page._give_rows(0)
        await screen.page._edit_last()
        told = await screen.told()
        assert ("miss", 0) in told
        assert len([call for call in told if call[0] == "tell"]) == 2
        await screen.open("")
        await screen.told()
        await screen.open(conversation_id)
        told = await screen.told()
        assert [call[1] for call in told if call[0] == "setProblem"] != [""]
        assert screen.page._conversation is None
    await screen.open(conversation_id)
    assert ("reset", 1) in [(call[0], call[-1]) for call in await screen.told()]


async def test_asking_again_uses_what_the_page_shows(
    screen: Screen, begun: Any, provider: Any, chat: ChatService
) -> None:
    with screen.client:
        await screen.page._send(
            Sending(turn_id="t1", question="why?", options=Options(model="model-a"), edits=None)
        )
    await (await begun(1))("Because.", ends=True)
    await screen.told()
    other = await Screen(chat).build(screen.page._conversation)
    await other.told()
    conversation_id = screen.page._conversation.id
    chosen = Options(model="model-b", system="Be brief.", temperature=0.0)
    with screen.client:
        await screen.page._choose(conversation_id, chosen)
    plain = {"model": "model-b", "system": "Be brief.", "temperature": 0.0, "max_tokens": None}
    assert await other.changes("setChoice") == [(conversation_id, plain)]
    assert await screen.changes("setChoice") == [], "a page is not told of its own choice"
    await other.act("retry", "t1")
    await begun(2)
    request = provider.requests[-1]
    assert (request.model, request.temperature) == ("model-b", 0.0)
    assert request.messages[0].text == "Be brief."


async def test_a_model_that_is_not_offered_gives_way_to_the_default(
    chat: ChatService, begun: Any, provider: Any
) -> None:
    screen = Screen(chat)
    with screen.client:
        await screen.page.build(None, None, await provider.models())
        await screen.page._send(
            Sending(turn_id="t1", question="why?", options=Options(model="old"), edits=None)
        )
    await (await begun(1))("Because.", ends=True)
    await screen.told()
    await screen.act("retry", "t1")
    await begun(2)
    assert [request.model for request in provider.requests] == ["old", "model-a"]


async def test_a_setting_out_of_its_range_is_refused(screen: Screen, provider: Any) -> None:
    with screen.client:
        await screen.page._send(
            Sending(
                turn_id="t1", question="why?", options=Options(), edits=None, invalid="temperature"
            )
        )
    [(turn_id, sentence, _)] = await screen.changes("refused")
    assert (turn_id, sentence) == ("t1", "The temperature must be a number from 0 to 2.")
    assert provider.answers == []


async def test_a_row_tells_its_model_and_when_it_was_asked(screen: Screen, begun: Any) -> None:
    await screen.ask("why?", "t1")
    await (await begun(1))("Because.", ends=True)
    told = await screen.told()
    [row] = [call[1] for call in told if call[0] == "append"]
    assert row["asked_at"] > 1_000_000_000
    patches = [call[2] for call in told if call[0] == "update"]
    assert "model-a" in [row["model"], *(patch.get("model") for patch in patches)]


@pytest.mark.parametrize("name", ["retry", "continue"])
async def test_what_asks_the_model_counts_once_within_a_moment(
    screen: Screen, begun: Any, provider: Any, name: str
) -> None:
    await screen.ask("why?", "t1")
    await (await begun(1))("Because.", ends=True)
    await screen.told()
    await screen.act(name, "t1")
    await (await begun(2))("Again.", ends=True)
    await screen.told()
    await screen.act(name, "t1")
    await screen.told()
    assert len(provider.answers) == 2
