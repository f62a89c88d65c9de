"""Opens a database by its URL: SQLite or PostgreSQL, with one writer at a time.

SQLite allows one writer: all writes go through one connection, readers have their own. The driver
is ``pysqlite3``, which bundles its own SQLite: versions before 3.51.3 can corrupt a database when
two connections write or checkpoint at the same time (sqlite.org/wal.html#walresetbug). Where it is
not available, Python's own module is used; an old version of it is checkpointed by the writer.

Errors of the drivers are converted to ``StoreError``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from wireside.errors import NotConfigured, NotStorable, StoreError, missing_extra
from wireside.file_lock import lock_file
from wireside.store.ballast import Ballast, is_disk_full

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

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

IDLE_MS = "10000"
"""Timeout for a transaction of a replica between two statements, in milliseconds.

A busy replica may take seconds to index what it writes in one. A frozen one holds what it has
locked until then; ``SqlReplicas`` does not wait so long where that prevents its removal.
"""

POOL_SIZE = 8
"""Most connections to PostgreSQL that calls use at a time."""

LOCK_KEY = 0x57697265736964
"""PostgreSQL's advisory lock, held by the server that uses a database, or shared by several."""

CHECKPOINT_S = 1.0
"""Delay of a checkpoint after the commit that it follows, in seconds."""

MAX_LOG_FRAMES = 16_000
"""Number of pages in the write-ahead log, some 64 MB, above which the writer checkpoints too."""

DATABASE_ERRORS = (SQLAlchemyError, OSError, TimeoutError, sqlite.Error)

OPERATIONAL = ("08", "53", "57", "58")
"""Classes of SQLSTATE about the server: connections, resources, operators, system errors."""

VALUE = ("22", "23", "54")
"""Classes of SQLSTATE about a value: data, constraints, limits."""

TAKEN = (
    "Another server works on this database. End it, or give this one a database of its own:"
    " WIRESIDE_DATA_DIR, or WIRESIDE_DATABASE_URL."
    " To share a PostgreSQL database, set WIRESIDE_REPLICAS=true for each server."
)

NOT_SHARED = (
    "WIRESIDE_REPLICAS: several servers can share a PostgreSQL database, not a SQLite file."
    " Set WIRESIDE_DATABASE_URL=postgresql://…, or unset WIRESIDE_REPLICAS."
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

    file: Path | None
    """The file of a SQLite database; None in memory and for PostgreSQL."""

    problem: str | None
    """What the operator must do about the database, as a sentence."""

    async def open(self, *, is_server: bool = True, wait_s: float = 0) -> None:
        """Connect. A command may open a database that a server uses; its changes must suit both.

        Args:
            is_server: lock the database, so that one server at a time uses it, or several that
                share it.
            wait_s: seconds to wait for another server to release the database.

        Raises:
            NotConfigured: another server still uses it, or it can't be reached.
        """

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` and commit. Raises ``StoreError``; the transaction is rolled back then."""

    async def execute_one(self, work: Work[T]) -> T:
        """Run ``work``, which executes one statement, and commit. Raises ``StoreError``.

        The statement is a transaction of its own: PostgreSQL gets and commits it in one round trip,
        and SQLite's driver is called once instead of three times.
        """

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
    is_shared: bool = False,
    busy_s: float = BUSY_S,
    statement_s: float = STATEMENT_S,
) -> Database:
    """Return the database of ``url``, not yet opened. Raises ``NotConfigured``.

    ``ballast_bytes`` is for a server: the size of the reserve file that is deleted when the disk is
    full, 0 for none. ``is_shared`` is for a server too: whether others like it may use the
    database. ``busy_s`` is SQLite's timeout for a lock of another process, ``statement_s``
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
            if is_shared:
                raise NotConfigured(NOT_SHARED)
            return Sqlite(parsed, ballast_bytes, busy_s=busy_s)
        case "postgresql":
            if find_spec("asyncpg") is None:
                raise missing_extra("WIRESIDE_DATABASE_URL=postgresql://…", "postgres")
            return Postgresql(postgresql_address(parsed), statement_s, is_shared=is_shared)
        case name:
            raise NotConfigured(
                f"WIRESIDE_DATABASE_URL: {name} is not supported. Take sqlite or postgresql."
            )


def postgresql_address(url: str | URL) -> URL:
    """Return the address of a PostgreSQL database with its driver."""
    return make_url(url).set(drivername="postgresql+asyncpg")


class Sqlite:
    """A SQLite file, or an in-memory database (``sqlite://``) for tests."""

    is_sqlite = True

    def __init__(
        self, url: URL, ballast_bytes: int | None = None, *, busy_s: float = BUSY_S
    ) -> None:
        self._busy_s = busy_s
        self.file = Path(url.database).expanduser().absolute() if url.database else None
        self._ballast: Ballast | None = None
        if self.file is not None and ballast_bytes is not None:
            ballast = self.file.with_name(self.file.name + ".ballast")
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
        self._checkpoints: _Checkpoints | None = None
        if self.file is not None and is_sqlite_mended():
            self._checkpoints = _Checkpoints(self._connect_checkpoints, self._has_same_file)
        self._readers = _sqlite_engine(lambda: self._connect_driver(is_writer=False), READERS)
        event.listen(self._readers, "begin", _begin_reading)
        self._reading = ThreadPoolExecutor(READERS, "sqlite reader")

    async def open(self, *, is_server: bool = True, wait_s: float = 0) -> None:
        """Create the file with permissions for its user alone, and lock out other servers."""
        if self.file is None:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.file.touch(mode=0o600)
            self._identity = _file_identity(self.file)
            if is_server:
                await _acquire_lock(self._take_lock, wait_s)
        except OSError as error:
            raise NotConfigured(
                f"The conversations can't be kept in {self.file.parent}: {error.strerror}."
                " Set WIRESIDE_DATA_DIR to a folder that can be written."
            ) from error
        if is_server:
            await asyncio.to_thread(self._make_ballast)

    async def write(self, work: Work[T]) -> T:
        """See ``Database``."""
        return await self._write_in_thread(work)

    async def execute_one(self, work: Work[T]) -> T:
        """See ``Database``."""

        def run_statement() -> T:
            self._check_file()
            result = work(self._writer_connection)
            self._note_commit()
            return result

        return await self._in_writer(run_statement)

    async def read(self, work: Work[T]) -> T:
        """See ``Database``."""
        if self.file is None:  # an in-memory database has a single connection
            return await self._write_in_thread(work, NOT_READ)

        def run_on_reader() -> T:
            with self._readers.connect() as connection:
                return work(connection)

        if self._is_closed:
            raise StoreError(NOT_READ)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reading, self._with_room, run_on_reader)
        except DATABASE_ERRORS as error:
            raise self._store_error(error, NOT_READ) from error

    async def erase_removed(self) -> bool:
        """Checkpoint the write-ahead log into the file, and truncate it."""

        def truncate_log() -> bool:
            with self._checkpoints.lock if self._checkpoints else contextlib.nullcontext():
                busy, *_ = _checkpoint(self._driver_connection, "TRUNCATE")
            return not busy  # a long-running reader prevents the truncation

        return await self._in_writer(truncate_log)

    async def look_after(self) -> None:
        """See ``Database``: checks that the file exists and the disk has room."""
        if self.file is None or self._is_closed:
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
        if self._checkpoints is not None:
            self._checkpoints.end_thread()
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
                result = work(self._writer_connection)
            self._note_commit()
            return result

        return await self._in_writer(run_transaction, sentence)

    def _note_commit(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.note_commit(self._driver_connection)

    async def _in_writer(self, do: Callable[[], T], sentence: str | None = None) -> T:
        if self._is_closed:
            raise StoreError(sentence)
        try:
            return await self._writing.call_in_thread(partial(self._with_room, do))
        except DATABASE_ERRORS as error:
            raise self._store_error(error, sentence) from error

    def _store_error(self, error: Exception, sentence: str | None) -> StoreError:
        if self.problem == FULL and isinstance(error, SQLAlchemyError | sqlite.Error):
            return StoreError(NO_ROOM)
        return _store_error(error, sentence)

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
        if self.file is None or self._ballast is None:
            return False
        is_reported = "disk is full" in said
        may_be = "disk I/O error" in said or "unable to open" in said  # e.g. its shared memory
        if not is_reported and not (may_be and is_disk_full(self.file.parent)):
            return False
        if self.problem != FULL:
            self.problem = FULL
            _log.error("disk_full", folder=str(self.file.parent), remedy=FULL)
        had_some = self._ballast.delete_file()
        if had_some:
            _log.warning("ballast_given_up")
        return had_some

    def _check_recovered(self) -> None:
        self._check_file()
        if self.problem == GONE:
            self.problem = None
            _log.warning("database_is_back")
        if self.file is None or self._ballast is None or not self._ballast.has_space_left():
            return
        # with a quota, the free space of the disk says little
        if (
            self._ballast.create_file()
            and self.problem == FULL
            and not is_disk_full(self.file.parent)
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
        if self.problem != GONE and self.file is not None:
            self.problem = GONE
            _log.error("database_gone", file=str(self.file), remedy=GONE)
            self._rescue_file(self.file)
        raise FileNotFoundError(GONE)

    def _has_same_file(self) -> bool:
        if self.file is None or self._identity is None:
            return True
        try:
            return _file_identity(self.file) == self._identity
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
        if self.file is None:
            return True
        if self._lock is None:
            self._lock = self.file.with_name(self.file.name + ".lock").open("w")
        return lock_file(self._lock.fileno(), wait=False)

    def _connect_driver(self, *, is_writer: bool) -> Any:
        if not self._has_same_file():  # opening would create an empty file
            raise FileNotFoundError(GONE)
        connection = self._connect_file(self._busy_s)
        for pragma in _WRITER if is_writer else _READER:
            connection.execute(f"PRAGMA {pragma}")
        if self._checkpoints is not None:
            connection.execute("PRAGMA wal_autocheckpoint=0")
        return connection

    def _connect_checkpoints(self) -> Any:
        connection = self._connect_file(0)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _connect_file(self, busy_s: float) -> Any:
        return sqlite.connect(
            str(self.file) if self.file else ":memory:",
            timeout=busy_s,
            isolation_level=None,  # transactions are started explicitly
            check_same_thread=False,
            cached_statements=256,
        )


def copy_file(source: Path, target: Path) -> None:
    """Copy what is committed in an SQLite database to a new file.

    Not by another SQLite library: when that closes the file, all locks of the process on it are
    gone, also those of the store.

    Raises:
        OSError: a file can't be read or written.
    """
    try:
        with (
            contextlib.closing(sqlite.connect(source)) as read,
            contextlib.closing(sqlite.connect(target)) as written,
        ):
            read.backup(written)
    except sqlite.Error as error:
        raise OSError(str(error)) from error


_WRITER = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "cache_size=-16000",
)
_READER = ("query_only=ON", "wal_autocheckpoint=0", "cache_size=-8000")


class _Checkpoints:
    """Copies the write-ahead log into the file, in a thread of its own.

    A checkpoint syncs both files. In a commit, as SQLite does it by itself, it would delay what
    readers are shown, by as long as the disk takes.
    """

    def __init__(self, connect: Callable[[], Any], is_usable: Callable[[], bool]) -> None:
        self.lock = Lock()
        """Held during a checkpoint: SQLite refuses a second one."""
        self._connect = connect
        self._is_usable = is_usable
        self._has_commits = Event()
        self._is_ended = Event()
        self._is_overdue = False
        self._thread = Thread(target=self._run, name="sqlite checkpoints", daemon=True)
        self._is_started = False

    def note_commit(self, writer: Any) -> None:
        """Have the log copied soon; called in the writer's thread after each commit.

        The log is begun again once it is copied up to its end. While the writer adds to it all the
        time, only the writer can do that; nearly all of it is copied by then.
        """
        if self._is_overdue and self.lock.acquire(blocking=False):
            try:
                self._is_overdue = False
                with contextlib.suppress(sqlite.Error):
                    _checkpoint(writer)
            finally:
                self.lock.release()
        if not self._has_commits.is_set():
            self._has_commits.set()
            if not self._is_started:
                self._is_started = True
                self._thread.start()

    def end_thread(self) -> None:
        """Wait until the thread has ended; its connection is closed then."""
        self._is_ended.set()
        self._has_commits.set()
        if self._is_started:
            self._thread.join()

    def _run(self) -> None:
        connection = None
        try:
            while self._has_commits.wait() and not self._is_ended.wait(CHECKPOINT_S):
                self._has_commits.clear()
                # what fails is tried again after the next commit, which fails too if it is the disk
                with self.lock, contextlib.suppress(sqlite.Error, OSError):
                    if self._is_usable():
                        connection = connection or self._connect()
                        _, frames, _ = _checkpoint(connection)
                        self._is_overdue = frames > MAX_LOG_FRAMES
        finally:
            if connection is not None:
                connection.close()


def _checkpoint(connection: Any, mode: str = "PASSIVE") -> tuple[int, int, int]:
    """Return whether it was prevented, the number of frames of the log, and of those copied."""
    found: tuple[int, int, int] = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return found


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
    file: Path | None = None

    def __init__(
        self, url: URL, statement_s: float = STATEMENT_S, *, is_shared: bool = False
    ) -> None:
        # imports the object-relational mapper: 8 MB that a server with SQLite does not need
        from sqlalchemy.ext.asyncio import create_async_engine

        self._is_shared = is_shared
        self._engine = create_async_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=statement_s,
            hide_parameters=True,
            connect_args={
                "timeout": 5.0,
                "command_timeout": statement_s,
                "server_settings": {
                    "application_name": "wireside",
                    "jit": "off",
                    **({"idle_in_transaction_session_timeout": IDLE_MS} if is_shared else {}),
                },
            },
        )
        # gives each call a consistent snapshot
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
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

    async def execute_one(self, work: Work[T]) -> T:
        """See ``Database``."""
        with _as_store_errors():
            self._check_open()
            if self.problem == TAKEN:
                raise StoreError
            async with self._autocommit.connect() as connection:
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

    async def connect_driver(self) -> Any:
        """Return a new connection of the driver, outside of the pool; the caller closes it."""
        import asyncpg  # installed with the extra ``postgres``

        self._check_open()
        dialect = self._engine.dialect
        _, arguments = dialect.create_connect_args(self._engine.url)
        for name in ("prepared_statement_cache_size", "prepared_statement_name_func"):
            arguments.pop(name, None)  # of the dialect
        settings = {"application_name": "wireside"}
        return await asyncpg.connect(**arguments, timeout=5.0, server_settings=settings)

    async def _take_lock(self) -> bool:
        if self._lock is None or self._lock.closed:
            self._lock = await self._engine.connect()
        taken = True
        if self._is_server:
            shared = "_shared" if self._is_shared else ""
            take = text(f"SELECT pg_try_advisory_lock{shared}({LOCK_KEY})")
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
    except DATABASE_ERRORS as error:
        raise _store_error(error, sentence) from error


def _store_error(error: Exception, sentence: str | None) -> StoreError:
    _log.warning("store_failed", error=_loggable_part(error))
    if sentence is None and _is_about_a_value(error):  # in a transaction that writes
        return NotStorable()
    return StoreError(sentence)


def _is_about_a_value(error: Exception) -> bool:
    """Return whether a value was refused, rather than that the database does not work."""
    driver = getattr(error, "orig", None) or error
    if isinstance(driver, sqlite.Error):
        return isinstance(driver, sqlite.DataError | sqlite.IntegrityError | sqlite.InterfaceError)
    state: str = getattr(driver, "sqlstate", None) or ""
    # a value that asyncpg can't encode has no state
    return state.startswith(VALUE) or isinstance(driver.__cause__, ValueError)


def is_lock_timeout(error: BaseException | None) -> bool:
    """Return whether a lock was not obtained in time: the connection works."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "55P03"


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
