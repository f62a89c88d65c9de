"""Versions of conversations, requested stops, and requests under a client's key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from tests import store_writes
from wireside.errors import Conflict
from wireside.messages import End, Options
from wireside.parts import text_parts
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    ConversationVersion,
    Feedback,
    Segment,
    Tail,
    TurnAdded,
    TurnRecord,
    TurnWithdrawn,
    Write,
)
from wireside.store.store import SqlStore

INFO = ConversationInfo(id="c", title="Title", created_at=1.0, updated_at=1.0)


@pytest.fixture
async def shared(create: Callable[..., Coroutine[Any, Any, str]]) -> AsyncIterator[SqlStore]:
    """A store that other servers use too, on PostgreSQL."""
    store = SqlStore(await create("postgresql", is_migrated=True), is_shared=True)
    await store.open_beside()
    yield store
    await store.aclose()


def added(
    turn_id: str, version: int | None, *, depth: int = 0, creates: bool = False, of: str = "c"
) -> TurnAdded:
    record = TurnRecord(
        id=turn_id,
        conversation_id=of,
        branch=0,
        depth=depth,
        question_parts=text_parts("why"),
        created_at=2.0,
        is_waiting=True,
    )
    branch = Branch(id=0, parent=None, first=0, last=depth)
    return TurnAdded(
        record=record, branch=branch, info=replace(INFO, id=of), creates=creates, version=version
    )


def begun(turn_id: str, stream: str, version: int | None, *, of: str = "c") -> AnswerBegun:
    return AnswerBegun(
        conversation_id=of,
        turn_id=turn_id,
        segment=Segment(stream=stream, model="m"),
        version=version,
    )


async def version_of(store: SqlStore, name: str = "c") -> int:
    return (await store.versions([name]))[name].version


def direct_changes(store: SqlStore, version: int | None) -> list[Awaitable[None]]:
    return [
        store.update_conversation(replace(INFO, title="New"), version=version),
        store.set_shown_branch("c", 0, version=version),
        store.keep_options("c", Options(model="m"), version=version),
        store.set_feedback("c", "t0", Feedback("up"), version=version),
    ]


async def test_each_change_raises_the_version_by_one(store: SqlStore) -> None:
    await store.commit_writes([added("t0", 0, creates=True), begun("t0", "s0", 1)])
    assert await version_of(store) == 2
    for change in direct_changes(store, None):
        before = await version_of(store)
        await change
        assert await version_of(store) == before + 1
    await store.commit_writes([added("t1", None, depth=1)])
    assert await version_of(store) == 7
    shorter = Branch(id=0, parent=None, first=0, last=0)
    await store.commit_writes(
        [TurnWithdrawn(conversation_id="c", turn_id="t1", branches=(shorter,), shown=0)]
    )
    assert await version_of(store) == 8
    await store.commit_writes([Tail(stream="s0", offset=0, entries=(), end=End("stop"))])
    assert await version_of(store) == 8
    await store.delete_conversations(["c"], 3.0)
    assert (await store.versions(["c"]))["c"] == ConversationVersion(
        version=9, owner="", is_deleted=True
    )
    await store.restore_conversations(["c"])
    stored = await store.conversation("c")
    assert stored is not None
    assert stored.version == 10
    await store.delete_conversations(["c"], 3.0)
    await store.purge_conversations(4.0)
    assert await store.versions(["c", "nowhere\0"]) == {}


async def test_a_server_alone_does_not_look_at_versions(store: SqlStore) -> None:
    await store.create_conversation(INFO)
    assert await store.commit_writes([added("t0", 7)]) == [True]
    for change in direct_changes(store, 7):
        await change


async def test_what_was_made_for_another_version_is_refused(shared: SqlStore) -> None:
    assert await shared.commit_writes([added("t0", 0, creates=True)]) == [True]
    before = await shared.conversation("c")
    for version in (0, 2):
        for change in direct_changes(shared, version):
            with pytest.raises(Conflict):
                await change
        assert await shared.commit_writes([begun("t0", "s0", version)]) == [None]
    assert await shared.conversation("c") == before
    await shared.update_conversation(INFO, version=1)
    await shared.delete_conversations(["c"], 3.0)
    with pytest.raises(Conflict):
        await shared.update_conversation(INFO, version=3)
    assert await shared.commit_writes([added("t1", 3, depth=1)]) == [None]
    assert await shared.commit_writes([added("t2", 0, creates=True)]) == [None]


async def test_a_refused_write_refuses_no_other_conversation(shared: SqlStore) -> None:
    await shared.create_conversation(INFO)
    await shared.create_conversation(replace(INFO, id="d"))
    writes: list[Write] = [
        added("c0", 1),
        begun("c0", "s-c", 1),
        added("d0", 0, of="d"),
        begun("d0", "s-d", 1, of="d"),
        Tail(stream="s-d", offset=0, entries=(), end=End("stop")),
    ]
    assert await shared.commit_writes(writes) == [None, None, True, True, True]
    assert (await version_of(shared, "c"), await version_of(shared, "d")) == (0, 2)
    assert await shared.read_turn("c0") is None
    taken: list[Write] = [added("d0", 0), begun("d0", "s-again", 1)]
    assert (await shared.commit_writes(taken))[0] is False
    assert await version_of(shared, "c") == 0


async def test_a_conversation_is_read_with_its_open_turns(store: SqlStore) -> None:
    await store.create_conversation(INFO)
    for depth in range(3):
        await store.commit_writes([added(f"t{depth}", None, depth=depth)])
    await store_writes.begin(store, "t0", Segment(stream="s0", model="m"))
    found = await store.conversation_with_turns("c", ["t2", "nowhere"])
    assert found is not None
    stored, turns = found
    assert stored == await store.conversation("c")
    assert sorted(turn.id for turn in turns) == ["t0", "t2"]
    assert await store.conversations_with_waiting_turns() == []
    await store.commit_writes([Tail(stream="s0", offset=0, entries=(), end=End("stop"))])
    assert await store.conversations_with_waiting_turns() == ["c"]
    assert await store.conversation_with_turns("nowhere", []) is None


async def test_a_stop_is_requested_until_the_answer_ends(store: SqlStore) -> None:
    await store.create_conversation(INFO)
    await store.commit_writes([added("t0", None), begun("t0", "s0", None)])
    assert await store.requested_stops() == []
    for name in ("s0", "s0", "nowhere"):
        await store.request_stop(name)
    assert await store.requested_stops() == ["s0"]
    await store.commit_writes([Tail(stream="s0", offset=0, entries=(), end=End("cancelled"))])
    assert await store.requested_stops() == []
    await store.request_stop("s0")
    assert await store.requested_stops() == []


async def test_a_request_has_one_answer_until_it_is_forgotten(store: SqlStore) -> None:
    assert await store.find_request("k") is None
    assert await store.claim_request("k", "s0", 1.0) == "s0"
    assert await store.claim_request("k", "s1", 2.0) == "s0"
    await store.forget_request("k", "s1")
    assert await store.find_request("k") == "s0"
    await store.forget_request("k", "s0")
    assert await store.claim_request("k", "s2", 3.0) == "s2"
    await store.forget_requests(3.0)
    assert await store.find_request("k") == "s2"
    await store.forget_requests(3.1)
    assert await store.find_request("k") is None
