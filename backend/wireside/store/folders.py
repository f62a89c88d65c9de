"""Folders of conversations in a database (``ports.folders``).

``conversations.folder_id`` has no foreign key: a conversation whose folder is gone is in none. A
folder is locked while a conversation is put into it, so that its removal does not overlook one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, delete, func, select, update

from wireside.records import ConversationInfo, Folder
from wireside.store.database import Database
from wireside.store.sql import Prepared
from wireside.store.tables import conversations, folders


class SqlFolders:
    """Implements ``FolderStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_folders(self, owner: str) -> Sequence[Folder]:
        """See ``FolderStore``."""
        statement = select(folders).where(folders.c.owner == owner)

        def select_folders(connection: Connection) -> list[Folder]:
            return [Folder(**row._mapping) for row in connection.execute(statement)]

        return await self._database.read(select_folders)

    async def list_all_folders(self) -> Sequence[Folder]:
        """Return the folders of all owners, for a command that exports them."""

        def select_folders(connection: Connection) -> list[Folder]:
            rows = connection.execute(select(folders))
            return [Folder(**row._mapping) for row in rows]

        return await self._database.read(select_folders)

    async def add_folder(self, folder: Folder, *, max_count: int) -> bool:
        """See ``FolderStore``."""
        of_owner = select(func.count()).select_from(folders).where(folders.c.owner == folder.owner)

        def insert_folder(connection: Connection) -> bool:
            if (connection.scalar(of_owner) or 0) >= max_count:
                return False
            connection.execute(folders.insert(), asdict(folder))
            return True

        return await self._database.write(insert_folder)

    async def rename_folder(self, folder_id: str, name: str, *, owner: str) -> bool:
        """See ``FolderStore``."""
        statement = (
            update(folders)
            .where(folders.c.id == folder_id, folders.c.owner == owner)
            .values(name=name)
        )
        return await self._database.write(
            lambda connection: connection.execute(statement).rowcount > 0
        )

    async def remove_folder(self, folder_id: str, *, owner: str) -> bool:
        """See ``FolderStore``."""
        its_row = (folders.c.id == folder_id, folders.c.owner == owner)
        emptied = (
            update(conversations)
            .where(conversations.c.folder_id == folder_id, conversations.c.owner == owner)
            .values(folder_id=None, version=conversations.c.version + 1)
        )

        def delete_folder(connection: Connection) -> bool:
            # Conversations are locked before folders everywhere. The second time is for those that
            # came in before the folder was locked.
            connection.execute(emptied)
            if connection.scalar(select(folders.c.id).where(*its_row).with_for_update()) is None:
                return False
            connection.execute(emptied)
            connection.execute(delete(folders).where(*its_row))
            return True

        return await self._database.write(delete_folder)


# ---- inside the transaction of another module ----------------------------------------------------


def folder_of(connection: Connection, info: ConversationInfo) -> str | None:
    """Return the folder of a conversation, locked; None if its owner has no such folder."""
    if info.folder_id is None:
        return None
    found = _FIND.fetch_rows(connection, {"folder": info.folder_id, "owner": info.owner})
    return info.folder_id if found else None


def adopt_all(connection: Connection, owner: str) -> None:
    """Give the folders from before there were accounts to the first account."""
    connection.execute(update(folders).where(folders.c.owner == "").values(owner=owner))


def remove_all_of(connection: Connection, owner: str) -> None:
    """Remove the folders of an account."""
    connection.execute(delete(folders).where(folders.c.owner == owner))


_FIND = Prepared(
    lambda _: (
        select(folders.c.id)
        .where(folders.c.id == bindparam("folder"), folders.c.owner == bindparam("owner"))
        .with_for_update(read=True, key_share=True)
    )
)
