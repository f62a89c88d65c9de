"""The servers that share a database (``ports.replicas.ReplicaStore``).

They have a connection of their own: in the pool, a beat would wait behind the work whose delay it
is to survive. A statement that waits for a lock gives up soon, as a frozen server may hold it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from wireside.errors import StoreError
from wireside.records import Replica
from wireside.store.database import LOCK_KEY, is_lock_timeout, postgresql_address
from wireside.store.tables import replicas

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

JOIN_KEY: Final = LOCK_KEY + 2
"""PostgreSQL's advisory lock, held while a replica is added: each sees those before it."""

CONNECT_S: Final = 5.0
"""Timeout for a new connection, in seconds."""

_NOW = func.extract("epoch", func.clock_timestamp())

_ALL = select(replicas, (_NOW - replicas.c.started_at).label("age_s")).order_by(
    replicas.c.started_at, replicas.c.id
)

_END_FROZEN = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
    " AND application_name = 'wireside' AND wait_event = 'ClientRead'"
    " AND xact_start < clock_timestamp() - make_interval(secs => :seconds)"
    # only what a removal can wait for, with its counts: not a backup, nor a long search
    " AND EXISTS (SELECT 1 FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid"
    " AND relation IN ('replicas'::regclass, 'busy_slots'::regclass)"
    " AND mode IN ('RowShareLock', 'RowExclusiveLock'))"
)

T = TypeVar("T")


class SqlReplicas:
    """Implements ``ReplicaStore``, which documents the methods."""

    def __init__(
        self, url: str, *, statement_s: float, lock_s: float, frozen_s: float = 5.0
    ) -> None:
        """Prepare a connection to a PostgreSQL database; the first statement opens it.

        Args:
            url: the value of ``WIRESIDE_DATABASE_URL``.
            statement_s: timeout for a statement, in seconds.
            lock_s: how long a statement waits for a lock, in seconds.
            frozen_s: after how many seconds a transaction in which PostgreSQL waits for its server
                is ended, if it prevents a removal.
        """
        self._frozen_s = frozen_s
        self._statement_s = statement_s
        # imports the object-relational mapper: 8 MB that a server with SQLite does not need
        from sqlalchemy.ext.asyncio import create_async_engine

        self._engine = create_async_engine(
            postgresql_address(url),
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={
                "timeout": CONNECT_S,
                "server_settings": {
                    "application_name": "wireside replica",
                    "jit": "off",
                    "lock_timeout": f"{lock_s * 1000:.0f}",
                    "idle_in_transaction_session_timeout": f"{statement_s * 1000:.0f}",
                },
            },
        )
        self._connection: AsyncConnection | None = None
        self._lock = asyncio.Lock()

    async def add_replica(self, replica_id: str, name: str, version: str) -> Sequence[Replica]:
        """See ``ReplicaStore``."""

        def insert_row(connection: Connection) -> list[Replica]:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({JOIN_KEY})"))
            connection.execute(
                insert(replicas).values(
                    id=replica_id,
                    name=name,
                    beat=0,
                    version=version,
                    started_at=_NOW,
                )
            )
            return [_replica_from_row(row) for row in connection.execute(_ALL)]

        return await self._run(insert_row)

    async def beat(self, replica_id: str, report: str | None = None) -> Sequence[Replica] | None:
        """See ``ReplicaStore``."""
        mine = (
            update(replicas)
            .where(replicas.c.id == replica_id)
            .values(beat=replicas.c.beat + 1, report=report)
            .returning(replicas.c.id)
            .cte("mine")
        )
        statement = _ALL.add_columns(exists().select_from(mine).label("is_there"))

        def count_beat(connection: Connection) -> list[Replica] | None:
            rows = connection.execute(statement).all()
            if not rows or not rows[0].is_there:
                return None
            return [_replica_from_row(row) for row in rows]

        return await self._run(count_beat)

    async def remove_replica(self, replica_id: str, *, beat: int | None = None) -> bool:
        """See ``ReplicaStore``."""
        statement = delete(replicas).where(replicas.c.id == replica_id)
        if beat is not None:
            statement = statement.where(replicas.c.beat == beat)
        try:
            return await self._run(lambda connection: connection.execute(statement).rowcount > 0)
        except StoreError as error:
            if is_lock_timeout(error.__cause__):
                await self._run(self._end_frozen_sessions)
            raise

    def _end_frozen_sessions(self, connection: Connection) -> None:
        """End sessions of servers that are frozen in the middle of a transaction.

        PostgreSQL ends those that are between two statements by itself, but only after ``IDLE_MS``;
        it waits without a limit for the rest of a batch of statements.
        """
        connection.execute(_END_FROZEN, {"seconds": self._frozen_s})

    async def remove_named(self, name: str, *, but: str) -> Sequence[str]:
        """See ``ReplicaStore``."""
        statement = delete(replicas).where(replicas.c.name == name, replicas.c.id != but)
        return await self._run(
            lambda connection: list(connection.scalars(statement.returning(replicas.c.id)))
        )

    async def aclose(self) -> None:
        """See ``ReplicaStore``."""
        async with self._lock:
            await self._drop_connection()

    async def _run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction, within ``statement_s``."""
        async with self._lock:
            try:
                async with asyncio.timeout(self._statement_s):
                    return await self._run_in_transaction(work)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                if is_lock_timeout(error):
                    raise StoreError from error
                await _quietly(self._drop_connection())
                raise StoreError from error

    async def _run_in_transaction(self, work: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = await self._engine.connect()
        async with self._connection.begin():
            return await self._connection.run_sync(work)

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
                await connection.invalidate()
            with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
                await connection.close()


async def _quietly(closing: Awaitable[None]) -> None:
    """Await the end of a connection, which a server that does not answer must not delay."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await closing


def _replica_from_row(row: Row[Any]) -> Replica:
    return Replica(
        id=row.id,
        name=row.name,
        beat=row.beat,
        version=row.version,
        started_at=row.started_at,
        age_s=float(row.age_s),
        report=row.report,
    )
