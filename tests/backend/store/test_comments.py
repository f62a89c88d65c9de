"""Comments on turns, in each database."""

from __future__ import annotations

import asyncio

from wireside.parts import text_parts
from wireside.records import Branch, ConversationInfo, Span, TurnComment, TurnRecord
from wireside.store.store import SqlStore


def turn(depth: int, conversation_id: str = "c") -> TurnRecord:
    return TurnRecord(
        id=f"{conversation_id}{depth}",
        conversation_id=conversation_id,
        branch=0,
        depth=depth,
        question_parts=text_parts("?"),
        created_at=1.0,
    )


def comment(name: str, turn_id: str = "c0", text: str = "x", at: float = 1.0) -> TurnComment:
    return TurnComment(
        id=name, conversation_id="c", turn_id=turn_id, author="ada", text=text, created_at=at
    )


async def fill(store: SqlStore) -> None:
    for conversation_id in ("c", "d"):
        info = ConversationInfo(id=conversation_id, title="", created_at=1.0, updated_at=1.0)
        branch = Branch(id=0, parent=None, first=0, last=1)
        turns = [turn(depth, conversation_id) for depth in range(2)]
        assert await store.add_imported(info, [branch], 0, turns)


async def test_comments_are_listed_by_time_and_turn(store: SqlStore) -> None:
    await fill(store)
    hostile = "\0 \ud800 é 😀 ' \" \\ %"
    for one in (comment("late", at=2.0), comment("early"), comment("other", "c1", hostile)):
        assert await store.comments.add_comment(one, max_count=9)
    found = await store.comments.list_comments("c")
    assert [one.id for one in found] == ["early", "other", "late"]
    assert found[1].text == hostile.replace("\ud800", "\ufffd")
    only = [Span(0, 1, 1)]
    assert [one.id for one in await store.comments.list_comments("c", only)] == ["other"]
    assert await store.comments.list_comments("c", []) == []
    assert await store.comments.count_comments("c") == {"c0": 2, "c1": 1}
    assert await store.comments.count_comments("c", only) == {"c1": 1}
    assert await store.comments.count_comments("c", []) == {}
    assert await store.comments.list_comments("d") == []


async def test_a_comment_needs_its_turn_and_is_added_once(store: SqlStore) -> None:
    await fill(store)
    assert not await store.comments.add_comment(comment("a", "d0"), max_count=9)
    assert not await store.comments.add_comment(comment("a", "nowhere"), max_count=9)
    assert await store.comments.add_comment(comment("a"), max_count=1)
    assert await store.comments.add_comment(comment("a", text="again"), max_count=1)
    assert not await store.comments.add_comment(comment("b"), max_count=1)
    assert [one.text for one in await store.comments.list_comments("c")] == ["x"]


async def test_changes_of_comments_that_are_gone_change_nothing(store: SqlStore) -> None:
    await fill(store)
    await store.comments.add_comment(comment("a"), max_count=9)
    assert await store.comments.edit_comment("a", "y", at=5.0)
    found = await store.comments.find_comment("a")
    assert found is not None
    assert (found.text, found.edited_at) == ("y", 5.0)
    assert await store.comments.delete_comment("a")
    assert not await store.comments.delete_comment("a")
    assert not await store.comments.edit_comment("a", "z", at=6.0)
    assert await store.comments.find_comment("a") is None


async def test_comments_added_at_once_are_all_kept(store: SqlStore) -> None:
    await fill(store)
    added = (store.comments.add_comment(comment(f"n{n}"), max_count=99) for n in range(20))
    assert all(await asyncio.gather(*added))
    assert len(await store.comments.list_comments("c")) == 20
