"""Migrates a database to the current schema with Alembic."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import Connection, func, inspect, select, text

from wireside.errors import NotConfigured
from wireside.store import search
from wireside.store.database import Database, create_database
from wireside.store.tables import documents

_log = structlog.get_logger(__name__)

NEWEST = "0010"
"""The newest revision in ``migrations/versions``."""

INDEXED_SINCE = "0007"
"""The revision since which search's index is as ``search`` writes it."""

_FOLDER = Path(__file__).parent / "migrations"


async def bring_up_to_date(opened: Database) -> None:
    """Run the pending migrations. Raises ``NotConfigured`` for a newer database."""
    version = await opened.read(version_of)
    if version != NEWEST:
        check_revision(version)
        await opened.write(lambda connection: _upgrade_and_index(connection, version))


def _upgrade_and_index(connection: Connection, version: str | None) -> None:
    """Run the migrations, and index all documents again where the index was another."""
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


async def migrate(url: str) -> str:
    """Migrate the database of ``url`` and return its revision."""
    opened = create_database(url)
    try:
        await opened.open()
        await bring_up_to_date(opened)
    finally:
        await opened.aclose()
    return NEWEST


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
