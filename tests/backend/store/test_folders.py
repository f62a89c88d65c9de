"""Folders in a database: what an owner has, and versions."""

from __future__ import annotations

from dataclasses import replace

from wireside.records import ConversationInfo, Folder
from wireside.store.store import SqlStore

WORK = Folder(id="f", owner="u", name="Work", created_at=1.0)
INFO = ConversationInfo(id="c", title="t", created_at=1.0, updated_at=1.0, owner="u")


async def folder_and_version(store: SqlStore, conversation_id: str) -> tuple[str | None, int]:
    stored = await store.conversation(conversation_id)
    assert stored is not None
    return stored.info.folder_id, stored.version


async def test_a_folder_of_another_owner_is_none(store: SqlStore) -> None:
    assert await store.folders.add_folder(WORK, max_count=1)
    assert not await store.folders.add_folder(replace(WORK, id="g"), max_count=1)
    await store.create_conversation(replace(INFO, owner="v", folder_id="f"))
    assert await folder_and_version(store, "c") == (None, 0)
    await store.update_conversation(replace(INFO, owner="v", folder_id="f"))
    assert await folder_and_version(store, "c") == (None, 1)
    assert not await store.folders.rename_folder("f", "x", owner="v")
    assert not await store.folders.remove_folder("f", owner="v")
    assert await store.folders.list_folders("v") == []
    assert await store.folders.list_folders("u") == [WORK]


async def test_removing_a_folder_raises_versions(store: SqlStore) -> None:
    await store.folders.add_folder(WORK, max_count=9)
    await store.create_conversation(replace(INFO, folder_id="f"))
    await store.create_conversation(replace(INFO, id="d"))
    assert await store.folders.rename_folder("f", "Office", owner="u")
    assert [one.name for one in await store.folders.list_all_folders()] == ["Office"]
    assert await store.folders.remove_folder("f", owner="u")
    assert await folder_and_version(store, "c") == (None, 1)
    assert await folder_and_version(store, "d") == (None, 0)
    await store.update_conversation(replace(INFO, folder_id="f"))
    assert await folder_and_version(store, "c") == (None, 2)


async def test_pages_of_a_folder(store: SqlStore) -> None:
    await store.folders.add_folder(WORK, max_count=9)
    for number in range(6):
        await store.create_conversation(
            replace(
                INFO,
                id=f"c{number}",
                updated_at=float(number),
                folder_id="f" if number % 2 else None,
                pinned_at=1.0 if number < 2 else None,
            )
        )

    async def ids(folder: str | None) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await store.conversations(owner="u", folder=folder, cursor=cursor, limit=2)
            found += [info.id for info in page.conversations]
            cursor = page.cursor
            if cursor is None:
                return found

    assert await ids("f") == ["c1", "c5", "c3"]
    assert await ids("") == ["c1", "c0", "c4", "c2"]
    assert await ids("g") == []
    assert len(await ids(None)) == 6
