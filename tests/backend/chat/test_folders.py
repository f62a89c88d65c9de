"""Folders of conversations: names, contents, and the changes that their owner's pages receive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wireside.chat.folders import MAX_FOLDERS
from wireside.chat.library import Library
from wireside.chat.service import ChatService
from wireside.chat.watchers import FoldersChanged
from wireside.errors import BadMessage, Forbidden, NotFound
from wireside.identity import LOCAL
from wireside.records import Branch, ConversationInfo, Imported


@pytest.fixture
def library(chat: ChatService) -> Library:
    return chat.library


async def titles(library: Library, folder: str | None) -> list[str]:
    return [info.title for info in (await library.list_page(folder=folder)).conversations]


async def test_a_conversation_is_in_one_folder_or_in_none(library: Library) -> None:
    work, home = await library.folders.create("Work"), await library.folders.create("home")
    names = [folder.name for folder in await library.folders.list_folders()]
    assert names == ["home", "Work"]
    one, two = await library.create("one"), await library.create("two")
    assert (await library.move(one.id, work.id)).folder_id == work.id
    assert await titles(library, work.id) == ["one"]
    assert await titles(library, "") == ["two"]
    assert await titles(library, None) == ["two", "one"]
    await library.move(one.id, home.id)
    assert await titles(library, work.id) == []
    await library.pin(one.id, True)  # a pinned one is on top of the list too
    assert await titles(library, "") == ["one", "two"]
    assert await titles(library, home.id) == ["one"]
    await library.move(one.id, None)
    assert await titles(library, home.id) == []
    with pytest.raises(NotFound):
        await library.move(two.id, "nowhere")
    with pytest.raises(NotFound):
        await library.move("nowhere", work.id)


async def test_the_conversations_of_a_deleted_folder_are_kept(library: Library) -> None:
    told: list[Any] = []
    library.watch(told.append)
    folder = await library.folders.create("Work")
    open_one, closed = await library.create("open"), await library.create("closed")
    gone = await library.create("gone")
    for info in (open_one, closed, gone):
        await library.move(info.id, folder.id)
    conversation = await library.open_conversation(open_one.id)
    assert conversation is not None
    version = conversation.version
    await library.delete([gone.id])
    told.clear()
    await library.folders.delete(folder.id)
    assert await titles(library, "") == ["closed", "open"]
    assert (conversation.info.folder_id, conversation.version) == (None, version + 1)
    assert told[-1] == FoldersChanged("")
    assert await library.folders.list_folders() == []
    (back,) = await library.restore([gone.id])
    assert back.folder_id is None
    assert (await library.rename(open_one.id, "renamed")).folder_id is None
    with pytest.raises(NotFound):
        await library.folders.delete(folder.id)
    with pytest.raises(NotFound):
        await library.folders.rename(folder.id, "x")


async def test_names_are_clean_and_unique(library: Library) -> None:
    folder = await library.folders.create("  My\u202e \n work ")
    assert folder.name == "My work"
    other = await library.folders.create("other")
    for name in ("", " \u202e ", "x" * 101, "\ud800"):
        with pytest.raises(BadMessage):
            await library.folders.create(name)
    assert await library.folders.create("MY WORK") == folder
    with pytest.raises(BadMessage):
        await library.folders.rename(other.id, "my Work")
    assert (await library.folders.rename(other.id, "Other")).name == "Other"
    for number in range(MAX_FOLDERS - 2):
        await library.folders.create(f"n{number}")
    with pytest.raises(BadMessage):
        await library.folders.create("one too many")
    assert await library.folders.find_or_create("one too many") is None


async def test_another_users_folder_is_none(chat: ChatService) -> None:
    ada, eve = (
        chat.for_caller(replace(LOCAL, user_id=name, name=name)).library for name in ("ada", "eve")
    )
    folder = await ada.folders.create("Work")
    hers = await eve.create("hers")
    with pytest.raises(NotFound):
        await eve.move(hers.id, folder.id)
    for work in (eve.folders.delete(folder.id), eve.folders.rename(folder.id, "x")):
        with pytest.raises(NotFound):
            await work
    assert await eve.folders.list_folders() == []
    assert [one.name for one in await ada.folders.list_folders()] == ["Work"]
    reader = chat.for_caller(replace(LOCAL, user_id="ada", scopes=frozenset({"read"}))).library
    for work in (reader.folders.create("x"), reader.folders.delete(folder.id)):
        with pytest.raises(Forbidden):
            await work


async def test_an_import_finds_its_folder_by_name(library: Library) -> None:
    def imported(number: int, folder: str) -> Imported:
        info = ConversationInfo(id=f"i{number}", title="t", created_at=1.0, updated_at=1.0)
        branch = Branch(id=0, parent=None, first=0, last=-1)
        return Imported(info=info, branches=(branch,), shown=0, turns=(), folder=folder)

    folder = await library.folders.create("Work")
    assert (await library.add_imported(imported(1, "work"))).folder_id == folder.id
    fresh = (await library.add_imported(imported(2, "New"))).folder_id
    assert fresh not in (None, folder.id)
    assert (await library.add_imported(imported(3, ""))).folder_id is None
    assert (await library.add_imported(imported(4, "x" * 101))).folder_id is None
    copied = await library.duplicate("i1")
    assert copied.folder_id == folder.id
