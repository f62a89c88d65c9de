"""A database by its URL: SQLite or PostgreSQL, one writer at a time, errors as ours.

SQLite has one writer: all writing goes through one connection, readers have their own. The driver
is ``pysqlite3``, which brings a SQLite of its own: those before 3.51.3 can corrupt a database that
two connections write or check at a time (sqlite.org/wal.html#walresetbug). Where it can't be had,
Python's own is used; only the writer writes and checks points here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import QueuePool

from wireside.errors import NotConfigured, StoreError

try:
    import pysqlite3.dbapi2 as sqlite
except ImportError:  # not every platform has a wheel
    import sqlite3 as sqlite

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # its functions are not called then

_log = structlog.get_logger(__name__)

READERS = 4

BUSY_S = 5.0
"""How long a lock of another process is waited for."""

STATEMENT_S = 15.0
"""Longest wait for PostgreSQL: a line that is dead says nothing."""

LOCK_KEY = 0x57697265736964
"""PostgreSQL's advisory lock of the one server that works on a database."""

TAKEN = (
    "Another server works on this database. End it, or give this one a database of its own:"
    " WIRESIDE_DATA_DIR, or WIRESIDE_DATABASE_URL."
)


T = TypeVar("T")
Work = Callable[[Connection], T]
"""What is done in one transaction: plain SQLAlchemy, without ``await``. On SQLite it runs in a
thread, in one go: to change threads for each statement would cost ten times as much.
"""


class Database(Protocol):
    """Runs work in transactions, of which one writes at a time."""

    is_sqlite: bool

    async def open(self, *, is_server: bool = True) -> None:
        """Connect. Raises ``NotConfigured`` when another server works on it. A command may open it
        beside one: what it does must be as good for that server.
        """

    async def write(self, work: Work[T]) -> T:
        """Do ``work`` and commit. Raises ``StoreError``; then nothing of it is done."""

    async def read(self, work: Work[T]) -> T:
        """Do ``work``, which only reads. Raises ``StoreError``."""

    async def clean(self) -> bool:
        """See to it that what was removed is in no file any more; returns whether that is so, or
        must be done again. Raises ``StoreError``.
        """

    async def aclose(self) -> None:
        """Free everything."""


def database(url: str | URL, *, statement_s: float = STATEMENT_S) -> Database:
    """Return the database of ``url``, not yet open. Raises ``NotConfigured``."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise NotConfigured(
            "WIRESIDE_DATABASE_URL is no database's address."
            " Example: WIRESIDE_DATABASE_URL=postgresql://user:password@host/wireside"
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            return Sqlite(parsed)
        case "postgresql":
            return Postgresql(parsed.set(drivername="postgresql+asyncpg"), statement_s)
        case name:
            raise NotConfigured(
                f"WIRESIDE_DATABASE_URL: {name} is not supported. Take sqlite or postgresql."
            )


class Sqlite:
    """One file, or memory (``sqlite://``) for tests."""

    is_sqlite = True

    def __init__(self, url: URL) -> None:
        self._file = Path(url.database).expanduser().absolute() if url.database else None
        self._lock: IO[str] | None = None
        self._is_closed = False
        self._writer = self._engine(is_writer=True)
        self._writing = ThreadPoolExecutor(1, "sqlite writer")
        if self._file is None:  # one connection is all there is of it
            self._readers, self._reading = self._writer, self._writing
        else:
            self._readers = self._engine(is_writer=False)
            self._reading = ThreadPoolExecutor(READERS, "sqlite reader")

    async def open(self, *, is_server: bool = True) -> None:
        """Make the file for its user alone, and keep other servers away from it."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            if is_server:
                self._take_lock(self._file.with_name(self._file.name + ".lock"))
        except OSError as error:
            raise NotConfigured(
                f"The conversations can't be kept in {self._file.parent}: {error.strerror}."
                " Set WIRESIDE_DATA_DIR to a folder that can be written."
            ) from error

    async def write(self, work: Work[T]) -> T:
        """See ``Database``."""

        def do() -> T:
            with self._writer.begin() as connection:
                return work(connection)

        return await self._in(self._writing, do)

    async def read(self, work: Work[T]) -> T:
        """See ``Database``."""

        def do() -> T:
            with self._readers.connect() as connection:
                return work(connection)

        return await self._in(self._reading, do)

    async def clean(self) -> bool:
        """Write what is in the log into the file, and empty the log."""

        def do() -> bool:
            with contextlib.closing(self._writer.raw_connection()) as connection:
                found = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not found[0]  # a reader that takes long keeps the log from being emptied

        return await self._in(self._writing, do)

    async def aclose(self) -> None:
        """See ``Database``."""
        self._is_closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for threads in (self._reading, self._writing):
            threads.shutdown()
        for engine in (self._readers, self._writer):
            engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _in(self, threads: ThreadPoolExecutor, do: Callable[[], T]) -> T:
        if self._is_closed:
            raise StoreError
        with _told():
            return await asyncio.get_running_loop().run_in_executor(threads, do)

    def _take_lock(self, file: Path) -> None:
        if fcntl is None:
            return
        self._lock = file.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            self._lock = None
            raise NotConfigured(TAKEN) from error

    def _engine(self, *, is_writer: bool) -> Engine:
        engine = create_engine(
            "sqlite:///file",  # which one it really is says the creator
            module=sqlite,
            creator=lambda: self._connect(is_writer),
            poolclass=QueuePool,
            pool_size=1 if is_writer else READERS,
            max_overflow=0,
            hide_parameters=True,  # they are what people and models wrote; errors are logged
        )
        event.listen(engine, "begin", _begin_writing if is_writer else _begin_reading)
        return engine

    def _connect(self, is_writer: bool) -> Any:
        connection = sqlite.connect(
            str(self._file) if self._file else ":memory:",
            timeout=BUSY_S,
            isolation_level=None,  # transactions begin when we say so
            check_same_thread=False,
            cached_statements=256,
        )
        for pragma in _WRITER if is_writer else _READER:
            connection.execute(f"PRAGMA {pragma}")
        return connection


_WRITER = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "cache_size=-16000",
)
_READER = ("query_only=ON", "wal_autocheckpoint=0", "cache_size=-8000")


class Postgresql:
    """A database of a server; a connection that is lost is replaced at the next call."""

    is_sqlite = False

    def __init__(self, url: URL, statement_s: float = STATEMENT_S) -> None:
        self._engine = create_async_engine(
            url,
            pool_size=8,
            max_overflow=0,
            pool_timeout=statement_s,
            hide_parameters=True,
            connect_args={
                "timeout": 5.0,
                "command_timeout": statement_s,
                "server_settings": {"application_name": "wireside", "jit": "off"},
            },
        )
        # all that one call reads is of one moment
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._lock: AsyncConnection | None = None
        self._is_closed = False

    async def open(self, *, is_server: bool = True) -> None:
        """See ``Database``."""
        taken: bool | None = True
        try:
            self._lock = await self._engine.connect()
            if is_server:
                taken = await self._lock.scalar(text(f"SELECT pg_try_advisory_lock({LOCK_KEY})"))
            await self._lock.commit()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.error("database_refused", exc_info=error)
            raise NotConfigured(
                "The database of WIRESIDE_DATABASE_URL can't be reached, or refuses this server;"
                " the log says why."
            ) from error
        if not taken:
            raise NotConfigured(TAKEN)

    async def write(self, work: Work[T]) -> T:
        """See ``Database``."""
        with _told():
            self._check()
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

    async def read(self, work: Work[T]) -> T:
        """See ``Database``."""
        with _told():
            self._check()
            async with self._reader.connect() as connection:
                return await connection.run_sync(work)

    async def clean(self) -> bool:
        """PostgreSQL's own vacuum sees to that."""
        return True

    async def aclose(self) -> None:
        """See ``Database``."""
        self._is_closed = True
        if self._lock is not None:
            with contextlib.suppress(SQLAlchemyError, OSError):
                await self._lock.close()
        await self._engine.dispose()

    def _check(self) -> None:
        if self._is_closed:  # the engine would connect again
            raise StoreError


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell what goes wrong as ``StoreError``; the details are for the log."""
    try:
        yield
    except (SQLAlchemyError, OSError, TimeoutError, sqlite.Error) as error:
        _log.warning("store_failed", error=str(getattr(error, "orig", None) or error))
        raise StoreError from error


def _begin_writing(connection: Any) -> None:
    # a deferred transaction that turns to writing later can't wait for a lock
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: Any) -> None:
    # without it each statement would see a moment of its own
    connection.exec_driver_sql("BEGIN")


def is_sqlite_mended() -> bool:
    """Return whether the SQLite in use is none of those with the bug (see the module)."""
    version: tuple[int, ...] = sqlite.sqlite_version_info
    return (
        version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    )


def sqlite_version() -> str:
    """Return the version of SQLite in use."""
    version: str = sqlite.sqlite_version
    return version


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite database, None for another one."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database).absolute()
