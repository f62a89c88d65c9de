"""The list of conversations as its presenter shows it."""

from __future__ import annotations

from typing import Any

import pytest

from wireside.chat.service import ChatService
from wireside.errors import StoreError
from wireside.store.store import SqlStore


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
    await screen.presenter.sidebar.give_page(None, False)
    await screen.presenter.sidebar.search("garden", None)
    shown = await screen.shown()
    assert ("sidebar.show", (info,), None, {"archived": False, "fresh": True}) in shown
    ((query, hits, fresh),) = [call[1:] for call in shown if call[0] == "sidebar.show_hits"]
    assert (query, [hit.title for hit in hits], fresh) == ("garden", ["Gardening"], {"fresh": True})


async def test_a_change_that_the_store_refuses_is_reverted_in_the_list(
    screen: Any, chat: ChatService, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = await chat.library.create("Kept")
    await screen.shown()
    with monkeypatch.context() as broken:
        broken.setattr(store, "delete", fail)
        broken.setattr(store, "update", fail)
        await screen.presenter.sidebar.delete([info.id])
        await screen.presenter.sidebar.rename(info.id, "New")
    shown = await screen.shown()
    assert [call[1].title for call in shown if call[0] == "sidebar.put"] == ["Kept", "Kept"]
    assert len([call for call in shown if call[0] == "composer.tell"]) == 2
