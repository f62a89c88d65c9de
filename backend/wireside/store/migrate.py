"""Migrates a database to the current schema with Alembic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import structlog
from sqlalchemy import Connection, func, inspect, select, text

from wireside.errors import NotConfigured
from wireside.store import search
from wireside.store.database import LOCK_KEY, Database, create_database, sqlite_file
from wireside.store.migration_copy import copy_before_migration
from wireside.store.sql import is_sqlite
from wireside.store.tables import documents

_log = structlog.get_logger(__name__)

NEWEST = "0027"
"""The newest revision in ``migrations/versions``."""

MIGRATION_KEY = LOCK_KEY + 1
"""PostgreSQL's advisory lock, held by the server that migrates a database."""

INDEXED_SINCE = "0007"
"""The revision since which search's index is as ``search`` writes it."""

State = Literal["current", "pending", "newer"]
"""How a database compares with this version: it is current, needs a migration, or is newer."""

_FOLDER = Path(__file__).parent / "migrations"


async def bring_up_to_date(opened: Database, *, kept_copies: int = 0) -> None:
    """Run the pending migrations.

    ``kept_copies``: the number of copies of a SQLite database that are kept, of which one is made
    before the migrations.

    Raises:
        NotConfigured: the database is newer than this version.
    """
    version = await opened.read(version_of)
    if version == NEWEST:
        return
    check_revision(version)
    if version is not None and opened.file is not None:
        await asyncio.to_thread(copy_before_migration, opened.file, version, kept=kept_copies)
    await opened.write(_upgrade_and_index)


def _upgrade_and_index(connection: Connection) -> None:
    """Run the migrations, and index all documents again where the index was another."""
    if not is_sqlite(connection):  # several servers may start at once
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_KEY})"))
    version = version_of(connection)
    if version == NEWEST:
        return
    upgrade(connection)
    if version is None or version >= INDEXED_SINCE:
        return
    total = connection.scalar(select(func.count()).select_from(documents)) or 0
    done = 0

    def log_progress(count: int) -> None:
        nonlocal done
        if done * 10 // total != (done + count) * 10 // total:
            _log.info("search_indexed", documents=done + count, of=total)
        done += count

    search.index_all(connection, log_progress)


async def be_up_to_date(opened: Database) -> None:
    """Raise ``NotConfigured`` unless the schema is current."""
    version = await opened.read(version_of)
    check_revision(version)
    if version != NEWEST:
        raise NotConfigured("The database is not of this version: run `wireside migrate` first.")


async def migrate(url: str, *, kept_copies: int = 0) -> str:
    """Migrate the database of ``url`` and return its revision. See ``bring_up_to_date``."""
    opened = create_database(url)
    try:
        await opened.open()
        await bring_up_to_date(opened, kept_copies=kept_copies)
    finally:
        await opened.aclose()
    return NEWEST


async def compare_schema(url: str) -> tuple[State, str | None]:
    """Compare a database with this version, also while a server uses it; change nothing.

    Returns:
        The state, and the revision; None for a database that does not exist or has no tables.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return "pending", None
    opened = create_database(url)
    try:
        await opened.open(is_server=False)
        version = await opened.read(version_of)
    finally:
        await opened.aclose()
    if version == NEWEST:
        return "current", version
    return "pending" if version is None or is_known(version) else "newer", version


def version_of(connection: Connection) -> str | None:
    """Return the revision of the schema; None for a database without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def is_known(version: str) -> bool:
    """Return whether ``version`` can be migrated to the current schema."""
    return version in {
        file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[!_]*.py")
    }


def check_revision(version: str | None) -> None:
    """Raise ``NotConfigured`` for an unknown revision."""
    if version is not None and not is_known(version):
        raise NotConfigured(
            f"The database is at version {version}, which a newer Wireside has made."
            " Update this one, or give it another database."
        )


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the pending migrations up to the revision ``to``."""
    # imported late: most starts need no migration
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
