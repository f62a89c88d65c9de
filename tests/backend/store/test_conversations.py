"""Long lists, and ids that do not exist."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection

from tests import store_writes
from wireside.errors import BadMessage
from wireside.messages import Options
from wireside.parts import text_parts
from wireside.records import (
    ConversationInfo,
    Feedback,
    Member,
    Segment,
    Span,
    Tail,
    TurnRecord,
    TurnWithdrawn,
    UserAccount,
)
from wireside.store import conversations
from wireside.store.store import SqlStore


async def test_every_one_of_a_thousand_is_on_one_page(store: SqlStore) -> None:
    dice = random.Random(5)
    infos = [
        ConversationInfo(
            id=f"c{number:04}",
            title="",
            created_at=0.0,
            updated_at=float(dice.randrange(50)),  # many have the same time
            pinned_at=float(dice.randrange(1, 5)) if number % 10 == 0 else None,
        )
        for number in range(1000)
    ]

    def fill(connection: Connection) -> None:  # one by one would take seconds
        for info in infos:
            conversations.insert_conversation(connection, info)

    await store._database.write(fill)
    seen: list[str] = []
    cursor = None
    while True:
        listing = await store.conversations(cursor=cursor, limit=77)
        seen += [info.id for info in listing.conversations]
        cursor = listing.cursor
        if cursor is None:
            break
    expected = sorted(
        infos,
        key=lambda i: (i.pinned_at is not None, i.pinned_at or i.updated_at, i.id),
        reverse=True,
    )
    assert seen == [info.id for info in expected]


@pytest.mark.parametrize("name", ["\0", "c\0", "\ud800"])
async def test_a_name_that_nobody_has_is_not_there(store: SqlStore, name: str) -> None:
    await store.create_conversation(
        ConversationInfo(id="c", title="Title", created_at=0.0, updated_at=0.0)
    )
    await store_writes.add_turn(
        store,
        TurnRecord(
            id="t",
            conversation_id="c",
            branch=0,
            depth=0,
            question_parts=text_parts("q"),
            created_at=0.0,
        ),
    )
    assert await store.conversation(name) is None
    assert await store.read_segment(name) is None
    assert await store.read_turn(name) is None
    assert await store.read_turns(name, [Span(0, 0, 9)]) == []
    assert await store.all_turns(name, after=None, limit=9) == []
    assert await store.restore_conversations([name]) == []
    await store.delete_conversations([name], 1.0)
    await store.update_conversation(
        ConversationInfo(id=name, title="New", created_at=0.0, updated_at=0.0, tags=("a",))
    )
    await store.set_shown_branch(name, 1)
    await store.set_feedback(name, name, Feedback("up"))
    await store.commit_writes(
        [TurnWithdrawn(conversation_id="c", turn_id=name, branches=(), shown=1)]
    )
    await store_writes.begin(store, name, Segment(stream="s", model="m"))
    await store.commit_writes([Tail(stream=name, offset=0, entries=())])
    assert (await store.conversations(cursor=f"u 9.0 {name}", limit=9)).conversations != ()


@pytest.mark.parametrize("cursor", ["u nan c", "u inf c", "p -inf c"])
async def test_a_cursor_of_no_time_is_told(store: SqlStore, cursor: str) -> None:
    with pytest.raises(BadMessage):
        await store.conversations(cursor=cursor, limit=9)


async def test_the_options_of_a_conversation_are_kept_and_no_list_reads_them(
    store: SqlStore,
) -> None:
    await store.create_conversation(
        ConversationInfo(id="c", title="Title", created_at=0.0, updated_at=0.0)
    )
    stored = await store.conversation("c")
    assert stored is not None
    assert stored.options is None
    options = Options(model="m", system="", temperature=0.0)
    await store.keep_options("c", options)
    stored = await store.conversation("c")
    assert stored is not None
    assert stored.options == options
    await store.keep_options("nowhere", options)
    assert "options" not in {column.name for column in conversations.LISTED}
    assert len((await store.conversations(cursor=None, limit=9)).conversations) == 1


async def test_what_is_shared_is_listed_by_user_and_group_page_by_page(store: SqlStore) -> None:
    await store.accounts.add_user(UserAccount(id="g", name="grace", role="user", created_at=1.0))
    grace = Member(kind="user", id="g", access="read")
    lab = Member(kind="group", id="\0lab 🧪", access="reply")
    gone = Member(kind="user", id="gone", access="reply")
    for number, members in enumerate([(grace, lab), (lab,), (gone,), ()]):
        info = ConversationInfo(
            id=f"c{number}",
            title="t",
            created_at=1.0,
            updated_at=float(number),
            owner="ada",
            members=members,
        )
        await store.create_conversation(info)

    async def listed(user: str, *groups: str, limit: int = 9, cursor: str | None = None) -> Any:
        return await store.shared_conversations(
            user=user, groups=groups, cursor=cursor, limit=limit
        )

    async def ids(user: str, *groups: str) -> list[str]:
        return [one.id for one in (await listed(user, *groups)).conversations]

    assert await ids("g") == ["c0"]
    assert await ids("g", "\0lab 🧪", "other") == ["c1", "c0"]
    assert await ids("gone") == []  # there is no such account
    assert await ids("ada", "\0lab 🧪") == []  # its own are not shared with it
    first = await listed("g", "\0lab 🧪", limit=1)
    second = await listed("g", "\0lab 🧪", limit=1, cursor=first.cursor)
    assert [one.id for one in (*first.conversations, *second.conversations)] == ["c1", "c0"]
    assert second.cursor is None
    assert first.conversations[0].members == (lab,)
    stored = await store.conversation("c0")
    assert stored is not None
    assert stored.info.members == (grace, lab)
    await store.accounts.remove_user("g", 2.0)
    assert await ids("g") == []
    await store.delete_conversations(["c1"], 3.0, owner="ada")
    assert await ids("x", "\0lab 🧪") == ["c0"]
    await store.purge_conversations(9.0)
    assert await ids("x", "\0lab 🧪") == ["c0"]
