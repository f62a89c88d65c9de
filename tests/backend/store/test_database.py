"""Database files, locks and faults: data reported as stored is stored."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.util import await_only
from structlog.testing import capture_logs

from tests import store_writes
from wireside.errors import NotConfigured, StoreError
from wireside.messages import End, TextDelta
from wireside.parts import text_parts
from wireside.records import ConversationInfo, Segment, Span, Tail, TurnRecord
from wireside.store import answers, database
from wireside.store.database import (  # type: ignore[attr-defined]  # sqlite: the one in use
    create_database,
    is_sqlite_mended,
    sqlite,
    sqlite_file,
)
from wireside.store.migrate import NEWEST, migrate
from wireside.store.store import SqlStore

INFO = ConversationInfo(id="c", title="Title", created_at=10.0, updated_at=10.0)
TURN = TurnRecord(
    id="t",
    conversation_id="c",
    branch=0,
    depth=0,
    question_parts=text_parts("question"),
    created_at=20.0,
)


async def begun(store: SqlStore) -> None:
    await store.create_conversation(INFO)
    await store_writes.add_turn(store, TURN)
    await store_writes.begin(store, "t", Segment(stream="s", model="m"))


async def text_of(store: SqlStore) -> str:
    found = await store.read_segment("s")
    assert found is not None
    return "".join(e.text for e in found[0].entries if isinstance(e, TextDelta))


class TestOpening:
    async def test_it_opens_again_with_what_it_had(self, url: str) -> None:
        for number in range(2):
            store = SqlStore(url)
            await store.open()
            await store.create_conversation(
                ConversationInfo(id=f"c{number}", title="", created_at=0.0, updated_at=0.0)
            )
            listing = await store.conversations(cursor=None, limit=9)
            assert len(listing.conversations) == number + 1
            await store.aclose()

    async def test_a_second_server_is_kept_away(self, url: str, store: SqlStore) -> None:
        other = SqlStore(url)
        with pytest.raises(NotConfigured, match="Another server"):
            await other.open()
        await other.aclose()
        await store.aclose()
        third = SqlStore(url)
        await third.open()
        await third.aclose()

    async def test_several_servers_share_a_database_if_all_of_them_do(
        self, create: Callable[..., Coroutine[Any, Any, str]]
    ) -> None:
        url = await create("postgresql")
        first, second = (SqlStore(url, is_shared=True) for _ in range(2))
        await asyncio.gather(first.open(), second.open())  # both migrate it
        alone = SqlStore(url)
        with pytest.raises(NotConfigured, match="WIRESIDE_REPLICAS=true for each server"):
            await alone.open()
        with pytest.raises(NotConfigured, match="Another server"):
            await migrate(url)
        for store in (first, second, alone):
            await store.aclose()
        alone = SqlStore(url)
        await alone.open()
        late = SqlStore(url, is_shared=True)
        with pytest.raises(NotConfigured, match="Another server"):
            await late.open()
        await late.aclose()
        await alone.aclose()

    def test_a_sqlite_file_is_not_shared(self, tmp_path: Path) -> None:
        with pytest.raises(NotConfigured, match="not a SQLite file"):
            SqlStore(f"sqlite:///{tmp_path / 'x.db'}", is_shared=True)

    async def test_a_server_waits_until_another_one_ends(self, url: str, store: SqlStore) -> None:
        other = SqlStore(url)
        with capture_logs() as lines:
            opening = asyncio.create_task(other.open(wait_s=60))
            while not lines:
                await asyncio.sleep(0.01)
            assert lines[0]["event"] == "database_in_use"
            await store.aclose()
            await opening
        assert lines[-1]["event"] == "database_released"
        await other.aclose()

    async def test_a_server_waits_no_longer_than_it_is_allowed(
        self, url: str, store: SqlStore
    ) -> None:
        other = SqlStore(url)
        with pytest.raises(NotConfigured, match="Another server"):
            await other.open(wait_s=0.2)
        await other.aclose()

    async def test_a_newer_database_is_refused(self, url: str) -> None:
        assert await migrate(url) == NEWEST
        opened = create_database(url)
        await opened.write(
            lambda connection: connection.execute(
                text("UPDATE alembic_version SET version_num='9'")
            )
        )
        await opened.aclose()
        store = SqlStore(url)
        with pytest.raises(NotConfigured, match="newer Wireside"):
            await store.open()
        await store.aclose()

    @pytest.mark.parametrize("wrong", ["nonsense", "mysql://host/x", ""])
    def test_a_wrong_address_is_told(self, wrong: str) -> None:
        with pytest.raises(NotConfigured, match="WIRESIDE_DATABASE_URL"):
            SqlStore(wrong)

    @pytest.mark.slow
    async def test_a_server_that_is_not_there_is_told(self) -> None:
        store = SqlStore("postgresql://nobody:secret@127.0.0.1:9/x")
        with pytest.raises(NotConfigured, match="reached") as told:
            await store.open()
        assert "secret" not in str(told.value)
        await store.aclose()

    @pytest.mark.slow
    async def test_a_server_that_refuses_is_told(self, postgresql: str) -> None:
        """As a server does that is starting up, or has no connection left."""
        store = SqlStore(postgresql.replace("/postgres", "/nowhere", 1))
        with pytest.raises(NotConfigured, match="refuses"):
            await store.open()
        with pytest.raises(StoreError):
            await store.create_conversation(INFO)
        with pytest.raises(StoreError):
            await store.conversation("c")
        await store.look_after()
        await store.aclose()

    async def test_a_folder_that_can_not_be_made_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        store = SqlStore(f"sqlite:///{tmp_path / 'file' / 'x.db'}")
        with pytest.raises(NotConfigured, match="WIRESIDE_DATA_DIR"):
            await store.open()
        await store.aclose()

    async def test_the_file_is_its_users_alone(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path / 'data' / 'x.db'}")
        await store.open()
        assert (tmp_path / "data" / "x.db").stat().st_mode & 0o077 == 0
        await store.aclose()

    async def test_memory_is_a_database_too(self) -> None:
        store = SqlStore("sqlite://")
        await store.open()
        await begun(store)
        await store.commit_writes(
            [Tail(stream="s", offset=0, entries=(TextDelta("text"),), end=End("stop"))]
        )
        assert await text_of(store) == "text"
        await store.aclose()


@pytest.mark.skipif(not is_sqlite_mended(), reason="this SQLite is checkpointed by its writer")
class TestCheckpoints:
    @pytest.fixture
    async def on_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[tuple[SqlStore, Path]]:
        monkeypatch.setattr(database, "CHECKPOINT_S", 0.01)
        file = tmp_path / "x.db"
        store = SqlStore(f"sqlite:///{file}")
        await store.open()
        yield store, file
        await store.aclose()

    async def test_the_file_gets_what_is_committed(self, on_file: tuple[SqlStore, Path]) -> None:
        store, file = on_file
        await store.create_conversation(replace(INFO, title="wombat"))
        async with asyncio.timeout(10):
            while b"wombat" not in file.read_bytes():
                await asyncio.sleep(0.01)

    async def test_under_constant_load_the_log_does_not_grow_for_ever(
        self, on_file: tuple[SqlStore, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "MAX_LOG_FRAMES", 50)
        store, file = on_file
        log = file.with_name("x.db-wal")
        await begun(store)
        sizes = []
        for number in range(2000):
            tail = Tail(stream="s", offset=number, entries=(TextDelta("x"),))
            await store.commit_writes([tail])
            sizes.append(log.stat().st_size)
        assert sizes[-1] < 1_000 * 4096  # of 2,000 pages and more

    async def test_the_writer_does_what_is_left(self) -> None:
        frames = [(0, 100_000, 100_000)]
        modes: list[str] = []

        class Driver:
            def execute(self, statement: str) -> Driver:
                modes.append(statement)
                return self

            def fetchone(self) -> tuple[int, int, int]:
                return frames[0]

            def close(self) -> None:
                modes.append("closed")

        checkpoints = database._Checkpoints(Driver, lambda: True)
        for _ in range(2):
            checkpoints.note_commit(Driver())
            async with asyncio.timeout(10):
                while not checkpoints._is_overdue:
                    await asyncio.sleep(0.01)
            modes.clear()
            frames[0] = (0, 100, 100)
            checkpoints.note_commit(Driver())
            assert modes[0] == "PRAGMA wal_checkpoint(PASSIVE)"
            assert not checkpoints._is_overdue
            frames[0] = (0, 100_000, 100_000)
        await asyncio.to_thread(checkpoints.end_thread)
        assert modes[-1] == "closed"

    async def test_a_lost_file_is_not_written(
        self, on_file: tuple[SqlStore, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, file = on_file
        monkeypatch.setattr(database, "CHECKPOINT_S", 0.2)
        await store.create_conversation(replace(INFO, title="wombat"))
        moved = file.rename(file.with_name("moved.db"))
        await asyncio.sleep(0.5)
        assert b"wombat" not in moved.read_bytes()
        moved.rename(file)


async def test_a_reader_sees_one_moment(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await begun(store)
    opened = store._database
    loop = asyncio.get_running_loop()
    count = text("SELECT count(*) FROM pieces")
    is_read, is_written = asyncio.Event(), asyncio.Event()

    def look(connection: Any) -> tuple[int, int]:
        before = connection.scalar(count)
        loop.call_soon_threadsafe(is_read.set)
        if opened.is_sqlite:  # it has a thread of its own
            asyncio.run_coroutine_threadsafe(is_written.wait(), loop).result(10)
        else:
            await_only(is_written.wait())
        return before, connection.scalar(count)

    reading = asyncio.ensure_future(opened.read(look))
    await is_read.wait()
    await store.commit_writes([Tail(stream="s", offset=0, entries=(TextDelta("x"),))])
    is_written.set()
    found = [*await reading, await opened.read(lambda connection: connection.scalar(count))]
    await store.aclose()
    assert found == [0, 0, 1]


async def test_a_closed_store_says_that_it_can_not(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.aclose()
    with pytest.raises(StoreError):
        await store.conversation("c")
    with pytest.raises(StoreError):
        await store.create_conversation(INFO)


def test_a_path_may_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert sqlite_file("sqlite:///~/chat.db") == tmp_path / "chat.db"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no wheel")
def test_the_sqlite_in_use_is_mended() -> None:
    assert is_sqlite_mended()


class TestFaults:
    @pytest.fixture
    async def own(self, tmp_path: Path) -> Any:
        store = SqlStore(f"sqlite:///{tmp_path / 'x.db'}", busy_s=0.05)
        await store.open()
        await begun(store)
        yield store
        await store.aclose()

    async def test_a_lock_passes(self, own: SqlStore, tmp_path: Path) -> None:
        other = sqlite.connect(str(tmp_path / "x.db"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            await own.commit_writes([Tail(stream="s", offset=0, entries=(TextDelta("x"),))])
        assert await text_of(own) == ""  # reading still works
        other.execute("ROLLBACK")
        other.close()
        await own.commit_writes([Tail(stream="s", offset=0, entries=(TextDelta("x"),))])
        assert await text_of(own) == "x"

    async def test_what_fails_is_said(self, own: SqlStore) -> None:
        """A failed read does not say that something can't be saved."""

        def fail(_: Any) -> None:
            raise sqlite.DatabaseError("database disk image is malformed")

        with pytest.raises(StoreError, match="can't be saved"):
            await own._database.write(fail)
        with pytest.raises(StoreError, match="can't read"):
            await own._database.read(fail)

    async def test_a_full_disk_passes(self, own: SqlStore) -> None:
        pages = await own._database.read(lambda c: c.scalar(text("PRAGMA page_count")))

        async def limit(count: int) -> None:
            await own._database.write(
                lambda c: c.execute(text(f"PRAGMA max_page_count={count}")).all()
            )

        await limit(pages + 2)
        with pytest.raises(StoreError):
            await own.commit_writes(
                [Tail(stream="s", offset=0, entries=(TextDelta("x" * 100_000),))]
            )
        assert await text_of(own) == ""
        await limit(2**30)
        await own.commit_writes([Tail(stream="s", offset=0, entries=(TextDelta("x" * 100_000),))])
        assert len(await text_of(own)) == 100_000

    async def test_nothing_of_a_write_that_failed_is_kept(self, own: SqlStore) -> None:
        tails = [
            Tail(stream="s", offset=0, entries=(TextDelta("x"),)),
            Tail(stream="s", offset=1, entries=(object(),)),  # type: ignore[arg-type]
        ]
        with pytest.raises(AttributeError):
            await own.commit_writes(tails)
        assert await text_of(own) == ""

    async def test_a_removed_text_is_in_no_file(self, own: SqlStore, tmp_path: Path) -> None:
        secret = "Xylophonquelle"
        await own.commit_writes([Tail(stream="s", offset=0, entries=(TextDelta(f"a {secret} b"),))])
        await own.commit_writes(
            [Tail(stream="s", offset=5 + len(secret), entries=(), end=End("stop"))]
        )
        await own.update_conversation(
            ConversationInfo(id="c", title=secret, created_at=0.0, updated_at=0.0)
        )
        await own.delete_conversations(["c"], 1.0)
        assert secret.encode() in _bytes(tmp_path)
        await own.purge_conversations(2.0)
        assert secret.encode() not in _bytes(tmp_path)
        assert secret.lower().encode() not in _bytes(tmp_path)

    async def test_what_a_reader_held_is_removed_the_next_time(
        self, own: SqlStore, tmp_path: Path
    ) -> None:
        secret = "Xylophonquelle"
        await own.commit_writes(
            [Tail(stream="s", offset=0, entries=(TextDelta(secret),), end=End("stop"))]
        )
        await own.delete_conversations(["c"], 1.0)
        reader = sqlite.connect(str(tmp_path / "x.db"), isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchall()
        assert await own.purge_conversations(2.0) == 1
        assert secret.encode() in _bytes(tmp_path)
        reader.execute("ROLLBACK")
        reader.close()
        assert await own.purge_conversations(2.0) == 0
        assert secret.encode() not in _bytes(tmp_path)

    async def test_an_error_tells_the_log_nothing_that_was_said(
        self, own: SqlStore, tmp_path: Path
    ) -> None:
        secret = "Xylophonquelle"
        opened = own._database
        pages = await opened.read(lambda c: c.scalar(text("PRAGMA page_count")))
        limit = text(f"PRAGMA max_page_count={pages + 1}")
        await opened.write(lambda c: c.execute(limit).all())
        said = secret * 9999
        with pytest.raises(StoreError) as told:
            await own.commit_writes([Tail(stream="s", offset=0, entries=(TextDelta(said),))])
        logged = "".join(traceback.format_exception(told.value))
        assert "full" in logged
        assert secret not in logged

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO quoted VALUES ('{}', NULL)",  # "Failing row contains …"
            "SELECT CAST('{}' AS integer)",
            "SELECT * FROM quoted WHERE a = :value",  # the driver's own words
        ],
    )
    async def test_what_postgresql_quotes_is_not_logged(
        self, postgresql: str, statement: str
    ) -> None:
        secret = "Xylophonquelle"
        create = "CREATE TEMP TABLE IF NOT EXISTS quoted (a integer, b integer NOT NULL)"
        if "INSERT" in statement:
            create = create.replace("a integer", "a text")
        said = text(statement.format(secret))
        values = {"value": secret} if ":value" in statement else {}
        store = create_database(postgresql)

        def work(connection: Any) -> None:
            connection.execute(text(create))
            connection.execute(said, values)

        with capture_logs() as logged, pytest.raises(StoreError):
            await store.write(work)
        await store.aclose()
        (line,) = (one for one in logged if one["event"] == "store_failed")
        assert line["error"]
        assert secret not in str(logged)

    async def test_a_server_that_is_gone_is_told_in_its_words(self, postgresql: str) -> None:
        store = create_database(postgresql)
        quit_ = text("SELECT pg_terminate_backend(pg_backend_pid())")
        with capture_logs() as logged, pytest.raises(StoreError):
            await store.write(lambda connection: connection.execute(quit_).all())
        await store.aclose()
        (line,) = (one for one in logged if one["event"] == "store_failed")
        assert "terminat" in line["error"] or "closed" in line["error"]

    async def test_a_lost_connection_is_replaced(self, postgresql: str) -> None:
        store = SqlStore(postgresql)
        await store.open()
        await begun(store)
        cut = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND application_name = 'wireside'"
        )
        with contextlib.suppress(StoreError):
            await store._database.write(lambda connection: connection.execute(cut).all())
        for _ in range(10):
            with contextlib.suppress(StoreError):
                await store.commit_writes(
                    [Tail(stream="s", offset=0, entries=(TextDelta("kept"),))]
                )
                break
        assert await text_of(store) == "kept"
        await store.aclose()


def _bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


WRITER = """
import asyncio, sys
from wireside.messages import TextDelta
from wireside.parts import text_parts
from wireside.records import (
    AnswerBegun, Branch, ConversationInfo, Segment, Tail, TurnAdded, TurnRecord
)
from wireside.store.store import SqlStore

async def main():
    store = SqlStore(sys.argv[1])
    await store.open()
    name = sys.argv[2]
    turn = TurnRecord(
        id=name,
        conversation_id=name,
        branch=0,
        depth=0,
        question_parts=text_parts("question"),
        created_at=0.0,
    )
    info = ConversationInfo(id=name, title="", created_at=0.0, updated_at=0.0)
    branch = Branch(id=0, parent=None, first=0, last=0)
    segment = Segment(stream=name, model="m")
    await store.commit_writes(
        [
            TurnAdded(record=turn, branch=branch, info=info, creates=True),
            AnswerBegun(conversation_id=name, turn_id=name, segment=segment),
        ]
    )
    for offset in range(0, 10**9, 4):
        await store.commit_writes([Tail(stream=name, offset=offset, entries=(TextDelta("text"),))])
        print(offset + 4, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_wrote(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    for number in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"c{number}"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        assert writer.stdout is not None
        for _ in range(50 + 37 * number):
            said = int(writer.stdout.readline())
        writer.kill()
        said = max([said, *(int(line) for line in writer.stdout.read().split("\n")[:-1] if line)])
        writer.stdout.close()
        writer.wait()

        async def kept(name: str) -> int:
            store = SqlStore(url)
            await store.open()
            found = await store.read_segment(name)
            await store.aclose()
            assert found is not None
            return sum(len(e.text) for e in found[0].entries if isinstance(e, TextDelta))

        assert asyncio.run(kept(f"c{number}")) >= said


class TestPlans:
    """Frequent queries use an index, never a full table scan."""

    @pytest.fixture
    async def plans(self, tmp_path: Path) -> Any:
        store = SqlStore(f"sqlite:///{tmp_path / 'x.db'}")
        await store.open()
        asked: list[tuple[str, Any]] = []

        event.listen(
            store._database._readers,  # type: ignore[attr-defined]
            "before_cursor_execute",
            lambda conn, cursor, statement, parameters, *_: asked.append((statement, parameters)),
        )

        async def explain() -> list[str]:
            # the tags of a page are few, and sorted by the page's order
            questions = [
                (s, p)
                for s, p in asked
                if s.startswith(("SELECT", "WITH")) and "FROM tags" not in s
            ]
            asked.clear()

            def work(connection: Any) -> list[str]:
                return [
                    row[3]
                    for statement, parameters in questions
                    for row in connection.exec_driver_sql(
                        f"EXPLAIN QUERY PLAN {statement}", parameters
                    )
                ]

            return await store._database.read(work)

        yield store, explain
        await store.aclose()

    async def test_no_page_reads_a_whole_table(self, plans: Any) -> None:
        store, explain = plans
        await store.conversation("c")
        await store.read_turns("c", [Span(0, 5, 9), Span(1, 10, 24)])
        await store.read_turn("t")
        await store.read_segment("s")
        await store.conversations(cursor=None, limit=9)
        await store.conversations(cursor="u 5.0 c", limit=9)
        await store.conversations(archived=True, cursor="u 5.0 c", limit=9)
        await store.all_turns("c", after=(0, 5), limit=9)
        steps = await explain()
        assert steps
        slow = [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN")]
        assert [step for step in slow if "USING INDEX" not in step] == []

    async def test_what_waits_or_runs_is_found_without_all_the_others(self, plans: Any) -> None:
        store, explain = plans
        await begun(store)  # if a row is missing, no further query is made
        await explain()
        await store.conversation("c")
        await store.read_turns("c", [Span(0, 0, 9)])
        steps = await explain()
        assert "SEARCH turns USING INDEX turns_waiting (conversation_id=?)" in steps
        assert [step for step in steps if step.startswith("SCAN")] == []
        await store.asking("", limit=9)
        steps = await explain()
        scans = {step.split()[1]: step for step in steps if step.startswith("SCAN")}
        assert scans.pop("segments") == "SCAN segments USING INDEX segments_asking"
        assert set(scans) <= {"asking", "path"}
        await store.conversations_with_waiting_turns()
        assert "SCAN turns USING INDEX turns_waiting" in await explain()
        await store._database.read(lambda connection: connection.scalar(answers.RUNNING))
        assert [step for step in await explain() if "segments_live" not in step] == []
