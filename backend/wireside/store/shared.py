"""What several servers count and redeem together, on PostgreSQL (``ports.shared``)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    cast,
    delete,
    exists,
    extract,
    func,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from wireside.errors import Overloaded, StoreError
from wireside.ports.shared import Attempts, StoredTicket
from wireside.store.database import Database, is_lock_timeout
from wireside.store.tables import busy_slots, replicas, sign_in_attempts, tickets

CLAIM_MS: Final = 1_000
"""How long a claim waits for that of another server, which may be frozen, in milliseconds."""

T = TypeVar("T")

_LIMIT_WAIT = text(f"SET LOCAL lock_timeout = {CLAIM_MS}")


def _now() -> ColumnElement[float]:
    """Return the time by the clock of the database, which all servers share."""
    return cast(extract("epoch", func.clock_timestamp()), Double)


class SqlTickets:
    """Implements ``TicketStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_ticket(
        self, ticket: StoredTicket, *, lifetime_s: float, most: int, most_of_user: int
    ) -> bool:
        """See ``TicketStore``."""

        def insert_ticket(connection: Connection) -> bool:
            connection.execute(delete(tickets).where(tickets.c.expires_at <= _now()))
            count = select(func.count()).select_from(tickets)
            if connection.execute(count).scalar_one() >= most:
                return False
            of_user = count.where(tickets.c.user_id == ticket.user_id)
            if connection.execute(of_user).scalar_one() >= most_of_user:
                return False
            connection.execute(
                insert(tickets).values(
                    hashed=ticket.hashed,
                    user_id=ticket.user_id,
                    caller=ticket.caller,
                    origin=ticket.origin,
                    expires_at=_now() + lifetime_s,
                )
            )
            return True

        return await self._database.write(insert_ticket)

    async def take_ticket(self, hashed: str) -> StoredTicket | None:
        """See ``TicketStore``."""

        def delete_ticket(connection: Connection) -> StoredTicket | None:
            row = connection.execute(
                delete(tickets)
                .where(tickets.c.hashed == hashed)
                .returning(tickets, (tickets.c.expires_at > _now()).label("is_valid"))
            ).first()
            if row is None or not row.is_valid:
                return None
            return StoredTicket(
                hashed=row.hashed, user_id=row.user_id, caller=row.caller, origin=row.origin
            )

        return await self._database.write(delete_ticket)


class SqlAttempts:
    """Implements ``AttemptStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count_attempt(self, digest: str, *, limit: int, window_s: float) -> Attempts:
        """See ``AttemptStore``."""

        def count(connection: Connection) -> Attempts:
            _remove_expired_attempts(connection)
            left_s = (sign_in_attempts.c.expires_at - _now()).label("left_s")
            found = [
                float(row.left_s)
                for row in connection.execute(
                    select(left_s).where(sign_in_attempts.c.digest == digest).order_by(left_s)
                )
                if row.left_s > 0
            ]
            if len(found) >= limit:
                return Attempts(count=len(found), reset_s=found[0], was_counted=False)
            connection.execute(
                insert(sign_in_attempts).values(
                    id=secrets.token_urlsafe(12), digest=digest, expires_at=_now() + window_s
                )
            )
            reset_s = found[0] if found else window_s
            return Attempts(count=len(found) + 1, reset_s=reset_s, was_counted=True)

        return await _one_after_another(self._database, digest, count)

    async def remove_attempts(self, digest: str) -> None:
        """See ``AttemptStore``."""
        statement = delete(sign_in_attempts).where(sign_in_attempts.c.digest == digest)
        await self._database.write(lambda connection: connection.execute(statement))


def _remove_expired_attempts(connection: Connection) -> None:
    # several servers do so at the same time: none waits for rows that another one removes
    expired = (
        select(sign_in_attempts.c.id)
        .where(sign_in_attempts.c.expires_at <= _now())
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(sign_in_attempts).where(sign_in_attempts.c.id.in_(expired)))


async def _one_after_another(database: Database, name: str, work: Callable[[Connection], T]) -> T:
    """Run ``work`` while no other server runs such work of that name.

    Raises:
        Overloaded: another one has not ended it in time.
    """

    def run(connection: Connection) -> T:
        connection.execute(_LIMIT_WAIT)
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
        )
        return work(connection)

    try:
        return await database.write(run)
    except StoreError as error:
        if is_lock_timeout(error.__cause__):
            raise Overloaded(retry_after=1) from error
        raise


class SqlSlotCounts:
    """Implements ``SlotCounts``, which documents the methods.

    The counts of a server that was removed are deleted with its row.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_slots(self, replica: str, name: str, count: int, most: int) -> bool:
        """See ``SlotCounts``."""

        def claim(connection: Connection) -> bool:
            elsewhere = connection.execute(
                select(func.coalesce(func.sum(busy_slots.c.count), 0)).where(
                    busy_slots.c.name == name, busy_slots.c.replica != replica
                )
            ).scalar_one()
            if elsewhere + count > most:
                return False
            _record(connection, replica, {name: count})
            return True

        return await _one_after_another(self._database, name, claim)

    async def record_slots(self, replica: str, counts: dict[str, int]) -> None:
        """See ``SlotCounts``."""
        if counts:
            await self._database.write(lambda connection: _record(connection, replica, counts))

    async def slots_elsewhere(self, replica: str, names: Sequence[str]) -> dict[str, int]:
        """See ``SlotCounts``."""

        def select_counts(connection: Connection) -> dict[str, int]:
            rows = connection.execute(
                select(busy_slots.c.name, func.sum(busy_slots.c.count))
                .where(busy_slots.c.name.in_(names), busy_slots.c.replica != replica)
                .group_by(busy_slots.c.name)
            )
            return {name: int(count) for name, count in rows}

        return await self._database.read(select_counts) if names else {}


def _record(connection: Connection, replica: str, counts: dict[str, int]) -> None:
    """Set the counts of a server; nothing if it was removed."""
    for name, count in sorted(counts.items()):  # in one order, so that two can't block each other
        if not count:
            connection.execute(
                delete(busy_slots).where(busy_slots.c.name == name, busy_slots.c.replica == replica)
            )
            continue
        values = select(literal(replica), literal(name), literal(count)).where(
            exists().where(replicas.c.id == replica)
        )
        added = insert_or_update(busy_slots).from_select(["replica", "name", "count"], values)
        connection.execute(
            added.on_conflict_do_update(
                index_elements=["name", "replica"], set_={"count": added.excluded["count"]}
            )
        )
