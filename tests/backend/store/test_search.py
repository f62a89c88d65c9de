"""Whatever is asked for, search answers."""

from __future__ import annotations

import pytest

from wireside.records import ConversationInfo
from wireside.store.store import SqlStore


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("a ½ cup", "½"),
        ("a ½ cup", "1 2 cup"),
        ("coŀlegi", "coŀlegi"),
        ("ﷺ", "ﷺ"),
        ("step ①", "1"),
        ("\u1999\u19b0\u1999", "\u1999\u19b0\u1999"),
    ],
)
async def test_characters_that_are_several_words_are_found(
    store: SqlStore, title: str, query: str
) -> None:
    await store.create(ConversationInfo("c", title, 0.0, 0.0))
    hits = await store.search(query, cursor=None, limit=9)
    assert ["".join(hit.snippet) for hit in hits] == [title]


async def test_a_cursor_may_be_any_number(store: SqlStore) -> None:
    await store.create(ConversationInfo("c", "wombat", 0.0, 0.0))
    assert len(await store.search("wombat", cursor=2**70, limit=9)) == 1
    assert await store.search("wombat", cursor=-(2**70), limit=9) == []


async def test_only_a_new_title_makes_a_conversation_newer(store: SqlStore) -> None:
    old, new = (ConversationInfo(name, f"wombat {name}", 0.0, 0.0) for name in ("old", "new"))
    await store.create(old)
    await store.create(new)
    await store.update(ConversationInfo("old", "wombat old", 0.0, 0.0, pinned_at=5.0))
    hits = await store.search("wombat", cursor=None, limit=9)
    assert [hit.conversation_id for hit in hits] == ["new", "old"]
    await store.update(ConversationInfo("old", "wombat again", 0.0, 0.0))
    hits = await store.search("wombat", cursor=None, limit=9)
    assert [hit.title for hit in hits] == ["wombat again", "wombat new"]
