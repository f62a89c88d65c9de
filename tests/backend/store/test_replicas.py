"""Replicas in PostgreSQL: a removed one writes nothing, whatever it is in the middle of."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from tests import store_writes
from wireside.errors import Fenced, StoreError
from wireside.messages import End, TextDelta
from wireside.parts import text_parts
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    Segment,
    Tail,
    TurnAdded,
    TurnRecord,
)
from wireside.store import shared
from wireside.store.database import postgresql_address
from wireside.store.replicas import SqlReplicas
from wireside.store.store import SqlStore

INFO = ConversationInfo(id="c", title="Title", created_at=10.0, updated_at=10.0)


@pytest.fixture
async def postgresql_url(create: Callable[..., Coroutine[Any, Any, str]]) -> str:
    return await create("postgresql", is_migrated=True)


@pytest.fixture
async def store(postgresql_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(postgresql_url, is_shared=True)
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def rows(postgresql_url: str) -> AsyncIterator[SqlReplicas]:
    rows = SqlReplicas(postgresql_url, statement_s=20, lock_s=0.2)
    yield rows
    await rows.aclose()


def turn(turn_id: str, depth: int = 0) -> TurnRecord:
    return TurnRecord(
        id=turn_id,
        conversation_id="c",
        branch=0,
        depth=depth,
        question_parts=text_parts("question"),
        created_at=20.0,
        is_waiting=True,
    )


async def begin(store: SqlStore, replica: str | None, stream: str = "s", depth: int = 0) -> None:
    """Begin an answer of a replica."""
    await store.create_conversation(INFO)
    branch = Branch(id=0, parent=None, first=0, last=depth)
    await store_writes.add_turn(store, turn(f"t-{stream}", depth), branch)
    segment = Segment(stream=stream, model="m")
    begun = AnswerBegun(conversation_id="c", turn_id=f"t-{stream}", segment=segment)
    await store.commit_writes([begun], replica=replica)


def tail(said: str, *, offset: int = 0, end: End | None = None, stream: str = "s") -> Tail:
    return Tail(stream=stream, offset=offset, entries=(TextDelta(said),), end=end)


async def stored(store: SqlStore, stream: str = "s") -> tuple[str, End | None]:
    found = await store.read_segment(stream)
    assert found is not None
    return "".join(e.text for e in found[0].entries if isinstance(e, TextDelta)), found[0].end


async def test_a_beat_shows_all_replicas_the_oldest_first(rows: SqlReplicas) -> None:
    assert [one.name for one in await rows.add_replica("r1", "a", "1")] == ["a"]
    both = await rows.add_replica("r2", "b", "2")
    assert [(one.id, one.version) for one in both] == [("r1", "1"), ("r2", "2")]
    await rows.beat("r2")
    seen = await rows.beat("r1")
    assert seen is not None
    assert {one.id: one.beat for one in seen}["r2"] == 1
    assert await rows.remove_replica("r2", beat=0) is False
    assert await rows.remove_replica("r2", beat=1) is True
    assert await rows.beat("r2") is None
    assert await rows.remove_named("a", but="r9") == ["r1"]
    assert await rows.beat("r1") is None


async def test_a_beat_carries_what_a_server_reports_and_the_clock_of_the_database(
    rows: SqlReplicas,
) -> None:
    await rows.add_replica("r1", "a", "1")
    await rows.add_replica("r2", "b", "2")
    await rows.beat("r1", '{"streams":3}')
    seen = await rows.beat("r2", None)
    assert seen is not None
    assert [one.report for one in seen] == ['{"streams":3}', None]
    assert seen[0].started_at + seen[0].age_s == pytest.approx(time.time(), abs=30)
    assert 0 <= seen[1].age_s <= seen[0].age_s


async def test_what_a_replica_writes_is_stored(store: SqlStore, rows: SqlReplicas) -> None:
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    await store.commit_writes([tail("Hello ")], replica="r")
    await store.commit_writes([tail("Hello \0world")], replica="r")
    assert await stored(store) == ("Hello \0world", None)
    assert await store.interrupt_orphans() == []
    await store.commit_writes([tail("Hello \0world", end=End("stop"))], replica="r")
    assert await stored(store) == ("Hello \0world", End("stop"))


async def test_a_removed_replica_writes_nothing(store: SqlStore, rows: SqlReplicas) -> None:
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    await store.commit_writes([tail("before")], replica="r")
    assert await rows.remove_replica("r")
    branch = Branch(id=0, parent=None, first=0, last=1)
    late = TurnAdded(record=turn("late", 1), branch=branch, info=INFO, creates=False)
    segment = Segment(stream="late", model="m")
    for writes in (
        [tail("before and after")],
        [tail("before and after", end=End("stop"))],
        [late],
        [AnswerBegun(conversation_id="c", turn_id="t-s", segment=segment)],
    ):
        with pytest.raises(Fenced):
            await store.commit_writes(writes, replica="r")
    assert await stored(store) == ("before", None)
    assert await store.interrupt_orphans() == [("s", "c")]
    assert await stored(store) == ("before", End("interrupted"))
    assert await store.read_turn("late") is None


async def test_a_replica_with_a_new_id_does_not_write_what_it_began_before(
    store: SqlStore, rows: SqlReplicas
) -> None:
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    await rows.remove_replica("r")
    await rows.add_replica("again", "a", "1")
    await store.commit_writes([tail("after")], replica="again")
    await store.commit_writes([tail("after", end=End("stop"))], replica="again")
    assert await stored(store) == ("", None)


async def test_a_removal_waits_for_a_commit_and_then_its_text_is_in_the_answer(
    store: SqlStore, rows: SqlReplicas, postgresql_url: str
) -> None:
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    holder = create_async_engine(postgresql_address(postgresql_url))
    async with holder.begin() as connection:
        await connection.execute(text("SELECT 1 FROM replicas WHERE id = 'r' FOR KEY SHARE"))
        with pytest.raises(StoreError):  # gives up after `lock_s`
            await rows.remove_replica("r")
        assert await rows.beat("r") is not None  # the beat does not wait for the commit
        other = SqlReplicas(postgresql_url, statement_s=20, lock_s=20)
        removing = asyncio.create_task(other.remove_replica("r"))
        await until_waiting(store)
        await connection.execute(text("INSERT INTO pieces VALUES ('s', 4, 0, 'late')"))
    assert await removing is True
    await other.aclose()
    await holder.dispose()
    assert await store.interrupt_orphans() == [("s", "c")]
    assert await stored(store) == ("late", End("interrupted"))


async def test_a_commit_waits_for_a_removal_and_is_then_refused(
    store: SqlStore, rows: SqlReplicas, postgresql_url: str
) -> None:
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    remover = create_async_engine(postgresql_address(postgresql_url))
    async with remover.begin() as connection:
        await connection.execute(text("DELETE FROM replicas WHERE id = 'r'"))
        late = tail("late", end=End("stop"))
        committing = [
            asyncio.create_task(store.commit_writes(writes, replica="r"))
            for writes in ([tail("late")], [late])
        ]
        await until_waiting(store, 2)
    for task in committing:
        with pytest.raises(Fenced):
            await task
    await remover.dispose()
    assert await stored(store) == ("", None)


SENDS_MUCH = """
import asyncio, asyncpg, sys

async def main():
    settings = {"application_name": "wireside", "idle_in_transaction_session_timeout": "1000"}
    connection = await asyncpg.connect(sys.argv[1], server_settings=settings)
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM replicas WHERE id = 'r' FOR KEY SHARE")
        rows = (("s", number + 1, 0, "a" * 20_000) for number in range(100_000))
        await connection.executemany("INSERT INTO pieces VALUES ($1, $2, $3, $4)", rows)

asyncio.run(main())
"""

IS_CUT_SHORT = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND query LIKE 'INSERT INTO pieces%' AND state = 'active' AND wait_event = 'ClientRead'"
)


async def test_a_server_that_is_frozen_in_the_middle_of_a_batch_is_removed(
    store: SqlStore, rows: SqlReplicas, postgresql_url: str
) -> None:
    """No timeout of PostgreSQL before version 17 ends its transaction, which holds the row."""
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    program = [sys.executable, "-c", SENDS_MUCH, postgresql_url]
    frozen = await asyncio.to_thread(subprocess.Popen, program)
    removing = SqlReplicas(postgresql_url, statement_s=20, lock_s=0.2, frozen_s=0.5)
    try:
        async with asyncio.timeout(60):
            while True:
                frozen.send_signal(signal.SIGSTOP)
                await asyncio.sleep(0.1)
                if await store._database.read(lambda c: c.scalar(IS_CUT_SHORT)):
                    break
                frozen.send_signal(signal.SIGCONT)
                await asyncio.sleep(0.03)
            is_removed = False
            while not is_removed:
                with contextlib.suppress(StoreError):
                    is_removed = await removing.remove_replica("r")
    finally:
        await removing.aclose()
        frozen.kill()
        frozen.wait()
    assert await store.interrupt_orphans() == [("s", "c")]
    assert await stored(store) == ("", End("interrupted"))


async def test_a_server_that_is_frozen_between_two_statements_is_removed(
    store: SqlStore, rows: SqlReplicas, postgresql_url: str
) -> None:
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    named = {"server_settings": {"application_name": "wireside"}}
    frozen = create_async_engine(postgresql_address(postgresql_url), connect_args=named)
    removing = SqlReplicas(postgresql_url, statement_s=20, lock_s=0.2, frozen_s=0.5)
    connection = await frozen.connect()
    await connection.execute(text("SELECT 1 FROM replicas WHERE id = 'r' FOR KEY SHARE"))
    is_removed = False
    async with asyncio.timeout(30):
        while not is_removed:
            with contextlib.suppress(StoreError):
                is_removed = await removing.remove_replica("r")
    with pytest.raises(DBAPIError):
        await connection.execute(text("INSERT INTO pieces VALUES ('s', 4, 0, 'late')"))
    await connection.invalidate()
    await connection.close()
    await frozen.dispose()
    await removing.aclose()


async def test_a_long_transaction_that_blocks_no_removal_is_not_ended(
    store: SqlStore, rows: SqlReplicas, postgresql_url: str
) -> None:
    """Such as that of a backup, or of a search's index."""
    await rows.add_replica("r", "a", "1")
    named = {"server_settings": {"application_name": "wireside"}}
    engine = create_async_engine(postgresql_address(postgresql_url), connect_args=named)
    removing = SqlReplicas(postgresql_url, statement_s=20, lock_s=0.2, frozen_s=0.0)
    async with engine.connect() as backup, engine.connect() as holder:
        await backup.execute(text("SELECT * FROM turns, replicas, busy_slots"))
        await backup.execute(text("DELETE FROM tickets"))
        await holder.execute(text("SELECT 1 FROM replicas WHERE id = 'r' FOR KEY SHARE"))
        with pytest.raises(StoreError):
            await removing.remove_replica("r")
        with pytest.raises(DBAPIError):
            await holder.execute(text("SELECT 1"))
        await holder.invalidate()
        await backup.execute(text("SELECT 1"))
    await engine.dispose()
    await removing.aclose()


@pytest.mark.parametrize("count", [0, 2])
async def test_a_server_that_is_frozen_while_it_counts_its_answers_is_removed(
    store: SqlStore, rows: SqlReplicas, postgresql_url: str, count: int
) -> None:
    await rows.add_replica("r", "a", "1")
    await store.slot_counts.record_slots("r", {"user": 1})
    named = {"server_settings": {"application_name": "wireside"}}
    frozen = create_async_engine(postgresql_address(postgresql_url), connect_args=named)
    removing = SqlReplicas(postgresql_url, statement_s=20, lock_s=0.2, frozen_s=0.0)
    connection = await frozen.connect()
    await connection.run_sync(shared._record, "r", {"user": count})
    with pytest.raises(StoreError):
        await removing.remove_replica("r")
    assert await removing.remove_replica("r")
    await connection.invalidate()
    await connection.close()
    await frozen.dispose()
    await removing.aclose()


async def test_each_orphan_is_ended_by_one_server(
    store: SqlStore, rows: SqlReplicas, postgresql_url: str
) -> None:
    await rows.add_replica("r", "a", "1")
    for number in range(20):
        await begin(store, "r", f"s{number}", number)
    await begin(store, None, "old", 20)  # of a server that did not share the database
    await rows.add_replica("here", "b", "1")
    await begin(store, "here", "mine", 21)
    await rows.remove_replica("r")
    others = [SqlStore(postgresql_url, is_shared=True) for _ in range(3)]
    for other in others:
        await other.open()
    ended = await asyncio.gather(*(one.interrupt_orphans() for one in others))
    names = [stream for some in ended for stream, _ in some]
    assert sorted(names) == sorted([*(f"s{number}" for number in range(20)), "old"])
    assert (await stored(store, "mine"))[1] is None
    for other in others:
        await other.aclose()


async def test_an_orphan_that_can_not_be_read_leaves_the_others_alone(
    store: SqlStore, rows: SqlReplicas
) -> None:
    await rows.add_replica("r", "a", "1")
    for number, stream in enumerate(("faulty", "one", "two")):
        await begin(store, "r", stream, number)
        await store.commit_writes([tail("said", stream=stream)], replica="r")
    unknown = text("UPDATE pieces SET kind = 2, content = '{' WHERE stream = 'faulty'")
    await store._database.write(lambda connection: connection.execute(unknown))
    await rows.remove_replica("r")
    assert sorted(await store.interrupt_orphans()) == [("one", "c"), ("two", "c")]
    assert await stored(store, "two") == ("said", End("interrupted"))
    assert await store.interrupt_orphans() == []


async def test_a_question_whose_confirmation_was_lost_is_stored_once(
    store: SqlStore, rows: SqlReplicas
) -> None:
    await rows.add_replica("r", "a", "1")
    branch = Branch(id=0, parent=None, first=0, last=0)
    added = TurnAdded(record=turn("t"), branch=branch, info=INFO, creates=True)
    begun = AnswerBegun(
        conversation_id="c", turn_id="t", segment=Segment(stream="s", model="m", created_at=1.0)
    )
    for _ in range(2):
        assert await store.commit_writes([added, begun], replica="r") == [True, True]


async def test_a_turn_waits_for_a_server_once_the_answer_before_it_has_ended(
    store: SqlStore, rows: SqlReplicas
) -> None:
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    branch = Branch(id=0, parent=None, first=0, last=1)
    await store_writes.add_turn(store, turn("next", 1), branch)
    assert await store.conversations_with_waiting_turns() == []
    await rows.remove_replica("r")
    assert await store.conversations_with_waiting_turns() == []
    await store.interrupt_orphans()
    assert await store.conversations_with_waiting_turns() == ["c"]


async def test_the_fence_is_one_statement(
    store: SqlStore, rows: SqlReplicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction of several would hold its lock while the server is frozen between two."""
    await rows.add_replica("r", "a", "1")
    await begin(store, "r")
    statements: list[str] = []
    run = Connection.exec_driver_sql

    def note(self: Connection, statement: str, *arguments: Any, **options: Any) -> Any:
        statements.append(statement)
        return run(self, statement, *arguments, **options)

    monkeypatch.setattr(Connection, "exec_driver_sql", note)
    await store.commit_writes([tail("Hello")], replica="r")
    assert len(statements) == 1
    assert "FOR KEY SHARE" in statements[0]
    assert "INSERT INTO pieces" in statements[0]


async def until_waiting(store: SqlStore, count: int = 1) -> None:
    """Wait until so many sessions wait for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(20):
        while await store._database.read(lambda c: c.scalar(waiting)) < count:
            await asyncio.sleep(0.02)
