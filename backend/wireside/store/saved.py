"""What users save for later, in a database: prompts and presets (``ports.saved``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, Table, delete, func, or_, select, update

from wireside.records import Preset, Prompt, SavedItem
from wireside.store.database import Database
from wireside.store.options import options_from, options_json
from wireside.store.sql import insert_into, is_sqlite
from wireside.store.tables import default_presets, presets, prompts

T = TypeVar("T", bound=SavedItem)


class SqlSaved(Generic[T]):
    """Implements ``SavedStore``, which documents the methods."""

    def __init__(
        self,
        database: Database,
        table: Table,
        *,
        to_row: Callable[[T], dict[str, Any]],
        from_row: Callable[[Row[Any]], T],
    ) -> None:
        """``to_row`` returns the columns of an item, ``from_row`` an item of the columns."""
        self._database = database
        self._table = table
        self._to_row = to_row
        self._from_row = from_row

    async def list_items(self, owner: str) -> Sequence[T]:
        """See ``SavedStore``."""
        columns = self._table.c
        statement = select(self._table).where(or_(columns.owner == owner, columns.is_shared))

        def select_items(connection: Connection) -> list[T]:
            return [self._from_row(row) for row in connection.execute(statement)]

        return await self._database.read(select_items)

    async def find_item(self, item_id: str) -> T | None:
        """See ``SavedStore``."""

        def select_item(connection: Connection) -> T | None:
            statement = select(self._table).where(self._table.c.id == item_id)
            row = connection.execute(statement).first()
            return None if row is None else self._from_row(row)

        return await self._database.read(select_item)

    async def add_items(self, items: Sequence[T], *, max_count: int) -> bool:
        """See ``SavedStore``."""

        def insert_items(connection: Connection) -> bool:
            if not items:
                return True
            is_owned = self._table.c.owner == items[0].owner
            count = connection.scalar(select(func.count()).select_from(self._table).where(is_owned))
            if (count or 0) + len(items) > max_count:
                return False
            connection.execute(self._table.insert(), [self._to_row(item) for item in items])
            return True

        return await self._database.write(insert_items)

    async def update_item(self, item: T) -> bool:
        """See ``SavedStore``."""
        statement = update(self._table).where(self._table.c.id == item.id)

        def update_row(connection: Connection) -> bool:
            return connection.execute(statement.values(self._to_row(item))).rowcount > 0

        return await self._database.write(update_row)

    async def remove_item(self, item_id: str) -> None:
        """See ``SavedStore``."""
        statement = delete(self._table).where(self._table.c.id == item_id)
        await self._database.write(lambda connection: connection.execute(statement) and None)


class SqlPrompts(SqlSaved[Prompt]):
    """The prompts."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            database,
            prompts,
            to_row=lambda prompt: {**_row_of(prompt), "text": prompt.text},
            from_row=lambda row: Prompt(**_fields_of(row), text=row.text),
        )


class SqlPresets(SqlSaved[Preset]):
    """Implements ``PresetStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            database,
            presets,
            to_row=lambda preset: {**_row_of(preset), "options": options_json(preset.options)},
            from_row=lambda row: Preset(**_fields_of(row), options=options_from(row.options)),
        )

    async def default_preset(self, owner: str) -> str | None:
        """See ``PresetStore``."""
        statement = select(default_presets.c.preset_id).where(default_presets.c.owner == owner)
        return await self._database.read(lambda connection: connection.scalar(statement))

    async def set_default_preset(self, owner: str, preset_id: str | None) -> None:
        """See ``PresetStore``."""

        def replace_default(connection: Connection) -> None:
            connection.execute(delete(default_presets).where(default_presets.c.owner == owner))
            if preset_id is not None:
                row = {"owner": owner, "preset_id": preset_id}
                connection.execute(insert_into(default_presets, is_sqlite(connection)), row)

        await self._database.write(replace_default)


# ---- inside the transaction of another module ----------------------------------------------------

_TABLES = (prompts, presets, default_presets)


def adopt_all(connection: Connection, owner: str) -> None:
    """Give what was saved before there were accounts to the first account."""
    for table in _TABLES:
        connection.execute(update(table).where(table.c.owner == "").values(owner=owner))


def remove_all_of(connection: Connection, owner: str, *, heir: str | None) -> None:
    """Remove what an account has saved. What it shared with all users goes to ``heir``.

    Without another account that is one, it belongs to none: administrators can change it all the
    same.
    """
    new_owner = heir if heir and heir != owner else ""
    for table in (prompts, presets):
        is_shared = (table.c.owner == owner) & table.c.is_shared
        connection.execute(update(table).where(is_shared).values(owner=new_owner))
    for table in reversed(_TABLES):
        connection.execute(delete(table).where(table.c.owner == owner))


def _row_of(item: SavedItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "owner": item.owner,
        "name": item.name,
        "is_shared": item.is_shared,
        "updated_at": item.updated_at,
    }


def _fields_of(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "owner": row.owner,
        "name": row.name,
        "is_shared": row.is_shared,
        "updated_at": row.updated_at,
    }
