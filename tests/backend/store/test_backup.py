"""Backups: a snapshot of one moment, restored into any database, or nothing at all."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Executable, insert, inspect, select, text

from tests import store_writes
from tests.examples import examples
from wireside.errors import NotConfigured
from wireside.messages import End, Options, ReasoningDelta, TextDelta, Timing, ToolDelta, Usage
from wireside.parts import FilePart, ImagePart, TextPart, ToolCallPart, text_parts
from wireside.records import (
    ApiKey,
    Banner,
    Branch,
    ConversationInfo,
    Feedback,
    FigureStep,
    Folder,
    Invitation,
    Member,
    ModelRule,
    Preset,
    Prompt,
    Segment,
    Share,
    SignIn,
    StoredFile,
    StoredProvider,
    Tail,
    TurnComment,
    TurnRecord,
    UsageKey,
    UsageSum,
    UserAccount,
)
from wireside.store import migrate
from wireside.store.backup import (
    ABOUT_PROCESSES,
    display_name,
    move_database,
    restore_backup,
    setting_of,
    write_backup,
)
from wireside.store.backup_file import (
    BackupError,
    BackupHeader,
    BackupWriter,
    Fingerprint,
    TableHead,
    create_file,
    line_of,
    verify_backup,
)
from wireside.store.database import create_database, sqlite_file
from wireside.store.store import SqlStore
from wireside.store.tables import documents, metadata

Create = Callable[[str], Coroutine[Any, Any, str]]

INFO = ConversationInfo(
    id="c", title="Über 😀 nul\0 \uf8f0 half \ud800", created_at=10.5, updated_at=1e9 + 0.1
)
KINDS = ["sqlite", "postgresql"]

pytestmark = pytest.mark.slow


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


async def fill(store: SqlStore) -> None:
    """Fill every table with rows of every kind that its columns allow."""
    accounts = store.accounts
    await accounts.add_user(
        UserAccount(id="u", name="ada", role="admin", created_at=1.0, password="$argon2id$…")
    )
    await accounts.add_user(
        UserAccount(
            id="v", name="grace\0", role="viewer", created_at=2.0, subject="idp", disabled_at=3.25
        )
    )
    await accounts.add_sign_in(
        SignIn(
            id="s",
            token="token",
            user_id="u",
            created_at=1.0,
            seen_at=2.0,
            expires_at=3.0,
            agent="Firefox",
            address="192.0.2.1",
        )
    )
    await accounts.add_key(
        ApiKey(
            id="k",
            secret="hash",
            user_id="u",
            name="key",
            scopes=frozenset({"chat"}),
            created_at=5.0,
            used_at=None,
        )
    )
    await accounts.add_invitation(
        Invitation(
            id="i",
            token="token",
            role="user",
            created_at=1.0,
            expires_at=50.0,
            name="bob",
            user_id=None,
            made_by="u",
        )
    )
    folder = Folder(id="f", owner="u", name="\0📁", created_at=1.0)
    assert await store.folders.add_folder(folder, max_count=9)
    await store.create_conversation(
        replace(
            INFO,
            owner="u",
            tags=("b", "a"),
            pinned_at=0.1,
            folder_id="f",
            members=(Member(kind="group", id="\0👥", access="reply"),),
        )
    )
    first = TurnRecord(
        id="t",
        conversation_id="c",
        branch=0,
        depth=0,
        question_parts=(TextPart("Frage\0 \udfff"), ImagePart(url="data:,\0", name="💥")),
        created_at=-0.0,
        options=Options(system="\0"),
    )
    file = StoredFile(
        id="f",
        owner="u",
        name="a\0.csv",
        media_type="text/csv",
        size_bytes=2**40,
        sha256="0" * 64,
        created_at=0.1,
    )
    await store.files.add_file_record(file, max_owner_bytes=None)
    part = FilePart(url="upload:f", name="a.csv")
    first = replace(first, question_parts=(*first.question_parts, part))
    await store_writes.add_turn(store, first)
    await store_writes.begin(store, "t", Segment(stream="a", model="model", created_at=1e-300))
    call = ToolDelta("1", "tool", "done", '{"a":"\0"}', "💥" * 1000)
    entries = (ReasoningDelta("hm"), TextDelta("Antwort\0 " + "y😀" * 300_000), call)
    timing = Timing(first_s=0.25, reasoning_s=None, total_s=7.5)
    end = End("stop", usage=Usage(2**40, 7), timing=timing)
    await store.commit_writes([Tail(stream="a", offset=0, entries=entries, end=end)])
    await store.set_feedback("c", "t", Feedback("down", "no\0"))
    comment = TurnComment(
        id="r",
        conversation_id="c",
        turn_id="t",
        author="u",
        text="\0 💬",
        created_at=1.5,
        edited_at=2.5,
    )
    assert await store.comments.add_comment(comment, max_count=9)
    other = TurnRecord(
        id="w",
        conversation_id="c",
        branch=1,
        depth=0,
        question_parts=text_parts("waits"),
        created_at=2.0,
        is_waiting=True,
    )
    await store_writes.add_turn(store, other, Branch(id=1, parent=None, first=0, last=0))
    await store.create_conversation(
        ConversationInfo(id="live", title="", created_at=0.0, updated_at=0.0)
    )
    await store_writes.add_turn(
        store,
        TurnRecord(
            id="l",
            conversation_id="live",
            branch=0,
            depth=0,
            question_parts=text_parts("q"),
            created_at=1.0,
        ),
    )
    await store_writes.begin(store, "l", Segment(stream="grows", model="m", sanitize=True))
    await store.commit_writes([Tail(stream="grows", offset=0, entries=(TextDelta("so far"),))])
    await store.create_conversation(
        ConversationInfo(id="gone", title="deleted", created_at=0.0, updated_at=0.0)
    )
    await store.delete_conversations(["gone"], 99.0)
    await accounts.add_share(
        Share(
            id="h",
            token="token-h",
            owner="u",
            conversation_id="c",
            title="T",
            created_at=3.0,
            content='{"x": "\0"}',
        )
    )
    await store.figures.store_steps(
        [FigureStep(60, 60, '{"counts":{}}'), FigureStep(0, 3600, "{}")]
    )
    saved: dict[str, Any] = {"owner": "u", "name": "\0", "is_shared": True, "updated_at": 1.5}
    assert await store.prompts.add_items([Prompt(id="p", text="\0😀", **saved)], max_count=9)
    preset = Preset(id="s", options=Options(model="m", temperature=0.5), **saved)
    assert await store.presets.add_items([preset], max_count=9)
    await store.presets.set_default_preset("v", "s")
    administration = store.administration
    provider = StoredProvider(
        name="p", spec='{"x": "\0"}', secret="s", secret_set_at=1.0, updated_at=2.0
    )
    assert await administration.add_provider(provider, max_count=9)
    await administration.set_model_rule(ModelRule(model="m\0", is_disabled=True, price="{}"))
    banner = Banner(
        id="b",
        text="\0😀",
        severity="info",
        begins_at=1.0,
        ends_at=None,
        is_dismissible=True,
        updated_at=3.0,
    )
    assert await administration.put_banner(banner, max_count=9)
    await administration.set_default_preset("s")
    key = UsageKey(day=20_000, owner="u", model="m\0", currency="€")
    await store.usage.add_usage({key: UsageSum(answers=1, input_tokens=2, cost=0.5)})
    figures = {"seconds": 60, "at": 60, "name": "one", "figures": "{}"}
    await store._database.write(
        lambda connection: connection.execute(
            insert(metadata.tables["replica_figures"]).values(figures)
        )
    )
    await store._database.write(
        lambda connection: connection.execute(
            insert(metadata.tables["audit"]),
            [
                {
                    "at": 1.0,
                    "action": "a",
                    "user_id": "u",
                    "name": "\0",
                    "subject": "",
                    "address": "",
                }
                for _ in range(3)
            ],
        )
    )


async def contents(url: str) -> dict[str, set[tuple[Any, ...]]]:
    """All rows of the tables that a backup contains, read in the simplest way."""
    opened = create_database(url)
    await opened.open(is_server=False)
    try:
        return await opened.read(
            lambda connection: {
                table.name: {tuple(row) for row in connection.execute(select(table))}
                for table in metadata.sorted_tables
                if table.name not in ABOUT_PROCESSES and inspect(connection).has_table(table.name)
            }
        )
    finally:
        await opened.aclose()


async def filled(url: str) -> str:
    store = SqlStore(url)
    await store.open()
    await fill(store)
    await store.aclose()
    return url


async def migrated(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.aclose()


async def written(url: str, statement: Executable) -> None:
    opened = create_database(url)
    await opened.write(lambda connection: connection.execute(statement))
    await opened.aclose()


async def backup_of(url: str) -> bytes:
    file = io.BytesIO()
    await write_backup(url, file, quiet)
    return file.getvalue()


async def put(url: str, backup: bytes, *, replace: bool = False) -> Path | None:
    done = await restore_backup(url, io.BytesIO(backup), quiet, replace=replace)
    return done.aside


def files_of(url: str) -> set[str]:
    """The files of a SQLite database, without its lock file."""
    if not url.startswith("sqlite"):
        return set()
    folder = Path(url.removeprefix("sqlite:///")).parent
    return {file.name for file in folder.iterdir() if file.suffix != ".lock"}


class TestRoundTrip:
    @pytest.mark.parametrize("target", KINDS)
    async def test_all_is_found_again_in_any_database(
        self, url: str, target: str, create: Create
    ) -> None:
        before = await contents(await filled(url))
        assert all(before.values()), "something is in every table"
        there = await create(target)
        await put(there, await backup_of(url))
        assert await contents(there) == before == await contents(url)

    @pytest.mark.parametrize("target", KINDS)
    async def test_rows_about_running_servers_are_left_out(
        self, url: str, target: str, create: Create
    ) -> None:
        for one in (await filled(url), there := await create(target)):
            await migrated(one)
            row = {"id": "r", "name": "a", "beat": 1, "version": "1", "started_at": 1.0}
            await written(one, insert(metadata.tables["replicas"]).values(row))
        await put(there, await backup_of(url), replace=True)
        opened = create_database(there)
        rows = await opened.read(lambda c: c.execute(select(metadata.tables["replicas"])).all())
        await opened.aclose()
        assert rows == []

    @pytest.mark.parametrize("target", KINDS)
    async def test_it_works_as_before(self, url: str, target: str, create: Create) -> None:
        there = await create(target)
        await put(there, await backup_of(await filled(url)))
        store = SqlStore(there)
        await store.open()
        hits = await store.search_documents("ant", owner="u", cursor=None, limit=9)
        assert [hit.kind for hit in hits] == ["answer"]
        assert {
            hit.kind
            for hit in await store.search_documents("uber", owner="u", cursor=None, limit=9)
        } == {"title"}
        assert await store.interrupt_all() == 1
        await store.create_conversation(
            ConversationInfo(id="new", title="Neues", created_at=1.0, updated_at=1.0)
        )  # its row number is free
        assert len(await store.search_documents("neues", cursor=None, limit=9)) == 1
        found = await store.read_segment("a")
        assert found is not None
        assert found[0].end == End("stop", usage=Usage(2**40, 7))
        assert found[0].end.timing == Timing(first_s=0.25, total_s=7.5)
        await store.aclose()

    async def test_no_number_is_given_out_twice(self, url: str, create: Create) -> None:
        store = SqlStore(url)
        await store.open()
        for number in range(5):
            await store.create_conversation(
                ConversationInfo(id=f"c{number}", title="word", created_at=1.0, updated_at=1.0)
            )
        await store.delete_conversations(["c4", "c3"], 1.0)
        await store.purge_conversations(2.0)
        await store.aclose()
        there = await create("postgresql" if url.startswith("sqlite") else "sqlite")
        await put(there, await backup_of(url))
        after = SqlStore(there)
        await after.open()
        await after.create_conversation(
            ConversationInfo(id="c9", title="new", created_at=1.0, updated_at=1.0)
        )
        (hit,) = await after.search_documents("new", cursor=None, limit=9)
        assert hit.cursor == 6
        await after.aclose()

    async def test_an_empty_database_is_one_too(self, url: str, create: Create) -> None:
        await migrate.migrate(url)
        there = await create("sqlite")
        await put(there, await backup_of(url))
        assert not any((await contents(there)).values())

    async def test_whatever_is_said_comes_back(self, create: Create) -> None:
        source, target = await create("sqlite"), await create("postgresql")
        store = SqlStore(source)
        await store.open()
        names = iter(range(10**9))

        @settings(
            max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        @given(st.lists(st.tuples(TEXTS, TEXTS, NUMBERS), max_size=5))
        def keep(said: list[tuple[str, str, float]]) -> None:
            for title, question, at in said:
                name = f"c{next(names)}"
                info = ConversationInfo(id=name, title=title, created_at=at, updated_at=at)
                turn = TurnRecord(
                    id=f"t{name}",
                    conversation_id=name,
                    branch=0,
                    depth=0,
                    question_parts=text_parts(question),
                    created_at=at,
                )
                made.append((info, turn))

        made: list[tuple[ConversationInfo, TurnRecord]] = []
        keep()
        for info, turn in made:
            await store.add_imported(info, [Branch(id=0, parent=None, first=0, last=0)], 0, [turn])
        await store.aclose()
        assert len(made) > 40
        for there in (target, await create("sqlite")):
            await put(there, await backup_of(source))
            assert await contents(there) == await contents(source)
        # and back from PostgreSQL
        assert decoded(await backup_of(target)) == decoded(await backup_of(source))


TEXTS = st.text(st.characters(codec=None), max_size=200) | st.sampled_from(
    [
        "\0",
        "\uf8f00",
        "\ud83d",
        "'; DROP TABLE users; --",
        "\u2028\r\n",
        "😀" * 5000,
        "\ufeff",
        "\x7f",
    ]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=True, width=64)


def decoded(backup: bytes) -> tuple[list[Any], list[bytes]]:
    """The contents of a backup, without the order of rows and its time."""
    lines = gzip.decompress(backup).splitlines()
    return sorted(line for line in lines[1:-1] if line.startswith(b"[")), [
        line for line in lines[1:-1] if not line.startswith(b"[")
    ]


def _orphans(connection: Connection) -> list[Any]:
    return list(connection.execute(text("PRAGMA foreign_key_check")).all())


class TestOneMoment:
    async def test_a_backup_beside_a_writer_is_of_one_moment(
        self, url: str, create: Create
    ) -> None:
        """Two answers grow in turns, in commits of their own: neither may be ahead by two."""
        store = SqlStore(url)
        await store.open()
        for name in "ab":
            await store.create_conversation(
                ConversationInfo(id=name, title="", created_at=0.0, updated_at=0.0)
            )
            turn = TurnRecord(
                id=name,
                conversation_id=name,
                branch=0,
                depth=0,
                question_parts=text_parts("q"),
                created_at=0.0,
            )
            await store_writes.add_turn(store, turn)
            await store_writes.begin(store, name, Segment(stream=name, model="m"))
        committed = 0
        is_done = False

        async def write() -> None:
            nonlocal committed
            while not is_done:
                at = committed
                for name in "ab":
                    await store.commit_writes(
                        [Tail(stream=name, offset=at * 7, entries=(TextDelta(f"{at:06d} "),))]
                    )
                committed += 1
                made = ConversationInfo(id=f"c{at}", title="title", created_at=0.0, updated_at=0.0)
                only = TurnRecord(
                    id=f"t{at}",
                    conversation_id=made.id,
                    branch=0,
                    depth=0,
                    question_parts=text_parts("question"),
                    created_at=0.0,
                )
                await store.add_imported(
                    made, [Branch(id=0, parent=None, first=0, last=0)], 0, [only]
                )

        writing = asyncio.create_task(write())
        sizes: set[int] = set()
        for _ in range(5):
            while committed < 20 * (len(sizes) + 1):
                await asyncio.sleep(0.01)
            before = committed
            backup = await backup_of(url)
            after = committed
            there = await create("sqlite")
            await put(there, backup)
            copy = SqlStore(there)
            await copy.open()
            lengths = []
            for name in "ab":
                found = await copy.read_segment(name)
                assert found is not None
                said = "".join(e.text for e in found[0].entries if isinstance(e, TextDelta))
                assert said == "".join(f"{at:06d} " for at in range(len(said) // 7))
                lengths.append(len(said) // 7)
            assert before <= lengths[0] <= after + 1
            assert lengths[0] - lengths[1] in (0, 1)
            assert await copy._database.read(_orphans) == []
            for conversation_id, _ in await copy.list_all_conversations():
                stored = await copy.conversation(conversation_id)
                assert stored is not None
                assert len(await copy.all_turns(conversation_id, after=None, limit=9)) == 1
            sizes.add(lengths[0])
            await copy.aclose()
        is_done = True
        await writing
        await store.aclose()
        assert len(sizes) == 5


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    url = f"sqlite:///{tmp_path_factory.mktemp('damage') / 'x.db'}"

    async def make() -> bytes:
        store = SqlStore(url)
        await store.open()
        await store.create_conversation(INFO)
        await store.aclose()
        return await backup_of(url)

    return asyncio.run(make())


class TestDamage:
    def test_a_flipped_bit_is_found_wherever_it_is(self, whole: bytes) -> None:
        verify_backup(io.BytesIO(whole), quiet)
        for at in range(len(whole)):
            for bit in (1, 16, 128):
                damaged = bytearray(whole)
                damaged[at] ^= bit
                with pytest.raises(BackupError):
                    verify_backup(io.BytesIO(damaged), quiet)

    def test_a_missing_end_is_found_and_so_is_more(self, whole: bytes) -> None:
        for length in range(len(whole)):
            with pytest.raises(BackupError):
                verify_backup(io.BytesIO(whole[:length]), quiet)
        for more in (b"\0", b"\n", whole):
            with pytest.raises(BackupError):
                verify_backup(io.BytesIO(whole + more), quiet)

    async def test_no_database_is_touched_by_a_damaged_one(self, whole: bytes, url: str) -> None:
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 1
        with pytest.raises(BackupError, match="damaged"):
            await put(url, bytes(damaged))
        assert not files_of(url)

    @pytest.mark.parametrize(
        ("tables", "words"),
        [
            ({"tags": [[1]]}, "damaged"),
            ({"tags": []}, "damaged"),  # the header says one row
            ({"tags": [["c", 1, "x"], ["c", 1, "x"]]}, "damaged"),
            ({"others": [["c", 1, "x"]]}, "damaged"),
        ],
    )
    def test_a_sealed_file_whose_rows_are_others_is_found(
        self, tables: dict[str, list[Any]], words: str
    ) -> None:
        with pytest.raises(BackupError, match=words):
            verify_backup(io.BytesIO(sealed(tables)), quiet)

    def test_a_row_that_is_not_the_one_that_was_counted_is_found(self) -> None:
        good = {"tags": [["c", 1, "x"]]}
        verify_backup(io.BytesIO(sealed(good)), quiet)
        with pytest.raises(BackupError, match="damaged"):
            verify_backup(io.BytesIO(sealed(good, counted=[["c", 1, "y"]])), quiet)

    @pytest.mark.parametrize(
        "data", [b"", b"\x1f", b"\x1f\x8b", b"PK\3\4", b"SQLite format 3\0", b"{}", b"\0" * 5000]
    )
    def test_another_file_is_told(self, data: bytes) -> None:
        with pytest.raises(BackupError, match=r"is no backup of Wireside|damaged"):
            verify_backup(io.BytesIO(data), quiet)

    def test_a_newer_format_is_told(self) -> None:
        with pytest.raises(BackupError, match="version 2, which a newer Wireside"):
            verify_backup(io.BytesIO(sealed({"tags": [["c", 1, "x"]]}, version=2)), quiet)

    async def test_a_newer_revision_is_told_before_anything_is_done(self, url: str) -> None:
        await filled(url)
        before = await contents(url)
        newer = sealed({"tags": [["c", 1, "x"]]}, revision="9999")
        with pytest.raises(BackupError, match="9999, which a newer Wireside"):
            await put(url, newer, replace=True)
        assert await contents(url) == before

    async def test_a_file_of_foreign_tables_is_refused(self, url: str) -> None:
        await filled(url)
        before, files = await contents(url), files_of(url)
        with pytest.raises(BackupError, match="other tables"):
            await put(url, sealed({"tags": [["c", 1, "x"]]}), replace=True)
        assert await contents(url) == before
        assert files_of(url) == files


def sealed(
    tables: dict[str, list[Any]],
    *,
    counted: list[Any] | None = None,
    version: int = 1,
    revision: str = migrate.NEWEST,
) -> bytes:
    """A file with a valid seal, whose header lists one table: tags, with one row."""
    file = io.BytesIO()
    head = TableHead("tags", ("conversation_id", "position", "tag"), 1)
    header = BackupHeader(
        version=version, revision=revision, wireside="0", made_at="", tables=(head,), numbers={}
    )
    writer = BackupWriter(file, header)
    for name, rows in tables.items():
        found = Fingerprint()
        for row in rows if counted is None else counted:
            found.add_line(line_of(row))
        writer.write_rows([line_of(row) for row in rows])
        writer.close_table(name, found)
    writer.finish_backup()
    return file.getvalue()


class TestRestoring:
    async def test_it_refuses_a_database_that_holds_something(self, url: str) -> None:
        backup = await backup_of(await filled(url))
        before = await contents(url)
        with pytest.raises(BackupError, match="--replace"):
            await put(url, backup)
        assert await contents(url) == before

    async def test_it_refuses_a_database_that_a_server_uses(self, url: str) -> None:
        backup = await backup_of(await filled(url))
        server = SqlStore(url)
        await server.open()
        with pytest.raises(BackupError, match=r"end it.*start it again"):
            await put(url, backup, replace=True)
        await server.aclose()
        await put(url, backup, replace=True)

    async def test_replaced_is_all_that_was_there(self, url: str, create: Create) -> None:
        backup = await backup_of(await filled(await create("sqlite")))
        store = SqlStore(url)
        await store.open()
        await store.create_conversation(
            ConversationInfo(id="old", title="an old title", created_at=1.0, updated_at=1.0)
        )
        await store.aclose()
        old = await contents(url)
        for _ in range(2):
            aside = await put(url, backup, replace=True)
        store = SqlStore(url)
        await store.open()
        assert await store.conversation("old") is None
        assert await store.search_documents("old", cursor=None, limit=9) == []
        await store.aclose()
        if url.startswith("sqlite"):
            assert aside is not None
            kept = [file for file in files_of(url) if ".db." in file]
            assert len(kept) == 2  # none was overwritten
            assert old in [await contents(f"sqlite:///{aside.with_name(name)}") for name in kept]

    async def test_what_a_killed_server_left_in_the_log_is_kept_aside(self, create: Create) -> None:
        url = await create("sqlite")
        backup = await backup_of(await filled(await create("sqlite")))
        await asyncio.to_thread(run, KILLED_SERVER, url)
        log = sqlite_file(url + "-wal")
        assert log is not None
        assert size(log) > 0
        with pytest.raises(BackupError, match="--replace"):
            await put(url, backup)
        aside = await put(url, backup, replace=True)
        assert len((await contents(f"sqlite:///{aside}"))["conversations"]) == 1
        assert await backup_of(url) != b""

    async def test_a_file_that_is_no_database_can_be_replaced(self, create: Create) -> None:
        url = await create("sqlite")
        backup = await backup_of(await filled(await create("sqlite")))
        write(url, b"not a database" * 1000)
        with pytest.raises(BackupError, match="--replace"):
            await put(url, backup)
        aside = await put(url, backup, replace=True)
        assert aside is not None
        assert await asyncio.to_thread(aside.read_bytes) == b"not a database" * 1000
        assert len((await contents(url))["users"]) == 2

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
    async def test_one_that_is_killed_leaves_what_there_was(
        self, url: str, share: float, create: Create, tmp_path: Path
    ) -> None:
        backup = await backup_of(await filled(await create("sqlite")))
        (tmp_path / "backup").write_bytes(backup)
        store = SqlStore(url)
        await store.open()
        await store.create_conversation(
            ConversationInfo(id="old", title="an old title", created_at=1.0, updated_at=1.0)
        )
        await store.aclose()
        before = await contents(url)
        done = await asyncio.to_thread(run, KILLED, url, str(tmp_path / "backup"), str(share))
        assert done.returncode == -signal.SIGKILL
        assert await contents(url) == before
        await put(url, backup, replace=True)
        assert not [name for name in files_of(url) if "restoring" in name]

    async def test_one_that_is_stopped_leaves_what_there_was(self, url: str) -> None:
        backup = await backup_of(await filled(url))
        before, files = await contents(url), files_of(url)
        loop = asyncio.get_running_loop()

        def stop(done: int, total: int) -> None:
            loop.call_soon_threadsafe(task.cancel)

        task = asyncio.create_task(restore_backup(url, io.BytesIO(backup), stop, replace=True))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await contents(url) == before
        assert files_of(url) == files

    async def test_an_older_one_is_brought_up_to_date(self, url: str, create: Create) -> None:
        opened = create_database(url)
        await opened.open()

        def make(connection: Any) -> None:
            migrate.upgrade(connection, "0001")
            connection.execute(
                text(
                    "INSERT INTO conversations (id, title, title_source, created_at, updated_at,"
                    " shown) VALUES ('c', 'older', 'words', 1.5, 2.5, 0)"
                )
            )
            connection.execute(
                insert(documents),
                {
                    "ref": "c",
                    "conversation_id": "c",
                    "kind": "title",
                    "body": "older",
                    "created_at": 1,
                },
            )

        await opened.write(make)
        await opened.aclose()
        there = await create("sqlite")
        await put(there, await backup_of(url))
        store = SqlStore(there)
        await store.open_beside()  # which refuses tables that are not of this version
        stored = await store.conversation("c")
        assert stored is not None
        assert (stored.info.title, stored.info.owner) == ("older", "")
        assert len(await store.search_documents("older", cursor=None, limit=9)) == 1
        await store.aclose()

    async def test_turns_of_before_they_had_parts_come_back(self, url: str, create: Create) -> None:
        opened = create_database(url)
        await opened.open()
        tools = ('"state":"done","arguments":"","result":null}', '"state":"done","result":"x"}')

        def make(connection: Connection) -> None:
            migrate.upgrade(connection, "0007")
            connection.execute(
                text(
                    "INSERT INTO conversations (id, title, title_source, created_at, updated_at,"
                    " shown) VALUES ('c', 'older', 'words', 1, 2, 0)"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO turns (id, conversation_id, branch, depth, question, options,"
                    " created_at, is_waiting) VALUES ('t', 'c', 0, 0, 'Why?', '{}', 1, false)"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO segments (stream, turn_id, position, model, created_at, is_live)"
                    " VALUES ('s', 't', 0, 'm', 1, false)"
                )
            )
            connection.execute(
                text(
                    'INSERT INTO pieces (stream, "offset", kind, content)'
                    " VALUES ('s', :at, 2, :content)"
                ),
                [
                    {"at": at, "content": f'{{"call":"{at}","name":"f",{rest}'}
                    for at, rest in enumerate(tools, 1)
                ],
            )

        await opened.write(make)
        await opened.aclose()
        for kind in KINDS:
            there = await create(kind)
            await put(there, await backup_of(url))
            store = SqlStore(there)
            await store.open_beside()
            turn = await store.read_turn("t")
            assert turn is not None
            assert turn.question_parts == (TextPart("Why?"),)
            assert turn.answer == (
                ToolCallPart(call="1", name="f", state="requested"),
                ToolCallPart(call="2", name="f", state="done", result="x"),
            )
            await store.aclose()

    async def test_invitations_of_before_they_had_a_maker_come_back(
        self, url: str, create: Create
    ) -> None:
        opened = create_database(url)
        await opened.open()

        def make(connection: Connection) -> None:
            migrate.upgrade(connection, "0003")
            connection.execute(
                text(
                    "INSERT INTO users (id, name, role, created_at) VALUES ('u', 'ada', 'user', 1)"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO invitations (id, token, role, created_at, expires_at, name,"
                    " user_id) VALUES ('i', 'token', 'admin', 1, 2, '', NULL),"
                    " ('r', 't', 'user', 1, 2, '', 'u')"
                )
            )

        await opened.write(make)
        await opened.aclose()
        for kind in KINDS:
            there = await create(kind)
            await put(there, await backup_of(url))
            store = SqlStore(there)
            await store.open_beside()
            found = await store.accounts.invitations()
            assert sorted((one.id, one.user_id, one.made_by) for one in found) == [
                ("i", None, None),
                ("r", "u", None),
            ]
            await store.aclose()

    async def test_every_table_that_a_migration_ever_made_is_in_a_backup(self, url: str) -> None:
        opened = create_database(url)
        await opened.open()
        own = {"alembic_version", "sqlite_sequence"}
        numbers = [f"{number:04d}" for number in range(1, int(migrate.NEWEST) + 1)]
        for version in filter(migrate.is_known, numbers):
            await opened.write(partial(migrate.upgrade, to=version))
            names = await opened.read(lambda c: set(inspect(c).get_table_names()))
            mine = {name for name in names - own if not name.startswith("document_words")}
            assert mine <= set(metadata.tables)
        await opened.aclose()


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=False, env=environment)


def size(file: Path) -> int:
    return file.stat().st_size


def write(url: str, data: bytes) -> None:
    Path(url.removeprefix("sqlite:///")).write_bytes(data)


KILLED_SERVER = """
import asyncio, os, sys
from wireside.records import ConversationInfo
from wireside.store.store import SqlStore

async def main():
    store = SqlStore(sys.argv[1])
    await store.open()
    await store.create_conversation(
        ConversationInfo(id="c", title="in the log", created_at=0.0, updated_at=0.0)
    )
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""

KILLED = """
import asyncio, os, sys
from wireside.store.backup import restore_backup

def tell(done, total):
    if done >= float(sys.argv[3]) * total:
        os.kill(os.getpid(), 9)

with open(sys.argv[2], "rb") as file:
    asyncio.run(restore_backup(sys.argv[1], file, tell, replace=True))
"""


class TestBackingUp:
    async def test_a_database_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(BackupError, match="WIRESIDE_DATA_DIR"):
            await backup_of(f"sqlite:///{tmp_path / 'x.db'}")
        assert not files_of(f"sqlite:///{tmp_path / 'x.db'}")

    async def test_one_of_a_newer_wireside_is_refused(self, url: str) -> None:
        await filled(url)
        opened = create_database(url)
        await opened.open()
        newer = text("UPDATE alembic_version SET version_num = '9999'")
        await opened.write(lambda connection: connection.execute(newer))
        await opened.aclose()
        with pytest.raises(NotConfigured, match="9999, which a newer Wireside"):
            await backup_of(url)

    async def test_a_full_disk_is_told(self, url: str) -> None:
        await filled(url)
        full = io.FileIO("/dev/full", "wb")
        with full, pytest.raises(BackupError, match="No space left on device"):
            await write_backup(url, full, quiet)

    async def test_no_answer_is_told_without_the_password(self) -> None:
        with pytest.raises(BackupError, match=r"127\.0\.0\.1:9") as told:
            await backup_of("postgresql://me:secret@127.0.0.1:9/x?password=secret")
        assert "secret" not in str(told.value)

    def test_a_file_is_there_when_it_is_whole(self, tmp_path: Path) -> None:
        file = tmp_path / "backup"
        with create_file(file) as opened:
            opened.write(b"1")
            assert not file.exists()
            (part,) = tmp_path.iterdir()
            assert part.stat().st_mode & 0o777 == 0o600
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"1", 0o600)
        assert list(tmp_path.iterdir()) == [file]

    def test_a_failure_leaves_what_there_was(self, tmp_path: Path) -> None:
        file = tmp_path / "backup"
        file.write_bytes(b"old")
        with pytest.raises(ZeroDivisionError), create_file(file, force=True) as opened:
            opened.write(b"new")
            _ = 1 / 0
        assert file.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [file]

    def test_nothing_is_written_over(self, tmp_path: Path) -> None:
        file = tmp_path / "backup"
        with pytest.raises(BackupError, match="--force"), create_file(file) as opened:
            opened.write(b"1")
            file.write_bytes(b"2")  # another process was quicker
        assert file.read_bytes() == b"2"
        with pytest.raises(BackupError, match="--force"), create_file(file):
            pass
        with pytest.raises(BackupError, match="folder"), create_file(tmp_path, force=True):
            pass
        with create_file(file, force=True) as opened:
            opened.write(b"3")
        assert file.read_bytes() == b"3"

    def test_what_a_killed_one_left_is_removed_but_not_what_grows(self, tmp_path: Path) -> None:
        file = tmp_path / "[b]ackup"
        left = tmp_path / f".{file.name}.killed.part"
        left.write_bytes(b"half")
        foreign = tmp_path / ".backup.part"
        foreign.write_bytes(b"")
        with create_file(file, force=True) as first:
            assert not left.exists()
            first.write(b"1")
            with create_file(file) as second:
                second.write(b"2")
            assert file.read_bytes() == b"2"
        assert file.read_bytes() == b"1"
        assert {one.name for one in tmp_path.iterdir()} == {file.name, foreign.name}


class TestMoving:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_all_is_on_the_other_side_and_stays_on_this(
        self, url: str, kind: str, create: Create, tmp_path: Path
    ) -> None:
        await filled(url)
        before = await contents(url)
        there = await create(kind)
        told: list[tuple[int, int]] = []
        scratch = tmp_path / "scratch"
        done = await move_database(url, there, scratch, lambda *pair: told.append(pair))
        assert await contents(there) == before == await contents(url)
        assert {head.name: head.rows for head in done.header.tables} == {
            name: len(rows) for name, rows in before.items()
        }
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1]
        assert not list(scratch.iterdir())

    async def test_the_command_takes_sqlite_to_a_real_postgresql(
        self, create: Create, tmp_path: Path
    ) -> None:
        here, there = await filled(await create("sqlite")), await create("postgresql")
        before = await contents(here)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WIRESIDE_")}
        paths = {"PYTHONPATH": os.pathsep.join(sys.path), "WIRESIDE_DATA_DIR": str(tmp_path)}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "wireside", "move", "--to", "-"],
            input=f"{there}\n",
            env=clean | paths | {"WIRESIDE_DATABASE_URL": here},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert (done.returncode, done.stderr.splitlines()[-1].strip()) == (0, "100 %"), done.stderr
        assert "counts and hashes match on both sides" in done.stdout
        assert done.stdout.splitlines()[-1].strip() == setting_of(there)
        told = [line.split() for line in done.stdout.splitlines() if len(line.split()) == 2]
        assert {name: int(rows) for name, rows in told if rows.isdigit()} == {
            name: len(rows) for name, rows in before.items() if rows
        }
        rows, closings = decoded(await backup_of(there))
        assert (rows, closings) == decoded(await backup_of(here))  # with the hash of each table
        assert len(closings) >= len(before)
        assert await contents(there) == before == await contents(here)

    async def test_it_refuses_one_that_holds_something_before_any_work(
        self, url: str, create: Create, tmp_path: Path
    ) -> None:
        await filled(url)
        other = await filled(await create("sqlite"))
        for source, target in ((url, other), (other, url)):
            with pytest.raises(BackupError, match="--replace"):
                await move_database(source, target, tmp_path, never)

    async def test_it_refuses_while_a_server_runs_on_either_side(
        self, url: str, create: Create, tmp_path: Path
    ) -> None:
        await filled(url)
        server = SqlStore(url)
        await server.open()
        there = await create("sqlite")
        with pytest.raises(BackupError, match="end it"):
            await move_database(url, there, tmp_path, never)
        assert Path(there).name not in files_of(there)
        await server.aclose()
        server = SqlStore(there)
        await server.open()
        with pytest.raises(BackupError, match="end it"):
            await move_database(url, there, tmp_path, never)
        await server.aclose()

    async def test_the_same_database_is_told(self, url: str, tmp_path: Path) -> None:
        await filled(url)
        with pytest.raises(BackupError, match="same database"):
            await move_database(url, url, tmp_path, never)

    def test_no_password_is_in_what_is_said_of_a_database(self) -> None:
        url = "postgresql://me:se%63ret@host:1/x?password=secret&sslmode=require"
        assert display_name(url) == "PostgreSQL's database x at host:1"
        assert setting_of(url) == (
            "WIRESIDE_DATABASE_URL=postgresql://me:***@host:1/x?sslmode=require"
        )


def never(done: int, total: int) -> None:
    raise AssertionError("nothing was to be done")
