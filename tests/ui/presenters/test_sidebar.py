"""The list of conversations as its presenter shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.presenters.conftest import NewScreen
from wireside.chat.service import ChatService
from wireside.errors import StoreError
from wireside.extension.questions import Approve, question_part
from wireside.messages import Finished
from wireside.providers.scripted import ScriptedProvider
from wireside.store.store import SqlStore
from wireside_ui.presenters.views import ListScope, Search


async def fail(*_: object, **__: object) -> None:
    raise StoreError


async def test_changes_of_the_library_are_shown(screen: Any, chat: ChatService) -> None:
    info = await chat.library.create("New")
    assert await screen.changes("sidebar.put") == [(info,)]
    await screen.presenter.sidebar.rename(info.id, "Renamed")
    ((renamed,),) = await screen.changes("sidebar.put")
    assert renamed.title == "Renamed"
    await screen.presenter.sidebar.pin([info.id], True)
    ((pinned,),) = await screen.changes("sidebar.put")
    assert pinned.pinned_at
    await screen.presenter.sidebar.delete([info.id])
    assert await screen.changes("sidebar.take_out") == [([info.id],)]
    await screen.presenter.sidebar.restore([info.id])
    shown = await screen.shown()
    assert [call[1].title for call in shown if call[0] == "sidebar.put"] == ["Renamed"]
    assert ("composer.come_back", info.id) in shown


async def test_pages_and_search_results_are_shown(screen: Any, chat: ChatService) -> None:
    info = await chat.library.create("Gardening")
    await screen.shown()
    await screen.presenter.sidebar.give_page(None, ListScope())
    await screen.presenter.sidebar.search(Search("garden"), None)
    shown = await screen.shown()
    assert ("sidebar.show", (info,), None, {"scope": ListScope(), "fresh": True}) in shown
    ((query, hits, fresh),) = [call[1:] for call in shown if call[0] == "sidebar.show_hits"]
    assert (query, [hit.title for hit in hits]) == (Search("garden"), ["Gardening"])
    assert fresh == {"fresh": True, "owners": {}}


async def test_a_change_that_the_store_refuses_is_reverted_in_the_list(
    screen: Any, chat: ChatService, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = await chat.library.create("Kept")
    await screen.shown()
    with monkeypatch.context() as broken:
        broken.setattr(store, "delete_conversations", fail)
        broken.setattr(store, "update_conversation", fail)
        await screen.presenter.sidebar.delete([info.id])
        await screen.presenter.sidebar.rename(info.id, "New")
    shown = await screen.shown()
    assert [call[1].title for call in shown if call[0] == "sidebar.put"] == ["Kept", "Kept"]
    assert len([call for call in shown if call[0] == "composer.tell"]) == 2


async def test_conversations_with_open_questions_are_marked(
    screen: Any, new_screen: NewScreen, chat: ChatService, provider: ScriptedProvider
) -> None:
    async def ask_back(number: int) -> None:
        call = await provider.call(number)
        call.say(question_part(Approve("Send it?"), part_id=f"q{number}"))
        call.finish(Finished("asking"))

    await screen.ask("Send", "t1")
    await ask_back(0)
    conversation = screen.conversation
    await conversation.live["t1"].segments[-1].wait_ended()
    shown = await screen.shown()
    assert ("sidebar.set_asking", frozenset({conversation.id})) in shown
    assert ("frame.set_title", "Send", 1) in shown
    late = await new_screen()  # a page that is opened later
    assert late.presenter.sidebar.asking == {conversation.id}

    # an edit puts another turn in its place; the question can still be reached
    await screen.ask("Do not send", "t2", edits="t1")
    await ask_back(1)
    await conversation.live["t2"].segments[-1].wait_ended()
    await screen.shown()
    await chat.answer_question(conversation, "t2", "q1", True)
    call = await provider.call(2)
    assert ("sidebar.set_asking", frozenset()) in await screen.shown()
    call.finish()
    await chat.show_sibling(conversation, "t2", -1)
    assert ("sidebar.set_asking", frozenset({conversation.id})) in await screen.shown()


async def test_a_deleted_conversation_asks_nothing(
    screen: Any, chat: ChatService, provider: ScriptedProvider
) -> None:
    await screen.ask("Send", "t1")
    call = await provider.call(0)
    call.say(question_part(Approve("Send it?"), part_id="q"))
    call.finish(Finished("asking"))
    conversation = screen.conversation
    await conversation.live["t1"].segments[-1].wait_ended()
    await screen.shown()
    await chat.library.delete([conversation.id])
    assert ("sidebar.set_asking", frozenset()) in await screen.shown()
    await chat.library.restore([conversation.id])
    assert ("sidebar.set_asking", frozenset({conversation.id})) in await screen.shown()


async def test_an_answer_without_a_question_reads_no_questions(
    screen: Any, provider: ScriptedProvider, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    async def asking(owner: str, **_: object) -> list[Any]:
        reads.append(owner)
        return []

    monkeypatch.setattr(store, "asking", asking)
    await screen.ask("Hi", "t1")
    call = await provider.call(0)
    call.say("Hello")
    call.finish()
    await screen.conversation.live["t1"].segments[-1].wait_ended()
    assert "sidebar.set_live" in [name for name, *_ in await screen.shown()]
    assert reads == []


async def test_a_copy_is_opened(screen: Any, chat: ChatService, begun: Any) -> None:
    await screen.ask("One", "t1")
    say = await begun(1)
    await say("re one", ends=True)
    await screen.shown()
    await screen.act("fork", "t1")
    await screen.presenter.sidebar.duplicate(screen.conversation.id)
    await screen.presenter.sidebar.duplicate("nowhere")
    shown = await screen.shown()
    opened = [call[1] for call in shown if call[0] == "composer.go_to"]
    listed = {call[1].id: call[1].title for call in shown if call[0] == "sidebar.put"}
    assert [listed[name] for name in opened] == ["One (2)", "One (2)"]


async def test_the_options_of_a_conversation_are_offered_as_a_preset(
    screen: Any, chat: ChatService
) -> None:
    await screen.ask("One", "t1", system="Be short.", temperature=0.2)
    await screen.presenter.offer_preset(screen.conversation.id)
    await screen.presenter.offer_preset("nowhere")
    ((options,),) = await screen.changes("sidebar.offer_preset")
    assert (options.system, options.temperature) == ("Be short.", 0.2)


async def test_folders_are_shown_on_all_pages(
    screen: Any, new_screen: NewScreen, chat: ChatService
) -> None:
    other = await new_screen()
    folder = await chat.library.folders.create("Work")
    assert await screen.changes("sidebar.set_folders") == [([folder],)]
    assert await other.changes("sidebar.set_folders") == [([folder],)]
    late = await new_screen()
    assert await late.presenter.sidebar.read_folders() == [folder]
    inside, outside = await chat.library.create("in"), await chat.library.create("out")
    await screen.presenter.sidebar.move([inside.id, "nowhere"], folder.id)
    moved = await other.changes("sidebar.put")
    assert [info.folder_id for (info,) in moved if info.id == inside.id] == [folder.id]
    await screen.shown()
    for scope, titles in (
        (ListScope("folder", folder.id), ["in"]),
        (ListScope(), ["out"]),
        (ListScope("archive"), []),
    ):
        await screen.presenter.sidebar.give_page(None, scope)
        ((items, _, options),) = await screen.changes("sidebar.show")
        assert [info.title for info in items] == titles
        assert options == {"scope": scope, "fresh": True}
    await screen.presenter.sidebar.move([outside.id], "nowhere")
    await chat.library.folders.delete(folder.id)
    assert ("sidebar.set_folders", []) in await screen.shown()
