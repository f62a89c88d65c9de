"""How many connections servers open to a shared PostgreSQL database, and how many it admits."""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy import Connection, text

from wireside.errors import StoreError
from wireside.store.database import POOL_SIZE, Database

CONNECTIONS_PER_SERVER: Final = POOL_SIZE + 3
"""Most connections of a server: those of the pool, one for its beats and two for the bus."""

REMEDY: Final = "raise max_connections in postgresql.conf, or run fewer servers"

_log = structlog.get_logger(__name__)

_LIMIT = text(
    "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int"
)


async def read_connection_limit(database: Database) -> int:
    """Return how many connections PostgreSQL admits. Raises ``StoreError``."""

    def read_limit(connection: Connection) -> int:
        return int(connection.scalar(_LIMIT) or 0)

    return await database.read(read_limit)


async def warn_of_few_connections(database: Database, servers: int) -> None:
    """Log a warning if ``servers`` servers may open more connections than PostgreSQL admits."""
    try:
        limit = await read_connection_limit(database)
    except StoreError:
        return
    needed = servers * CONNECTIONS_PER_SERVER
    if needed > limit:
        _log.warning(
            "connections_scarce", servers=servers, needed=needed, limit=limit, remedy=REMEDY
        )
