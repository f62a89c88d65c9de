"""Copies everything in a database to a file and back, and from one database to another.

A backup reads in one transaction: it is a consistent snapshot even while a server writes, and it
has the same format for SQLite and PostgreSQL. A restore takes effect only when everything has been
written and has the recorded hashes. PostgreSQL does so in one transaction; for SQLite, a new file
is built next to the old one and replaces it at the end.

The contents of files, which are not in the database, are the rows of one more table. Their hashes
are known, so they are written at once: a restore that fails leaves some that no file has.

The full-text index is not part of a backup: it is rebuilt by the target database.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from sqlalchemy import (
    Connection,
    Double,
    Float,
    String,
    TableClause,
    column,
    func,
    insert,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from wireside.errors import NotConfigured, StoreError
from wireside.folder_sync import sync_folder
from wireside.ports.files import ContentStore
from wireside.store import migrate, search
from wireside.store.backup_contents import CONTENTS, FileContents, RestoredContents
from wireside.store.backup_file import (
    BackupError,
    BackupHeader,
    BackupReader,
    BackupWriter,
    Fingerprint,
    Progress,
    TableHead,
    batch_lines,
    line_of,
)
from wireside.store.database import TAKEN, Database, Sqlite, Work, create_database, sqlite_file
from wireside.store.sql import is_sqlite
from wireside.store.tables import metadata
from wireside.version import __version__

T = TypeVar("T")

ROWS_AT_ONCE = 100
"""Number of rows fetched from the database at a time; a row has at most a few megabytes."""

STATEMENT_S = 600.0
"""Timeout for one statement of PostgreSQL, in seconds: counting a large table is slow."""

ABOUT_PROCESSES = frozenset(
    {"busy_slots", "keyed_requests", "replicas", "server_keys", "sign_in_attempts", "tickets"}
)
"""Tables about running servers, with their keys, which a backup does not contain."""

NUMBERED = {
    one.name: next(iter(one.primary_key)).name
    for one in metadata.sorted_tables
    if one.dialect_options["sqlite"]["autoincrement"]
}
"""Tables with an autoincrement column, which never reuses a number, and the name of that column."""


@dataclass(frozen=True, slots=True)
class Restored:
    """Result of a restore. ``aside`` is the path to which the replaced file was moved."""

    header: BackupHeader
    aside: Path | None


async def write_backup(
    url: str, file: BinaryIO, on_progress: Progress, *, contents: ContentStore | None = None
) -> BackupHeader:
    """Write a backup of the database of ``url``, and of ``contents``; a server may be running."""
    must_be_there(url)
    async with _opened_database(url, is_server=False) as opened:
        return await _stoppable(
            opened.read,
            on_progress,
            lambda connection, tell: dump_database(connection, file, tell, contents),
            url,
        )


async def restore_backup(
    url: str,
    file: BinaryIO,
    on_progress: Progress,
    *,
    replace: bool = False,
    contents: ContentStore | None = None,
) -> Restored:
    """Restore a backup into the database of ``url``, which no server may be using.

    The database must be empty unless ``replace`` is set. If the restore fails, nothing is changed.
    The contents of files are added to ``contents``; with None, they are passed over.
    """
    reader = BackupReader(file)
    if not migrate.is_known(reader.header.revision):
        raise BackupError(
            f"This backup is of the database's version {reader.header.revision}, which a newer"
            " Wireside has made. Update this one."
        )
    async with _opened_database(url, is_server=True) as opened:
        if isinstance(opened, Sqlite):
            return await _restore_file(
                url, reader, on_progress, is_replaced=replace, contents=contents
            )
        await _stoppable(
            opened.write,
            on_progress,
            lambda connection, tell: load_backup(
                connection, reader, tell, is_replaced=replace, contents=contents
            ),
            url,
        )
        return Restored(reader.header, None)


async def move_database(
    source: str, target: str, scratch: Path, on_progress: Progress, *, replace: bool = False
) -> Restored:
    """Copy everything from ``source`` to ``target``; no server may be using either.

    An unnamed file in the folder ``scratch`` holds the data in between. The contents of files stay
    where they are: both databases use them.
    """
    if display_name(source) == display_name(target):
        raise BackupError("Both are the same database: there is nothing to move.")
    must_be_there(source)
    on_both = _progress_halves(on_progress)
    with _unnamed_file(scratch) as file:
        async with _opened_database(source, is_server=True) as opened:
            await _must_be_free(target, replace=replace)  # fails before the work, not after it
            await _stoppable(
                opened.read,
                next(on_both),
                lambda conn, tell: dump_database(conn, file, tell),
                source,
            )
            # the source stays locked: later writes of a server would not be copied
            return await restore_backup(target, file, next(on_both), replace=replace)


# ---- inside one transaction --------------------------------------------------------------------


def dump_database(
    connection: Connection,
    file: BinaryIO,
    on_progress: Progress,
    contents: ContentStore | None = None,
) -> BackupHeader:
    """Write everything in the database, and ``contents``, to a backup file."""
    revision = migrate.version_of(connection)
    if revision is None:
        raise BackupError("This database holds no conversations: there is nothing to back up.")
    migrate.check_revision(revision)
    tables = _kept_tables(connection)
    found_contents = (
        FileContents.find_contents(contents, _file_hashes(connection))
        if contents is not None
        else None
    )
    heads = [
        TableHead(str(one.name), _column_names(one), _count_rows(connection, one)) for one in tables
    ]
    if found_contents is not None:
        heads.append(found_contents.table_head)
    header = BackupHeader(
        revision=revision,
        wireside=__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        tables=tuple(heads),
        numbers={
            str(one.name): _last_number(connection, one.name)
            for one in tables
            if one.name in NUMBERED
        },
    )
    writer = BackupWriter(file, header)
    done = 0
    parts = [(str(one.name), _row_lines(connection, one)) for one in tables]
    if found_contents is not None:
        parts.append((CONTENTS, found_contents.row_lines()))
    for name, all_lines in parts:
        found = Fingerprint()
        for lines in batch_lines(all_lines):
            for line in lines:
                found.add_line(line)
            writer.write_rows(lines)
            done += len(lines)
            on_progress(done, header.total_rows)
        writer.close_table(name, found)
    writer.finish_backup()
    return header


def load_backup(
    connection: Connection,
    backup: BackupReader,
    on_progress: Progress,
    *,
    is_replaced: bool = False,
    contents: ContentStore | None = None,
) -> None:
    """Load a backup into the database, verify the result, and migrate it to the current version."""
    _make_room(connection, is_replaced=is_replaced)
    migrate.upgrade(connection, backup.header.revision)
    tables = {one.name: one for one in _kept_tables(connection)}
    heads = [head for head in backup.header.tables if head.name != CONTENTS]
    restored_contents = RestoredContents(contents)
    if {head.name: head.columns for head in heads} != {
        name: _column_names(one) for name, one in tables.items()
    }:
        raise BackupError("This backup has other tables than its version: another one made it.")
    checked = sum(head.rows for head in heads)
    progress = _Steps(on_progress, backup.header.total_rows + checked + _documents(backup.header))
    for head, rows in backup.row_batches():
        if head.name == CONTENTS:
            restored_contents.write_rows(rows)
        else:
            one = tables[head.name]
            connection.execute(insert(one), [_row_values(one, row) for row in rows])
        progress.add_steps(len(rows))
    restored_contents.finish_last()
    for head in heads:
        _compare_table(
            connection=connection,
            one=tables[head.name],
            head=head,
            sha256=backup.sha256[head.name],
            progress=progress,
        )
    if backup.header.revision != migrate.NEWEST:
        if not is_sqlite(connection):  # an exhausted cursor still holds its table
            connection.execute(text("CLOSE ALL"))
        migrate.upgrade(connection)
    for name, number in backup.header.numbers.items():
        _go_on_after(connection, name, number)
    search.index_all(connection, progress.add_steps)


def _compare_table(
    connection: Connection, one: TableClause, head: TableHead, sha256: str, progress: _Steps
) -> None:
    found = Fingerprint()
    for lines in batch_lines(_row_lines(connection, one)):
        for line in lines:
            found.add_line(line)
        progress.add_steps(len(lines))
    if (found.rows, found.sha256) != (head.rows, sha256):
        raise BackupError(
            f"What the database has kept of {one.name} is not what was given to it."
            " Nothing was changed; look after its disk."
        )


def _file_hashes(connection: Connection) -> list[str]:
    """Return the hashes of all files."""
    if not inspect(connection).has_table("files"):
        return []
    statement = select(table("files", column("sha256", String)).c.sha256).distinct()
    return sorted(connection.scalars(statement))


def _own_tables(connection: Connection) -> list[TableClause]:
    """Return our tables with their current columns, parents before children."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    return [
        table(
            known.name,
            *(
                column(one["name"], one["type"])
                for one in sorted(inspector.get_columns(known.name), key=lambda one: one["name"])
                if not isinstance(one["type"], TSVECTOR)  # rebuilt on restore
            ),
        )
        for known in metadata.sorted_tables
        if known.name in there
    ]


def _kept_tables(connection: Connection) -> list[TableClause]:
    """Return the tables that a backup contains."""
    return [one for one in _own_tables(connection) if one.name not in ABOUT_PROCESSES]


def _column_names(one: TableClause) -> tuple[str, ...]:
    return tuple(str(its.name) for its in one.c)


def _row_lines(connection: Connection, one: TableClause) -> Iterator[bytes]:
    numbers = [at for at, its in enumerate(one.c) if isinstance(its.type, Double | Float)]
    statement = select(one).execution_options(yield_per=ROWS_AT_ONCE)
    for rows in connection.execute(statement).partitions():
        for row in rows:
            values = list(row)
            for at in numbers:
                values[at] = _portable_number(values[at])
            yield line_of(values)


def _portable_number(value: float | None) -> float | str | None:
    """Return a number that is the same in every database and valid in JSON."""
    if value is None:
        return None
    return value + 0.0 if math.isfinite(value) else str(value)  # SQLite has no -0.0


def _row_values(one: TableClause, row: list[Any]) -> dict[str, Any]:
    values = dict(zip(one.c.keys(), row, strict=True))
    for its in one.c:
        if isinstance(its.type, Double | Float) and isinstance(values[its.name], str):
            values[its.name] = float(values[its.name])
    return values


def _count_rows(connection: Connection, one: TableClause) -> int:
    return connection.scalar(select(func.count()).select_from(one)) or 0


def _documents(header: BackupHeader) -> int:
    return next((head.rows for head in header.tables if head.name == "documents"), 0)


def _has_content(connection: Connection) -> bool:
    return any(connection.execute(select(one).limit(1)).first() for one in _kept_tables(connection))


def _make_room(connection: Connection, *, is_replaced: bool) -> None:
    migrate.check_revision(migrate.version_of(connection))
    if not is_replaced and _has_content(connection):
        raise BackupError(NOT_EMPTY)
    for one in reversed(_own_tables(connection)):
        connection.execute(text(f"DROP TABLE {one.name}"))
    connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


def _last_number(connection: Connection, name: str) -> int:
    if is_sqlite(connection):
        last = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.scalar(last, {"name": name}) or 0
    sequence = _sequence_of(connection, name)
    row = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608  # PostgreSQL named it
    return int(row.last_value) if row.is_called else 0


def _go_on_after(connection: Connection, name: str, number: int) -> None:
    """Set the autoincrement counter of a table, so that no number is used twice."""
    own = table(name, column(NUMBERED[name]))
    number = max(number, connection.scalar(select(func.max(own.c[NUMBERED[name]]))) or 0)
    if number <= 0:
        return
    if is_sqlite(connection):
        values = {"name": name, "number": number}
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :number)"), values)
    else:
        sequence = _sequence_of(connection, name)
        connection.execute(
            text("SELECT setval(:name, :number)"), {"name": sequence, "number": number}
        )


def _sequence_of(connection: Connection, name: str) -> str:
    found = text("SELECT pg_get_serial_sequence(:name, :column)")
    return str(connection.scalar(found, {"name": name, "column": NUMBERED[name]}))


# ---- SQLite files ------------------------------------------------------------------------------


async def _restore_file(
    url: str,
    reader: BackupReader,
    on_progress: Progress,
    *,
    is_replaced: bool,
    contents: ContentStore | None,
) -> Restored:
    """Build a new file next to the old one and replace it."""
    file = _sqlite_path(url)
    has_content = await _has_content_in(file)
    if has_content and not is_replaced:
        raise BackupError(NOT_EMPTY)
    fresh = file.with_name(f"{file.name}.restoring")
    try:
        _remove_database(fresh)  # left by a killed process
        async with _opened_database(_sqlite_url(fresh), is_server=False) as opened:
            await _stoppable(
                opened.write,
                on_progress,
                lambda connection, tell: load_backup(connection, reader, tell, contents=contents),
                url,
            )
            await opened.erase_removed()
        return Restored(reader.header, _take_place(fresh, file, is_kept=has_content))
    except OSError as error:
        raise BackupError(f"{file.parent}: {error.strerror or error}.") from error
    finally:
        _remove_database(fresh)


async def _has_content_in(file: Path) -> bool:
    """Return whether a file holds data that could be lost; True if it can't be read."""
    if _is_empty_file(file):
        return False
    async with _opened_database(_sqlite_url(file), is_server=False) as opened:
        try:
            has_content = await opened.read(_has_content)
            await opened.erase_removed()  # its write-ahead log must not be applied to the new file
        except StoreError:
            return True
    return has_content


def _take_place(fresh: Path, file: Path, *, is_kept: bool) -> Path | None:
    """Replace ``file`` by ``fresh`` and keep the old file next to it.

    One of the two exists at every moment.
    """
    if file.exists():
        _give_like(fresh, file.stat())
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    aside = None
    if is_kept:
        aside = _free_path(f"{file}.{datetime.now(UTC):%Y%m%d-%H%M%S}")
        # a log that still exists belongs to a file that can't be read
        for tail in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{file}{tail}").rename(f"{aside}{tail}")
        try:
            aside.hardlink_to(file)
        except OSError:  # not every file system supports hard links
            file.replace(aside)
    else:
        _remove_log(file)
    fresh.replace(file)
    sync_folder(file.parent)
    return aside


def _free_path(name: str) -> Path:
    names = (Path(f"{name}{tail}") for tail in ("", *(f"-{number}" for number in range(2, 1000))))
    return next(path for path in names if not path.exists())


def _give_like(file: Path, like: os.stat_result) -> None:
    """Give a file the permissions of the old one: root restores for the server's user."""
    file.chmod(like.st_mode & 0o777)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(file, like.st_uid, like.st_gid)


def _is_empty_file(file: Path) -> bool:
    return not file.exists() or not file.stat().st_size


def _unnamed_file(folder: Path) -> BinaryIO:
    """Create an unnamed file, which disappears when this process ends in any way."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cast("BinaryIO", tempfile.TemporaryFile(dir=folder))
    except OSError as error:
        raise BackupError(
            f"{folder}: {error.strerror}. Set WIRESIDE_DATA_DIR to a folder that can be written."
        ) from error


def _remove_database(file: Path) -> None:
    file.unlink(missing_ok=True)
    _remove_log(file)


def _remove_log(file: Path) -> None:
    for tail in ("-wal", "-shm"):
        Path(f"{file}{tail}").unlink(missing_ok=True)


# ---- opening, cancelling, error messages -------------------------------------------------------


def display_name(url: str | URL) -> str:
    """Return a display name of a database, without password or other secrets."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return "the database"
    if parsed.get_backend_name() == "sqlite":
        return str(_sqlite_path(url)) if parsed.database else "memory"
    query = {name: value for name, value in parsed.query.items() if name in ("host", "port")}
    host = parsed.host or query.get("host") or "localhost"
    port = parsed.port or query.get("port") or 5432
    return f"PostgreSQL's database {parsed.database or parsed.username} at {host}:{port}"


def setting_of(url: str) -> str:
    """Return the setting that makes a server use a database, without the password."""
    shown = make_url(url).difference_update_query(["password", "sslpassword"])
    return f"WIRESIDE_DATABASE_URL={shown.render_as_string(hide_password=True)}"


@contextlib.asynccontextmanager
async def _opened_database(url: str | URL, *, is_server: bool) -> AsyncIterator[Database]:
    opened = create_database(url, statement_s=STATEMENT_S)
    file = _sqlite_path(url) if opened.is_sqlite else None
    is_made = file is not None and not file.exists()
    try:
        with as_backup_errors(url):
            await opened.open(is_server=is_server)
        yield opened
    finally:
        await opened.aclose()
        if is_made and file is not None and file.exists() and not file.stat().st_size:
            file.unlink()


async def _stoppable(
    run: Callable[[Work[T]], Awaitable[T]],
    on_progress: Progress,
    work: Callable[[Connection, Progress], T],
    url: str,
) -> T:
    """Run ``work``, possibly in a thread, so that it ends soon after this is cancelled."""
    is_stopped = False

    def stop_or_report(done: int, total: int) -> None:
        if is_stopped:
            raise BackupError("It was stopped.")
        on_progress(done, total)

    try:
        with as_backup_errors(url):
            return await run(lambda connection: work(connection, stop_or_report))
    except asyncio.CancelledError:
        is_stopped = True
        raise


@contextlib.contextmanager
def as_backup_errors(url: str | URL) -> Iterator[None]:
    """Convert errors of the database of ``url`` to ``BackupError`` with one sentence."""
    try:
        yield
    except BackupError:
        raise
    except StoreError as error:
        raise BackupError(_error_sentence(url, error)) from error
    except NotConfigured as error:
        if str(error) == TAKEN:
            raise BackupError(
                f"A server, or another such command, works on {display_name(url)}:"
                " end it, and start it again afterwards."
            ) from error
        if error.__cause__ is not None:
            raise BackupError(_error_sentence(url, error)) from error
        raise


def _error_sentence(url: str | URL, error: Exception) -> str:
    """Return a database's error message as one line that contains no row data."""
    cause: object = error.__cause__ or error
    if isinstance(cause, TimeoutError):
        return f"{display_name(url)} does not answer. Look whether it runs, and try again."
    if isinstance(cause, OSError):
        reason = cause.strerror or str(cause)
    else:
        lines = str(getattr(cause, "orig", None) or cause).strip().splitlines()
        reason = lines[0].partition(">: ")[2] or lines[0] if lines else type(cause).__name__
    return f"{display_name(url)} can't be used: {reason.rstrip('.')}. Nothing was changed."


async def _must_be_free(url: str, *, replace: bool) -> None:
    async with _opened_database(url, is_server=True) as opened:
        if replace:
            return
        if isinstance(opened, Sqlite):
            has_content = await _has_content_in(_sqlite_path(url))
        else:
            has_content = await _stoppable(
                opened.read, lambda done, total: None, lambda conn, _: _has_content(conn), url
            )
        if has_content:
            raise BackupError(NOT_EMPTY)


def must_be_there(url: str) -> None:
    """Raise ``BackupError`` for a missing SQLite file: opening it would create an empty one."""
    file = sqlite_file(url)
    if make_url(url).get_backend_name() == "sqlite" and (file is None or not file.exists()):
        raise BackupError(
            f"There is no database {display_name(url)}. Look at WIRESIDE_DATA_DIR and"
            " WIRESIDE_DATABASE_URL: they must be those of the server."
        )


def _sqlite_path(url: str | URL) -> Path:
    """Return the file of a SQLite database, with links resolved."""
    return Path(make_url(url).database or "").expanduser().resolve()


def _sqlite_url(file: Path) -> URL:
    return URL.create("sqlite", database=str(file))


class _Steps:
    """Combined progress of work with several parts."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self._tell = on_progress
        self._total = total
        self._done = 0

    def add_steps(self, count: int) -> None:
        """Report that ``count`` more steps are done."""
        self._done += count
        self._tell(self._done, max(self._total, self._done))


def _progress_halves(on_progress: Progress) -> Iterator[Progress]:
    """Yield two progress callbacks that add up to one: read the source, write the target."""
    for half in (0, 1):
        yield partial(_report_half, on_progress, half)


def _report_half(on_progress: Progress, half: int, done: int, total: int) -> None:
    # writing takes three times as long as reading
    share = done / max(1, total)
    on_progress(round(PARTS * (0.25 * share if half == 0 else 0.25 + 0.75 * share)), PARTS)


PARTS = 10_000
"""Total number of progress steps of a move."""

NOT_EMPTY = (
    "The database is not empty. Add `--replace` to put this in its place: an old file of SQLite is"
    " kept in the same folder, the content of PostgreSQL is deleted."
)
