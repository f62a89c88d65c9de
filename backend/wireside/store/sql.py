"""SQL that SQLite and PostgreSQL share but SQLAlchemy does not unify."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite import Insert


def is_sqlite(connection: Connection) -> bool:
    """Return whether the database is SQLite; otherwise it is PostgreSQL."""
    return connection.dialect.name == "sqlite"


def insert(table: Table, is_on_sqlite: bool) -> Insert:
    """Return an ``INSERT`` that supports ``ON CONFLICT``."""
    if is_on_sqlite:
        return sqlite.insert(table)
    return cast("Insert", postgresql.insert(table))
