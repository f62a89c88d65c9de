"""The migrations produce the tables of this version."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from wireside.store import migrate
from wireside.store.database import create_database
from wireside.store.store import SqlStore
from wireside.store.tables import metadata

SEARCH = ("document_words", "documents_words", "words")
"""Prefixes of the search tables, which are written by hand in each database's SQL."""

BEFORE = """
INSERT INTO conversations (id, title, title_source, created_at, updated_at, shown)
VALUES ('c', '', 'words', 0, 0, 0);
INSERT INTO turns (id, conversation_id, branch, depth, question, options, created_at, is_waiting)
VALUES ('open', 'c', 0, 0, '', '{}', 0, false), ('answered', 'c', 0, 1, '', '{}', 0, false);
INSERT INTO segments (stream, turn_id, position, model, created_at, is_live, reason)
VALUES ('1', 'open', 0, '', 0, false, 'stop'), ('2', 'open', 1, '', 0, false, 'asking'),
('3', 'answered', 0, '', 0, false, 'asking'), ('4', 'answered', 1, '', 0, false, 'stop')
"""


async def test_the_migrated_tables_are_those_that_the_code_speaks_of(store: SqlStore) -> None:
    def differences(connection: Connection) -> list[Any]:
        def is_ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
            return not (name or "").startswith(SEARCH) or (kind == "column" and not reflected)

        context = MigrationContext.configure(
            connection, opts={"include_object": is_ours, "compare_type": True}
        )
        return list(compare_metadata(context, metadata))

    assert await store._database.read(differences) == []


def test_the_newest_migration_is_the_last_of_the_chain() -> None:
    """Otherwise each start would migrate again, and commands would refuse the database."""
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    order = [script.revision for script in scripts.walk_revisions()]
    assert order == sorted(order, reverse=True)
    assert scripts.get_current_head() == migrate.NEWEST


async def test_answers_that_waited_before_the_column_was_there_are_found(url: str) -> None:
    opened = create_database(url)
    await opened.open()
    await opened.write(partial(migrate.upgrade, to="0009"))

    def fill(connection: Connection) -> None:
        for statement in BEFORE.split(";"):
            connection.exec_driver_sql(statement)

    await opened.write(fill)
    await opened.aclose()
    store = SqlStore(url)
    await store.open()
    assert len(await store.asking("", limit=9)) == 1
    await store.aclose()
