"""The migrations produce the tables of this version."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from wireside.store.store import SqlStore
from wireside.store.tables import metadata

SEARCH = ("document_words", "documents_words", "words")
"""Prefixes of the search tables, which are written by hand in each database's SQL."""


async def test_the_migrated_tables_are_those_that_the_code_speaks_of(store: SqlStore) -> None:
    def differences(connection: Connection) -> list[Any]:
        def is_ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
            return not (name or "").startswith(SEARCH) or (kind == "column" and not reflected)

        context = MigrationContext.configure(
            connection, opts={"include_object": is_ours, "compare_type": True}
        )
        return list(compare_metadata(context, metadata))

    assert await store._database.read(differences) == []
