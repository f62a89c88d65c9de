"""The contract of ``ports.files.FileStore``, on SQLite and PostgreSQL; files and their turns."""

from __future__ import annotations

from dataclasses import replace

from tests.store_writes import add_turn
from wireside.parts import FilePart, ImagePart, TextPart
from wireside.records import (
    Branch,
    ConversationInfo,
    StoredFile,
    TurnAdded,
    TurnRecord,
    TurnWithdrawn,
    UserAccount,
)
from wireside.store.store import SqlStore

FILE = StoredFile(
    id="f1",
    owner="ada",
    name="a\0\U0001f600.csv",
    media_type="text/csv",
    size_bytes=2**40,
    sha256="a" * 64,
    created_at=10.5,
)
IMAGE = replace(FILE, id="f2", media_type="image/png", sha256="b" * 64, size_bytes=5)
INFO = ConversationInfo(id="c", title="Title", created_at=10.0, updated_at=10.0, owner="ada")


def turn(turn_id: str, *files: str, depth: int = 0) -> TurnRecord:
    return TurnRecord(
        id=turn_id,
        conversation_id="c",
        branch=0,
        depth=depth,
        question_parts=(
            TextPart("?"),
            ImagePart(url="data:image/png;base64,"),
            *(FilePart(url=f"upload:{name}", name=name) for name in files),
        ),
        created_at=20.0,
        is_waiting=True,
    )


async def ask(store: SqlStore, *turns: TurnRecord) -> None:
    await store.create_conversation(INFO)
    for depth, one in enumerate(turns):
        branch = Branch(id=0, parent=None, first=0, last=depth)
        assert await add_turn(store, replace(one, depth=depth), branch)


async def ids(store: SqlStore, owner: str = "ada") -> list[str]:
    return sorted(
        file.id for file in await store.files.find_files(owner, ["f1", "f2", "f3", "nowhere"])
    )


async def test_a_file_is_found_by_its_owner(store: SqlStore) -> None:
    assert await store.files.add_file_record(FILE, max_owner_bytes=None)
    assert await store.files.find_files("ada", ["f1", "x"]) == [FILE]
    assert await store.files.find_files("eve", ["f1"]) == []
    await store.files.keep_text("f1", "one\0two")
    assert await store.files.find_files("ada", ["f1"]) == [replace(FILE, text="one\0two")]


async def test_the_total_size_is_bounded(store: SqlStore) -> None:
    assert await store.files.size_of_all("ada") == 0
    assert await store.files.add_file_record(FILE, max_owner_bytes=2**40)
    assert not await store.files.add_file_record(IMAGE, max_owner_bytes=2**40 + 4)
    assert await store.files.add_file_record(replace(IMAGE, owner="eve"), max_owner_bytes=5)
    assert (await ids(store), await store.files.size_of_all("ada")) == (["f1"], 2**40)


async def test_a_file_is_removed_unless_a_turn_refers_to_it(store: SqlStore) -> None:
    for file in (FILE, IMAGE):
        await store.files.add_file_record(file, max_owner_bytes=None)
    await ask(store, turn("t", "f1"))
    assert not await store.files.remove_file("ada", "f1")
    assert await store.files.remove_file("eve", "f2")
    assert await ids(store) == ["f1", "f2"]
    assert await store.files.remove_file("ada", "f2")
    assert await ids(store) == ["f1"]


async def test_hashes_without_a_file_are_unknown(store: SqlStore) -> None:
    await store.files.add_file_record(FILE, max_owner_bytes=None)
    assert await store.files.unknown_hashes(["a" * 64, "c" * 64, "b" * 64, "c" * 64]) == [
        "c" * 64,
        "b" * 64,
    ]
    assert await store.files.unknown_hashes([]) == []


async def test_a_file_goes_with_the_last_turn_that_refers_to_it(store: SqlStore) -> None:
    for file in (FILE, IMAGE, replace(IMAGE, id="f3", created_at=0.0)):
        await store.files.add_file_record(file, max_owner_bytes=None)
    await ask(store, turn("t0", "f1", "f2"), turn("t1", "f1"))
    assert await store.files.remove_unused(uploaded_before=5.0) == ["b" * 64]  # f3: expired
    await store.delete_conversations(["c"], at=30.0, owner="ada")
    assert await store.files.remove_unused(uploaded_before=5.0) == ()  # can be undone
    await store.purge_conversations(deleted_before=40.0)
    assert sorted(await store.files.remove_unused(uploaded_before=5.0)) == ["a" * 64, "b" * 64]
    assert await ids(store) == []


async def test_files_of_a_withdrawn_turn_are_kept_as_uploads(store: SqlStore) -> None:
    await store.files.add_file_record(FILE, max_owner_bytes=None)
    await ask(store, turn("t0", "f1"))
    empty = Branch(id=0, parent=None, first=0, last=-1)
    await store.commit_writes(
        [TurnWithdrawn(conversation_id="c", turn_id="t0", branches=(empty,), shown=0)]
    )
    assert await store.files.remove_unused(uploaded_before=5.0) == ()
    assert await ids(store) == ["f1"]
    assert await store.files.remove_unused(uploaded_before=11.0) == ["a" * 64]


async def test_a_turn_refers_only_to_files_of_its_owner(store: SqlStore) -> None:
    await store.files.add_file_record(replace(FILE, owner="eve"), max_owner_bytes=None)
    await store.create_conversation(INFO)
    branch = Branch(id=0, parent=None, first=0, last=0)
    assert await add_turn(store, turn("t", "f1", "nowhere"), branch)
    assert await store.files.remove_file("eve", "f1"), "the turn of another user does not keep it"


async def test_turns_of_one_commit_keep_the_files_of_each_owner(store: SqlStore) -> None:
    added = []
    for owner, name in (("ada", "f1"), ("eve", "f2")):
        file = replace(FILE, id=name, owner=owner, sha256=name * 32)
        await store.files.add_file_record(file, max_owner_bytes=None)
        added.append(
            TurnAdded(
                record=replace(turn(f"t-{owner}", "f1", "f2"), conversation_id=owner),
                branch=Branch(id=0, parent=None, first=0, last=0),
                info=replace(INFO, id=owner, owner=owner),
                creates=True,
            )
        )
    assert all(await store.commit_writes(added))
    for owner, name, other in (("ada", "f1", "eve"), ("eve", "f2", "ada")):
        assert not await store.files.remove_file(owner, name)
        await store.delete_conversations([owner], at=30.0, owner=owner)
        await store.purge_conversations(deleted_before=40.0)
        assert await store.files.remove_file(owner, name), f"the turn of {other} does not keep it"


async def test_imported_turns_may_refer_to_files_that_are_gone(store: SqlStore) -> None:
    await store.files.add_file_record(FILE, max_owner_bytes=None)
    branch = Branch(id=0, parent=None, first=0, last=1)
    turns = [
        replace(turn("t0", "nowhere", "f1"), is_waiting=False),
        replace(turn("t1", depth=1), is_waiting=False),
    ]
    assert await store.add_imported(INFO, [branch], 0, turns)
    assert not await store.files.remove_file("ada", "f1")


async def test_files_follow_their_account(store: SqlStore) -> None:
    await store.files.add_file_record(replace(FILE, owner=""), max_owner_bytes=None)
    for user in ("ada", "eve"):
        await store.accounts.add_user(UserAccount(id=user, name=user, role="admin", created_at=1.0))
    assert await ids(store) == ["f1"]
    assert await store.accounts.remove_user("ada", 50.0)
    assert await store.files.remove_unused(uploaded_before=5.0) == ["a" * 64]
