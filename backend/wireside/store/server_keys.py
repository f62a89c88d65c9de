"""Random keys that all servers on a database share, such as the one that signs cookies."""

from __future__ import annotations

from sqlalchemy import Connection, select

from wireside.store.database import Database
from wireside.store.sql import insert_into, is_sqlite
from wireside.store.tables import server_keys
from wireside.tokens import new_secret


class SqlServerKeys:
    """Keys by name, which the first server creates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_or_create(self, name: str) -> str:
        """Return the key of that name. Raises ``StoreError``."""
        value = new_secret()

        def insert_and_select(connection: Connection) -> str:
            new = insert_into(server_keys, is_sqlite(connection)).on_conflict_do_nothing()
            connection.execute(new, {"name": name, "key": value})
            found = connection.scalar(select(server_keys.c.key).where(server_keys.c.name == name))
            return str(found)

        return await self._database.write(insert_and_select)
