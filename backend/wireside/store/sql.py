"""What the two databases spell alike, but SQLAlchemy does not."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite import Insert


def is_sqlite(connection: Connection) -> bool:
    """Return whether it is SQLite, else PostgreSQL."""
    return connection.dialect.name == "sqlite"


def insert(table: Table, is_on_sqlite: bool) -> Insert:
    """Return an ``INSERT`` that may say ``ON CONFLICT``."""
    if is_on_sqlite:
        return sqlite.insert(table)
    return cast("Insert", postgresql.insert(table))
