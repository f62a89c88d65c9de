"""Long lists, and ids that do not exist."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import Connection

from tests import store_writes
from wireside.errors import BadMessage
from wireside.messages import Options
from wireside.parts import text_parts
from wireside.records import (
    ConversationInfo,
    Feedback,
    Segment,
    Span,
    Tail,
    TurnRecord,
    TurnWithdrawn,
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
