"""The list of conversations: what its watchers receive, and what is deleted automatically."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.hand_clock import HandClock
from wireside.chat.asking import NEW
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.library import UNDO_S, Library, Retention
from wireside.chat.service import ChatService
from wireside.chat.watchers import Answering, AskingChanged, Gone, ListChange, Listed
from wireside.errors import BadMessage, NotFound
from wireside.identity import LOCAL, Caller
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider


@pytest.fixture
def wall() -> HandClock:
    return HandClock()


@pytest.fixture
async def library(parts: ChatDependencies, wall: HandClock) -> Library:
    return Library(ChatCore(replace(parts, wall_clock=wall), ChatRules()), LOCAL)


async def titles(library: Library, *, archived: bool = False) -> list[str]:
    return [info.title for info in (await library.list_page(archived=archived)).conversations]


async def test_whoever_watches_is_told(library: Library) -> None:
    told: list[Any] = []
    unwatch = library.watch(told.append)
    info = await library.create("One")
    renamed = await library.rename(info.id, "Two")
    assert told == [Listed(info), Listed(renamed)]
    await library.delete([info.id])
    await library.restore([info.id])
    assert told[2:] == [Gone((info.id,), ""), Listed(renamed), AskingChanged("")]
    unwatch()
    await library.pin(info.id, True)
    assert len(told) == 5


async def test_which_ones_are_answering_is_told_once(
    chat: ChatService, provider: ScriptedProvider
) -> None:
    told: list[Any] = []

    def note(change: ListChange) -> None:
        if isinstance(change, Answering):
            told.append(change.ids)

    chat.library.watch(note)
    conversation, _ = await chat.ask_in_conversation(NEW, "Hi", key=None, options=Options())
    call = await provider.call(0)
    call.say("a", "b")
    call.finish()
    async with asyncio.timeout(5):
        while chat.library.answering:
            await asyncio.sleep(0.001)
    assert told == [{conversation.id}, frozenset()]


async def test_pinned_ones_stand_on_top(library: Library, wall: HandClock) -> None:
    ids = {}
    for name in ("a", "b", "c"):
        wall.now += 1
        ids[name] = (await library.create(name)).id
    assert await titles(library) == ["c", "b", "a"]
    await library.pin(ids["a"], True)
    assert await titles(library) == ["a", "c", "b"]
    await library.archive(ids["c"], True)
    assert await titles(library) == ["a", "b"]
    assert await titles(library, archived=True) == ["c"]


async def test_wrong_changes_are_told(library: Library) -> None:
    info = await library.create("One")
    for title in ("", "  ", "x" * 201):
        with pytest.raises(BadMessage):
            await library.rename(info.id, title)
    for tags in (["x" * 41], [""], [str(n) for n in range(21)], ["same"] * 21):
        with pytest.raises(BadMessage):
            await library.tag(info.id, tags)
    with pytest.raises(NotFound):
        await library.rename("nowhere", "x")


async def test_a_deletion_is_final_after_a_while(library: Library, wall: HandClock) -> None:
    info = await library.create("One")
    await library.delete([info.id])
    wall.now += UNDO_S - 1
    await library.clean_up(Retention())
    assert [back.id for back in await library.restore([info.id])] == [info.id]
    await library.delete([info.id])
    wall.now += UNDO_S + 1
    await library.clean_up(Retention())
    assert await library.restore([info.id]) == []


async def test_what_is_old_goes_by_itself(library: Library, wall: HandClock) -> None:
    old = await library.create("old")
    pinned = await library.create("pinned")
    await library.pin(pinned.id, True)
    wall.now += 10 * 86_400
    await library.create("new")
    await library.clean_up(Retention(days=11))
    assert await titles(library) == ["pinned", "new", "old"]
    await library.clean_up(Retention(days=9))
    assert await titles(library) == ["pinned", "new"]
    assert await library.open_conversation(old.id) is None


async def test_what_went_by_itself_is_told_once_with_its_count(
    library: Library, wall: HandClock
) -> None:
    told: list[tuple[str, str, str]] = []

    class Told:
        def record(self, caller: Caller, action: str, subject: str = "") -> None:
            told.append((caller.user_id, action, subject))

    library.witness = Told()
    for name in ("a", "b", "c"):
        await library.create(name)
    wall.now += 10 * 86_400
    for _ in range(2):
        await library.clean_up(Retention(days=9))
    assert told == [("", "conversations_expired", "3 conversations")]


async def test_only_the_newest_stay(library: Library, wall: HandClock) -> None:
    for name in ("a", "b", "c", "d"):
        wall.now += 1
        await library.create(name)
    await library.clean_up(Retention(count=2))
    assert await titles(library) == ["d", "c"]


async def test_one_conversation_is_one_object(library: Library) -> None:
    info = await library.create("One")
    first = await library.open_conversation(info.id)
    assert first is await library.open_conversation(info.id)
    renamed = await library.rename(info.id, "Two")
    assert first is not None
    assert first.info == renamed == replace(info, title="Two", title_source="person")


async def test_a_tag_is_added_and_removed_and_counted(library: Library) -> None:
    one, two = await library.create("one"), await library.create("two")
    await library.tag(one.id, ["work", "\u202ehome "])
    assert (await library.set_tag(one.id, " my  trip ", True)).tags == ("work", "home", "my trip")
    assert (await library.set_tag(one.id, "work", True)).tags == ("home", "my trip", "work")
    assert (await library.set_tag(one.id, "home", False)).tags == ("my trip", "work")
    await library.set_tag(two.id, "work", True)
    counts = [(found.tag, found.conversations) for found in await library.count_tags()]
    assert counts == [("my trip", 1), ("work", 2)]
    await library.delete([one.id])
    assert [found.tag for found in await library.count_tags()] == ["work"]
    for number in range(19):
        await library.set_tag(two.id, f"n{number}", True)
    with pytest.raises(BadMessage):
        await library.set_tag(two.id, "one too many", True)
    with pytest.raises(BadMessage):
        await library.set_tag(two.id, "x" * 41, True)
    with pytest.raises(NotFound):
        await library.set_tag("nowhere", "x", True)
