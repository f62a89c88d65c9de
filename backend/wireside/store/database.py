"""Opens a database by its URL: SQLite or PostgreSQL, with one writer at a time.

SQLite allows one writer: all writes go through one connection, readers have their own. The driver
is ``pysqlite3``, which bundles its own SQLite: versions before 3.51.3 can corrupt a database when
two connections write or checkpoint at the same time (sqlite.org/wal.html#walresetbug). Where it is
not available, Python's own module is used; only the writer writes and checkpoints here.

Errors of the drivers are converted to ``StoreError``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import QueuePool

from wireside.errors import NotConfigured, StoreError, missing_extra
from wireside.file_lock import lock_file
from wireside.store.ballast import Ballast, is_disk_full

try:
    import pysqlite3.dbapi2 as sqlite
except ImportError:  # not every platform has a wheel
    import sqlite3 as sqlite

_log = structlog.get_logger(__name__)

READERS = 4

LOCK_POLL_S = 0.1
"""Delay between two attempts to lock a database that another server uses, in seconds."""

BUSY_S = 5.0
"""Timeout for a lock held by another process, in seconds."""

STATEMENT_S = 15.0
"""Timeout for a statement of PostgreSQL, in seconds: a dead connection does not report itself."""

LOCK_KEY = 0x57697265736964
"""PostgreSQL's advisory lock, held by the one server that uses a database."""

OPERATIONAL = ("08", "53", "57", "58")
"""Classes of SQLSTATE about the server: connections, resources, operators, system errors."""

TAKEN = (
    "Another server works on this database. End it, or give this one a database of its own:"
    " WIRESIDE_DATA_DIR, or WIRESIDE_DATABASE_URL."
)


FULL = "The disk is full: free some space."
GONE = (
    "The database's file is not where it was. Put it back; if it is lost, look in its folder for a"
    " copy, and start the server again."
)
"""Instructions for the operator, reported by the readiness check."""

NOT_READ = "The server can't read what it has stored at the moment. Please try again."
NO_ROOM = (
    "The server's disk is full, so this can't be saved now. Its administrator must free space."
)

T = TypeVar("T")
Work = Callable[[Connection], T]
"""Work done in one transaction: plain SQLAlchemy, without ``await``.

On SQLite it runs in a thread as a whole: switching threads for each statement would cost ten times
as much.
"""


class Database(Protocol):
    """Runs work in transactions, with one writer at a time."""

    is_sqlite: bool

    problem: str | None
    """What the operator must do about the database, as a sentence."""

    async def open(self, *, is_server: bool = True, wait_s: float = 0) -> None:
        """Connect. A command may open a database that a server uses; its changes must suit both.

        Args:
            is_server: lock the database, so that one server at a time uses it.
            wait_s: seconds to wait for another server to release the database.

        Raises:
            NotConfigured: another server still uses it, or it can't be reached.
        """

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` and commit. Raises ``StoreError``; the transaction is rolled back then."""

    async def read(self, work: Work[T]) -> T:
        """Run ``work``, which must only read. Raises ``StoreError``."""

    async def erase_removed(self) -> bool:
        """Erase removed data from all files.

        Returns False if it must be tried again. Raises ``StoreError``.
        """

    async def look_after(self) -> None:
        """Detect and clear problems, and repair what can be repaired; call it every few seconds."""

    async def aclose(self) -> None:
        """Close all connections."""


async def _acquire_lock(take_lock: Callable[[], Awaitable[bool]], wait_s: float) -> None:
    """Lock a database, waiting up to ``wait_s`` seconds. Raises ``NotConfigured``."""
    deadline = time.monotonic() + wait_s
    is_waiting = False
    while not await take_lock():
        if time.monotonic() >= deadline:
            raise NotConfigured(TAKEN)
        if not is_waiting:
            is_waiting = True
            _log.warning("database_in_use", waiting_s=wait_s, remedy=TAKEN)
        await asyncio.sleep(LOCK_POLL_S)
    if is_waiting:
        _log.info("database_released")


def create_database(
    url: str | URL,
    *,
    ballast_bytes: int | None = None,
    busy_s: float = BUSY_S,
    statement_s: float = STATEMENT_S,
) -> Database:
    """Return the database of ``url``, not yet opened. Raises ``NotConfigured``.

    ``ballast_bytes`` is for a server: the size of the reserve file that is deleted when the disk is
    full, 0 for none. ``busy_s`` is SQLite's timeout for a lock of another process, ``statement_s``
    PostgreSQL's for a statement, both in seconds.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise NotConfigured(
            "WIRESIDE_DATABASE_URL is no database's address."
            " Example: WIRESIDE_DATABASE_URL=postgresql://user:password@host/wireside"
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            return Sqlite(parsed, ballast_bytes, busy_s=busy_s)
        case "postgresql":
            if find_spec("asyncpg") is None:
                raise missing_extra("WIRESIDE_DATABASE_URL=postgresql://…", "postgres")
            return Postgresql(parsed.set(drivername="postgresql+asyncpg"), statement_s)
        case name:
            raise NotConfigured(
                f"WIRESIDE_DATABASE_URL: {name} is not supported. Take sqlite or postgresql."
            )


class Sqlite:
    """A SQLite file, or an in-memory database (``sqlite://``) for tests."""

    is_sqlite = True

    def __init__(
        self, url: URL, ballast_bytes: int | None = None, *, busy_s: float = BUSY_S
    ) -> None:
        self._busy_s = busy_s
        self._file = Path(url.database).expanduser().absolute() if url.database else None
        self._ballast: Ballast | None = None
        if self._file is not None and ballast_bytes is not None:
            ballast = self._file.with_name(self._file.name + ".ballast")
            self._ballast = Ballast(ballast, ballast_bytes)
        self._identity: tuple[int, int] | None = None
        """Device and inode of the opened file, whatever its current name."""
        self.problem: str | None = None
        self._lock: IO[str] | None = None
        self._is_closed = False
        self._engine = _sqlite_engine(lambda: self._connect_driver(is_writer=True), 1)
        self._connection: Connection | None = None
        """The only connection that writes, used by the writer's thread alone."""
        self._writing = _Thread("sqlite writer")
        self._readers = _sqlite_engine(lambda: self._connect_driver(is_writer=False), READERS)
        event.listen(self._readers, "begin", _begin_reading)
        self._reading = ThreadPoolExecutor(READERS, "sqlite reader")

    async def open(self, *, is_server: bool = True, wait_s: float = 0) -> None:
        """Create the file with permissions for its user alone, and lock out other servers."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            self._identity = _file_identity(self._file)
            if is_server:
                await _acquire_lock(self._take_lock, wait_s)
        except OSError as error:
            raise NotConfigured(
                f"The conversations can't be kept in {self._file.parent}: {error.strerror}."
                " Set WIRESIDE_DATA_DIR to a folder that can be written."
            ) from error
        if is_server:
            await asyncio.to_thread(self._make_ballast)

    async def write(self, work: Work[T]) -> T:
        """See ``Database``."""
        return await self._write_in_thread(work)

    async def read(self, work: Work[T]) -> T:
        """See ``Database``."""
        if self._file is None:  # an in-memory database has a single connection
            return await self._write_in_thread(work, NOT_READ)

        def run_on_reader() -> T:
            with self._readers.connect() as connection:
                return work(connection)

        loop = asyncio.get_running_loop()
        with self._as_store_error(NOT_READ):
            return await loop.run_in_executor(self._reading, self._with_room, run_on_reader)

    async def erase_removed(self) -> bool:
        """Checkpoint the write-ahead log into the file, and truncate it."""

        def truncate_log() -> bool:
            found = self._driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not found[0]  # a long-running reader prevents the truncation

        return await self._in_writer(truncate_log)

    async def look_after(self) -> None:
        """See ``Database``: checks that the file exists and the disk has room."""
        if self._file is None or self._is_closed:
            return
        with contextlib.suppress(StoreError):
            await self._in_writer(self._check_recovered)

    async def aclose(self) -> None:
        """See ``Database``."""
        self._is_closed = True
        await asyncio.to_thread(self._close_connections)

    def _close_connections(self) -> None:
        self._reading.shutdown()
        self._writing.end_thread()
        if self._connection is not None:
            self._connection.close()
        for engine in (self._readers, self._engine):
            engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _write_in_thread(self, work: Work[T], sentence: str | None = None) -> T:
        def run_transaction() -> T:
            self._check_file()
            with _transaction(self._driver_connection):
                return work(self._writer_connection)

        return await self._in_writer(run_transaction, sentence)

    async def _in_writer(self, do: Callable[[], T], sentence: str | None = None) -> T:
        with self._as_store_error(sentence):
            return await self._writing.call_in_thread(lambda: self._with_room(do))

    @contextlib.contextmanager
    def _as_store_error(self, sentence: str | None) -> Iterator[None]:
        if self._is_closed:
            raise StoreError(sentence)
        with _as_store_errors(sentence):
            try:
                yield
            except (SQLAlchemyError, sqlite.Error) as error:
                if self.problem == FULL:
                    raise StoreError(NO_ROOM) from error
                raise

    @property
    def _writer_connection(self) -> Connection:
        """The connection of the writer's thread, in a transaction that SQLAlchemy does not end.

        Those of the database are begun and ended by ``_transaction``: taking a connection from a
        pool and its bookkeeping of transactions cost more than the commit of a token.
        """
        if self._connection is None:
            self._connection = self._engine.connect()
        if not self._connection.in_transaction():  # at first, and after work that has rolled back
            self._connection.begin()
        return self._connection

    @property
    def _driver_connection(self) -> Any:
        """The driver's connection behind ``_writer_connection``."""
        return self._writer_connection.connection.driver_connection

    def _with_room(self, do: Callable[[], T]) -> T:
        """Run ``do``; retry once if the disk was full and the ballast could be given up."""
        try:
            return do()
        except (SQLAlchemyError, sqlite.Error) as error:
            if not self._gave_up_ballast(error):
                raise
        return do()

    def _gave_up_ballast(self, error: Exception) -> bool:
        said = str(getattr(error, "orig", None) or error)
        if self._file is None or self._ballast is None:
            return False
        is_reported = "disk is full" in said
        may_be = "disk I/O error" in said or "unable to open" in said  # e.g. its shared memory
        if not is_reported and not (may_be and is_disk_full(self._file.parent)):
            return False
        if self.problem != FULL:
            self.problem = FULL
            _log.error("disk_full", folder=str(self._file.parent), remedy=FULL)
        had_some = self._ballast.delete_file()
        if had_some:
            _log.warning("ballast_given_up")
        return had_some

    def _check_recovered(self) -> None:
        self._check_file()
        if self.problem == GONE:
            self.problem = None
            _log.warning("database_is_back")
        if self._file is None or self._ballast is None or not self._ballast.has_space_left():
            return
        # with a quota, the free space of the disk says little
        if (
            self._ballast.create_file()
            and self.problem == FULL
            and not is_disk_full(self._file.parent)
        ):
            self.problem = None
            _log.warning("disk_has_room")

    def _make_ballast(self) -> None:
        if self._ballast is not None and not self._ballast.create_file():
            _log.warning("no_ballast", reason="there is no room for it")

    def _check_file(self) -> None:
        """Raise ``OSError`` if the file was removed or replaced. Must run on the writer's thread.

        Data written to it would be lost, which would not be noticed before the next start.
        """
        if self._has_same_file():
            return
        if self.problem != GONE and self._file is not None:
            self.problem = GONE
            _log.error("database_gone", file=str(self._file), remedy=GONE)
            self._rescue_file(self._file)
        raise FileNotFoundError(GONE)

    def _has_same_file(self) -> bool:
        if self._file is None or self._identity is None:
            return True
        try:
            return _file_identity(self._file) == self._identity
        except OSError:
            return False

    def _rescue_file(self, lost: Path) -> None:
        """Copy the deleted file while it is still open; it is lost when the process ends."""
        copy = lost.with_name(f"{lost.name}.rescued-{time.time():.0f}")
        try:
            copy.touch(mode=0o600)
            self._driver_connection.execute("VACUUM INTO ?", (str(copy),))
        except (OSError, SQLAlchemyError, sqlite.Error) as error:
            _log.error("database_not_rescued", error=str(error))
            with contextlib.suppress(OSError):
                copy.unlink(missing_ok=True)
        else:
            _log.warning("database_rescued", file=str(copy))

    async def _take_lock(self) -> bool:
        if self._file is None:
            return True
        if self._lock is None:
            self._lock = self._file.with_name(self._file.name + ".lock").open("w")
        return lock_file(self._lock.fileno(), wait=False)

    def _connect_driver(self, *, is_writer: bool) -> Any:
        if not self._has_same_file():  # opening would create an empty file
            raise FileNotFoundError(GONE)
        connection = sqlite.connect(
            str(self._file) if self._file else ":memory:",
            timeout=self._busy_s,
            isolation_level=None,  # transactions are started explicitly
            check_same_thread=False,
            cached_statements=256,
        )
        for pragma in _WRITER if is_writer else _READER:
            connection.execute(f"PRAGMA {pragma}")
        return connection


def copy_file(source: Path, target: Path) -> None:
    """Copy what is committed in an SQLite database to a new file.

    Not by another SQLite library: when that closes the file, all locks of the process on it are
    gone, also those of the store.
    """
    with (
        contextlib.closing(sqlite.connect(source)) as read,
        contextlib.closing(sqlite.connect(target)) as written,
    ):
        read.backup(written)


_WRITER = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "cache_size=-16000",
)
_READER = ("query_only=ON", "wal_autocheckpoint=0", "cache_size=-8000")


class _Thread:
    """A thread that runs functions in the order of their calls.

    A ``ThreadPoolExecutor`` of one thread does the same at twice the cost of a call, which is a
    good part of that of a commit.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = Thread(target=self._run_calls, name=name, daemon=True)
        self._is_started = False

    async def call_in_thread(self, do: Callable[[], T]) -> T:
        """Call ``do`` in the thread, unless the caller is cancelled before its turn."""
        if not self._is_started:
            self._thread.start()
            self._is_started = True
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._calls.put((do, loop, result))
        return await result

    def end_thread(self) -> None:
        """Wait until all calls are done, and end the thread."""
        self._calls.put(None)
        if self._is_started:
            self._thread.join()

    def _run_calls(self) -> None:
        while (call := self._calls.get()) is not None:
            do, loop, result = call
            if result.cancelled():
                continue
            error: BaseException | None = None
            value: Any = None
            try:
                value = do()
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_resolve_future, result, value, error)
            del call, do, result, value, error


_Call = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


def _resolve_future(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():  # its caller was cancelled
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


def _sqlite_engine(connect: Callable[[], Any], size: int) -> Engine:
    return create_engine(
        "sqlite:///file",  # ``connect`` selects the file
        module=sqlite,
        creator=connect,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # parameters contain user and model text; errors are logged
    )


class Postgresql:
    """A PostgreSQL database; a lost connection is replaced on the next call."""

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
        # gives each call a consistent snapshot
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._lock: AsyncConnection | None = None
        self._is_server = False
        self.problem: str | None = None
        self._is_closed = False

    async def open(self, *, is_server: bool = True, wait_s: float = 0) -> None:
        """See ``Database``."""
        self._is_server = is_server
        try:
            await _acquire_lock(self._take_lock, wait_s)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.error("database_refused", exc_info=error)
            raise NotConfigured(
                "The database of WIRESIDE_DATABASE_URL can't be reached, or refuses this server;"
                " the log says why."
            ) from error

    async def write(self, work: Work[T]) -> T:
        """See ``Database``."""
        with _as_store_errors():
            self._check_open()
            if self.problem == TAKEN:
                raise StoreError
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

    async def read(self, work: Work[T]) -> T:
        """See ``Database``."""
        with _as_store_errors(NOT_READ):
            self._check_open()
            async with self._reader.connect() as connection:
                return await connection.run_sync(work)

    async def erase_removed(self) -> bool:
        """Return True: PostgreSQL's vacuum removes deleted data."""
        return True

    async def look_after(self) -> None:
        """See ``Database``: a restarted PostgreSQL has lost the server's lock."""
        if self._lock is None or self._is_closed:
            return
        try:
            await self._lock.scalar(text("SELECT 1"))
            await self._lock.commit()
            if self.problem is None:
                return
        except (SQLAlchemyError, OSError, TimeoutError):
            await self._drop_lock()
        with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
            is_ours = await self._take_lock()
            if is_ours:
                _log.warning("database_lock_again")
            elif self.problem is None:
                _log.error("database_taken", remedy=TAKEN)
            self.problem = None if is_ours else TAKEN

    async def _take_lock(self) -> bool:
        if self._lock is None or self._lock.closed:
            self._lock = await self._engine.connect()
        taken = True
        if self._is_server:
            take = text(f"SELECT pg_try_advisory_lock({LOCK_KEY})")
            taken = bool(await self._lock.scalar(take))
        await self._lock.commit()
        return taken

    async def _drop_lock(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
                await self._lock.invalidate()
            with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
                await self._lock.close()

    async def aclose(self) -> None:
        """See ``Database``."""
        self._is_closed = True
        if self._lock is not None:
            with contextlib.suppress(SQLAlchemyError, OSError):
                await self._lock.close()
        await self._engine.dispose()

    def _check_open(self) -> None:
        if self._is_closed:  # the engine would reconnect
            raise StoreError


@contextlib.contextmanager
def _as_store_errors(sentence: str | None = None) -> Iterator[None]:
    """Convert database errors to ``StoreError``; the details are logged."""
    try:
        yield
    except (SQLAlchemyError, OSError, TimeoutError, sqlite.Error) as error:
        _log.warning("store_failed", error=_loggable_part(error))
        raise StoreError(sentence) from error


def _loggable_part(error: Exception) -> str:
    """Return the part of an error that may be logged.

    PostgreSQL and its driver quote rows and arguments, which contain user and model text.
    """
    driver = getattr(error, "orig", None)
    if driver is None or isinstance(driver, sqlite.Error):
        return str(driver or error)
    state: str = getattr(driver, "sqlstate", None) or ""
    if state.startswith(OPERATIONAL):
        return str(driver)
    return f"{type(driver.__cause__ or driver).__name__} {state}".rstrip()


def _file_identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _transaction(driver: Any) -> Iterator[None]:
    # a deferred transaction that writes later can't wait for a lock
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        if driver.in_transaction:  # the work may have rolled back
            driver.execute("COMMIT")
    except BaseException:
        if driver.in_transaction:
            driver.execute("ROLLBACK")
        raise


def _begin_reading(connection: Connection) -> None:
    # otherwise each statement would read a different snapshot
    connection.exec_driver_sql("BEGIN")


def is_sqlite_mended() -> bool:
    """Return whether the SQLite in use is free of the bug described at the top of the module."""
    version: tuple[int, ...] = sqlite.sqlite_version_info
    return (
        version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    )


def sqlite_version() -> str:
    """Return the version of the SQLite in use."""
    version: str = sqlite.sqlite_version
    return version


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite database; None for other databases."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database).expanduser().absolute()
