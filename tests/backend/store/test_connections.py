"""The connections that servers need, and those that PostgreSQL admits."""

from __future__ import annotations

import structlog

from wireside.store.connections import (
    CONNECTIONS_PER_SERVER,
    read_connection_limit,
    warn_of_few_connections,
)
from wireside.store.database import create_database


async def test_too_many_servers_for_the_connections_of_postgresql(postgresql: str) -> None:
    database = create_database(postgresql, is_shared=True)
    await database.open(is_server=False)
    try:
        limit = await read_connection_limit(database)
        enough = limit // CONNECTIONS_PER_SERVER
        with structlog.testing.capture_logs() as logged:
            await warn_of_few_connections(database, enough)
            assert logged == []
            await warn_of_few_connections(database, enough + 1)
        (warning,) = logged
        assert (warning["event"], warning["limit"]) == ("connections_scarce", limit)
        assert warning["needed"] == (enough + 1) * CONNECTIONS_PER_SERVER
    finally:
        await database.aclose()
