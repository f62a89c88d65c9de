"""The transcript as its presenter shows it: rows, streamed answers and long ones."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pygments import lexers

from wireside.chat.conversation import Conversation
from wireside.chat.service import ChatService
from wireside.messages import PartDelta
from wireside.parts import DataPart
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Span
from wireside_ui.markdown import highlighting
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import LOOP_CHARS
from wireside_ui.presenters import answer, transcript
from wireside_ui.presenters.answer import MORE
from wireside_ui.presenters.transcript import TranscriptLimits


async def test_a_tick_goes_through_no_turn_that_has_not_changed(
    screen: Any, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await screen.ask("why?", "t1")
    say = await begun(1)
    await say("a")
    await screen.shown()
    walks: list[None] = []
    path = Conversation.shown_path

    def counted(self: Conversation) -> list[Span]:
        walks.append(None)
        return path(self)

    monkeypatch.setattr(Conversation, "shown_path", counted)
    await say("b")
    assert await screen.changes("transcript.ops")
    assert not walks


async def test_what_goes_on_never_leaves_the_screen(screen: Any, begun: Any) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("first ")
    await screen.presenter.stop()
    await screen.shown()
    await screen.act("continue", "t1")
    await (await begun(2))("second")
    shown = await screen.shown()
    assert not [
        call for call in shown if call[0] == "transcript.change" and call[2].get("parts") == []
    ]
    ops = [op for call in shown if call[0] == "transcript.ops" for op in call[2]]
    assert ops[0] == ["x"]
    assert "first second" in str(ops)


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
    screen: Any, begun: Any, parsed_on_the_loop: list[int], unit: str
) -> None:
    text = (unit * 8_000)[:16_000]
    await screen.ask("q", "t1")
    say = await begun(1)
    for at in range(0, len(text), 4_000):
        await say(text[at : at + 4_000], ends=at == 12_000)
        await screen.shown()
    assert max(parsed_on_the_loop, default=0) <= LOOP_CHARS


async def test_what_was_made_beside_the_loop_for_a_talk_that_is_left_is_not_shown(
    screen: Any, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("word " * 2_000)
    is_made, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(work: Callable[[], Any]) -> Any:
        made = work()
        is_made.set()
        await go_on.wait()
        return made

    monkeypatch.setattr(transcript, "aside_short", slowly)
    updating = asyncio.create_task(screen.shown())
    await is_made.wait()
    await screen.presenter.open("", None)
    go_on.set()
    shown = await updating
    assert not [call for call in shown if call[0] == "transcript.ops"]


async def test_a_row_that_comes_late_shows_an_answer_that_grows(screen: Any, begun: Any) -> None:
    await screen.ask("q", "t1")
    say = await begun(1)
    await say("early ")
    await screen.shown()
    await screen.presenter.give_rows(0)
    shown = await screen.shown()
    assert shown[0][0] == "transcript.put"
    assert "early" in str([call for call in shown if call[0] == "transcript.ops"])


FEW = TranscriptLimits(ready_chars=40, beginning_chars=20)


@pytest.fixture
async def long_talk(new_screen: Any, begun: Any) -> Conversation:
    """A conversation in which, of ``FEW``, only the last answer is rendered at once."""
    screen = await new_screen()
    for number in (1, 2, 3):
        await screen.ask("q", f"t{number}")
        await (await begun(number))(f"*answer {number}*\n\n**and its end**", ends=True)
        await screen.shown()
    conversation: Conversation = screen.conversation
    screen.presenter.close()
    return conversation


def whole(number: int) -> tuple[dict[str, str], ...]:
    html = f"<p><em>answer {number}</em></p><p><strong>and its end</strong></p>"
    return ({"kind": "text", "html": html},)


async def test_long_answers_come_after_their_page_the_last_one_first(
    long_talk: Conversation, new_screen: Any
) -> None:
    screen = await new_screen(long_talk, limits=FEW)
    (shown,) = await screen.changes("transcript.reset")
    assert [row.parts[0]["html"] for row in shown[0]] == [
        f"<p><em>answer 1</em></p>{MORE}",
        f"<p><em>answer 2</em></p>{MORE}",
        "<p><em>answer 3</em></p><p><strong>and its end</strong></p>",
    ]
    rendering = asyncio.create_task(screen.presenter.transcript.late.run())
    while len(screen.calls) < 2:
        await asyncio.sleep(0.001)
    assert await screen.changes("transcript.change") == [
        ("t2", {"parts": whole(2)}),
        ("t1", {"parts": whole(1)}),
    ]
    rendering.cancel()


async def test_lexers_are_loaded_in_a_thread(
    screen: Any, begun: Any, new_screen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await screen.ask("q", "t1")
    await (await begun(1))("```python\nreturn 1\n```", ends=True)
    await screen.shown()
    loop_thread, loaded = threading.get_ident(), []
    load = lexers.get_lexer_by_name

    def recorded(*args: Any, **options: Any) -> Any:
        loaded.append(threading.get_ident() == loop_thread)
        return load(*args, **options)

    monkeypatch.setattr(highlighting, "get_lexer_by_name", recorded)
    monkeypatch.setattr(highlighting, "_ready_lexers", set())
    highlighting._lexer.cache_clear()
    page = await new_screen(screen.conversation)
    (shown,) = await page.changes("transcript.reset")
    assert "return 1" in shown[0][0].parts[0]["html"]
    rendering = asyncio.create_task(page.presenter.transcript.late.run())
    while not page.calls:
        await asyncio.sleep(0.001)
    ((turn, changes),) = await page.changes("transcript.change")
    assert (turn, '<span class="k">return' in changes["parts"][0]["html"]) == ("t1", True)
    assert loaded == [False]
    rendering.cancel()


async def test_long_answers_are_rendered_in_a_thread(
    long_talk: Conversation, new_screen: Any, parsed_on_the_loop: list[int]
) -> None:
    screen = await new_screen(long_talk, limits=FEW)
    parsed_on_the_loop.clear()
    rendering = asyncio.create_task(screen.presenter.transcript.late.run())
    while len(await screen.changes("transcript.change")) < 1:
        await asyncio.sleep(0.001)
    assert parsed_on_the_loop == []
    rendering.cancel()


async def test_an_answer_that_goes_on_while_it_is_rendered_is_not_shown_as_it_was(
    long_talk: Conversation,
    new_screen: Any,
    chat: ChatService,
    begun: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = await new_screen(long_talk, limits=FEW)
    assert screen.presenter.transcript.late.queued == ("t2", "t1")
    is_continued = asyncio.Event()

    async def continue_meanwhile(*_: object) -> str:
        """Extend the answer meanwhile, as another page can."""
        if not is_continued.is_set():
            await chat.continue_answer(long_talk, "t2")
            await (await begun(4))("more")
            is_continued.set()
        return "as it was"

    monkeypatch.setattr(transcript, "run_in_worker", continue_meanwhile)
    rendering = asyncio.create_task(screen.presenter.transcript.late.run())
    await is_continued.wait()
    await asyncio.sleep(0.01)
    shown = await screen.shown()
    assert ("transcript.change", "t1", {"parts": "as it was"}) in shown
    assert ("transcript.change", "t2", {"parts": "as it was"}) not in shown
    assert "more" in str(shown)
    rendering.cancel()


async def test_an_answer_that_was_followed_is_not_rendered_again(
    screen: Any, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise AssertionError

    await screen.ask("q", "t1")
    say = await begun(1)
    await say("half ")
    await screen.shown()
    monkeypatch.setattr(answer, "render", fail)
    monkeypatch.setattr(transcript, "parts_of_row", fail)
    await say("whole", ends=True)
    shown = await screen.shown()
    assert "whole" in str([call for call in shown if call[0] == "transcript.ops"])
    assert screen.presenter.transcript.late.queued == ()
    assert [call[2]["state"] for call in shown if call[0] == "transcript.change"][-1] == "done"


async def test_only_the_pages_that_are_requested_are_sent(
    long_talk: Conversation, new_screen: Any
) -> None:
    screen = await new_screen(long_talk, limits=TranscriptLimits(page_size=1))
    shown = await screen.shown()
    ((_, rows, total),) = [call for call in shown if call[0] == "transcript.reset"]
    assert ([row.id for row in rows], total) == (["t3"], 3)
    await screen.presenter.give_rows(1)
    ((page, rows),) = await screen.changes("transcript.put")
    assert (page, [row.id for row in rows]) == (1, ["t2"])


async def test_turns_that_were_sent_long_ago_are_not_followed(
    long_talk: Conversation, new_screen: Any
) -> None:
    screen = await new_screen(long_talk, limits=TranscriptLimits(marks=1))
    await screen.shown()
    await screen.act("up", "t1")
    assert await screen.changes("transcript.change") == []
    await screen.act("up", "t3")
    assert len(await screen.changes("transcript.change")) == 1


async def test_a_query_finds_the_turns_that_contain_it(
    long_talk: Conversation, new_screen: Any
) -> None:
    screen = await new_screen(long_talk)
    await screen.presenter.find("answer 2")
    assert await screen.changes("transcript.found_in") == [("answer 2", [1])]
    await asyncio.gather(screen.presenter.find("answer 1"), screen.presenter.find("answer 3"))
    assert await screen.changes("transcript.found_in") == [("answer 3", [2])]


async def test_large_parts_come_after_their_page(
    new_screen: Any, provider: ScriptedProvider
) -> None:
    screen = await new_screen()
    rows = [[n, "some words"] for n in range(4_000)]
    table = DataPart(kind="table", data=json.dumps({"columns": ["a", "b"], "rows": rows}), text="T")
    await screen.ask("Show it", "t1")
    call = await provider.call(0)
    call.say("Here: ", PartDelta(table))
    call.finish()
    while screen.conversation.live:
        await asyncio.sleep(0)
    await screen.shown()
    other = await new_screen(screen.conversation)
    [row] = next(call[1] for call in other.calls if call[0] == "transcript.reset")
    assert [part.get("data") for part in row.parts] == [None, None]
    assert row.parts[1]["text"] == "T"
    running = asyncio.create_task(other.presenter.transcript.late.run())
    while not any(call[0] == "transcript.change" for call in other.calls):
        await asyncio.sleep(0.01)
    running.cancel()
    parts = next(call[2]["parts"] for call in other.calls if call[0] == "transcript.change")
    assert len(parts[1]["data"]["rows"]) == 4_000
