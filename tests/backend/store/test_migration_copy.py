"""Databases of earlier versions: migrated, copied before, and compared with this version."""

from __future__ import annotations

import gzip
import shutil
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from tests.backend.store.make_database import ANSWER, QUESTIONS
from wireside.cli.main import DATABASE_NEWER, MIGRATION_PENDING, app
from wireside.parts import text_of
from wireside.store import migrate, migration_copy
from wireside.store.database import create_database
from wireside.store.migration_copy import copies_of
from wireside.store.store import SqlStore

DATABASES = Path(__file__).with_name("databases")
VERSIONS = [file.name.partition(".")[0] for file in sorted(DATABASES.iterdir())]
OLD = [version for version in VERSIONS if version != migrate.NEWEST]


def unpack(version: str, folder: Path) -> Path:
    """Write the database of a version as a server has left it."""
    file = folder / "wireside.db"
    file.write_bytes(gzip.decompress((DATABASES / f"{version}.db.gz").read_bytes()))
    return file


async def migrate_file(file: Path, *, migration_copies: int = 2) -> list[Any]:
    """Open a store as a server does; return its log."""
    with capture_logs() as lines:
        store = SqlStore(f"sqlite:///{file}", migration_copies=migration_copies)
        await store.open()
        await store.aclose()
    return lines


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def version_of(file: Path) -> str | None:
    database = create_database(f"sqlite:///{file}")
    await database.open(is_server=False)
    try:
        return await database.read(migrate.version_of)
    finally:
        await database.aclose()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_database_of_an_earlier_version_keeps_its_conversation(
    version: str, tmp_path: Path
) -> None:
    store = SqlStore(f"sqlite:///{unpack(version, tmp_path)}")
    await store.open()
    try:
        ((conversation_id, _),) = await store.list_all_conversations()
        stored = await store.conversation(conversation_id)
        assert stored is not None
        turns = await store.all_turns(conversation_id, after=None, limit=9)
        assert tuple(turn.question for turn in turns) == QUESTIONS
        assert [text_of(turn.answer) for turn in turns] == [ANSWER, ANSWER]
    finally:
        await store.aclose()


@pytest.mark.parametrize("version", OLD)
async def test_a_migration_leaves_a_copy_of_the_version_before(
    version: str, tmp_path: Path
) -> None:
    file = unpack(version, tmp_path)
    lines = await migrate_file(file)
    (copy,) = copies_of(file)
    assert copy.name.startswith(f"wireside.db.{version}-20")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {line["event"] for line in lines} >= {"migration_copied"}
    assert await version_of(file) == migrate.NEWEST
    assert await version_of(copy) == version
    shutil.copy(copy, file)  # a roll-back
    assert await version_of(file) == version
    assert not any(name.endswith(".part") for name in names_in(tmp_path))


async def test_a_database_of_this_version_and_a_new_one_are_not_copied(tmp_path: Path) -> None:
    file = tmp_path / "wireside.db"
    for _ in range(2):
        await migrate_file(file)
    assert copies_of(file) == []


async def test_the_oldest_copies_are_removed(tmp_path: Path) -> None:
    file = unpack(OLD[0], tmp_path)
    older = [
        tmp_path / f"wireside.db.{name}"
        for name in ("0002-20260101-000000", "0001-20270101-000000")
    ]
    backup = tmp_path / "wireside.db.20260101-000000"  # one of `wireside restore --replace`
    for kept in (*older, backup):
        kept.touch()
    await migrate_file(file, migration_copies=2)
    assert older[0] not in copies_of(file)
    assert older[1] in copies_of(file)
    assert len(copies_of(file)) == 2
    assert backup.exists()


async def test_no_copy_is_made_where_none_is_kept(tmp_path: Path) -> None:
    file = unpack(OLD[0], tmp_path)
    await migrate_file(file, migration_copies=0)
    assert copies_of(file) == []
    assert await version_of(file) == migrate.NEWEST


async def test_too_little_space_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = unpack(OLD[0], tmp_path)
    usage = shutil.disk_usage(tmp_path)
    little = usage._replace(free=file.stat().st_size)
    monkeypatch.setattr(migration_copy.shutil, "disk_usage", lambda _: little)  # type: ignore[attr-defined]
    lines = await migrate_file(file)
    (warning,) = [line for line in lines if line["event"] == "migration_not_copied"]
    assert (warning["log_level"], warning["needed_mb"]) == ("warning", 1)
    assert copies_of(file) == []
    assert await version_of(file) == migrate.NEWEST


async def test_a_copy_that_fails_is_a_warning_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(migration_copy, "copy_file", fail)
    file = unpack(OLD[0], tmp_path)
    lines = await migrate_file(file)
    (warning,) = [line for line in lines if line["event"] == "migration_not_copied"]
    assert warning["reason"] == "no space left"
    assert names_in(tmp_path) == {"wireside.db", "wireside.db.lock"}
    assert await version_of(file) == migrate.NEWEST


def run_check(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WIRESIDE_DATA_DIR", str(folder))
    monkeypatch.delenv("WIRESIDE_DATABASE_URL", raising=False)
    result = CliRunner().invoke(app, ["migrate", *words])
    return result.exit_code, result.output


def test_the_command_says_what_it_would_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_check(monkeypatch, tmp_path, "--check")[0] == MIGRATION_PENDING
    assert list(tmp_path.iterdir()) == []
    file = unpack(OLD[-1], tmp_path)
    before = file.read_bytes()
    code, said = run_check(monkeypatch, tmp_path, "--check")
    assert code == MIGRATION_PENDING
    assert OLD[-1] in said
    assert migrate.NEWEST in said
    assert file.read_bytes() == before
    assert run_check(monkeypatch, tmp_path)[0] == 0
    assert len(copies_of(file)) == 1
    assert run_check(monkeypatch, tmp_path, "--check")[0] == 0


async def test_a_newer_database_has_an_exit_code_of_its_own(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store._database.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE alembic_version SET version_num = '9999'"
        )
    )
    await store.aclose()
    assert await migrate.compare_schema(url) == ("newer", "9999")
    assert DATABASE_NEWER not in (0, 1, 2, MIGRATION_PENDING)


async def test_states_of_a_database(url: str) -> None:
    assert await migrate.compare_schema(url) == ("pending", None)
    database = create_database(url)
    await database.open()
    await database.write(partial(migrate.upgrade, to="0009"))
    await database.aclose()
    assert await migrate.compare_schema(url) == ("pending", "0009")
    await migrate.migrate(url)
    assert await migrate.compare_schema(url) == ("current", migrate.NEWEST)
