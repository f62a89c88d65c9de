"""SQL that SQLite and PostgreSQL share but SQLAlchemy does not unify, and prepared statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Table,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Text, TypeDecorator, TypeEngine

from wireside.store.tables import escape

Row = Mapping[str, Any]
"""The values of a statement's parameters, by name."""


def is_sqlite(connection: Connection) -> bool:
    """Return whether the database is SQLite; otherwise it is PostgreSQL."""
    return connection.dialect.name == "sqlite"


def insert_into(table: Table, is_on_sqlite: bool) -> Insert:
    """Return an ``INSERT`` that supports ``ON CONFLICT``."""
    if is_on_sqlite:
        return sqlite.insert(table)
    return cast("Insert", postgresql.insert(table))


def is_in_parameter(
    column: ColumnElement[Any], name: str, is_on_sqlite: bool
) -> ColumnElement[bool]:
    """Return the condition that an id is in the list that the parameter ``name`` has as value."""
    ids = bindparam(name, type_=Texts)
    if is_on_sqlite:
        return column.in_(select(func.json_each(ids).table_valued("value").c.value))
    return column == any_(ids)


class Prepared:
    """A statement that is compiled once for each dialect and executed by the database's driver.

    It is for the statements of each question and each commit: SQLAlchemy takes 100 µs and more to
    build a statement and to find its compiled form, the driver a few to execute it. Rows that it
    returns are those of the driver, with ids and texts as ``escape`` has made them.
    """

    def __init__(self, build: Callable[[bool], Executable]) -> None:
        """``build`` returns the statement; its argument is whether the database is SQLite."""
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Execute the statement for each of ``rows``, which are not empty.

        Returns the number of rows that were changed.
        """
        compiled = self._compiled_for(connection)
        values = [compiled.parameter_values(row) for row in rows]
        if not is_sqlite(connection):
            return connection.exec_driver_sql(compiled.text, values).rowcount
        if len(values) == 1:
            return int(_driver_connection(connection).execute(compiled.text, values[0]).rowcount)
        return int(_driver_connection(connection).executemany(compiled.text, values).rowcount)

    def fetch_rows(self, connection: Connection, row: Row) -> Sequence[Sequence[Any]]:
        """Execute a query and return the rows that it found."""
        compiled = self._compiled_for(connection)
        values = compiled.parameter_values(row)
        if not is_sqlite(connection):
            return connection.exec_driver_sql(compiled.text, values).all()
        found: list[tuple[Any, ...]] = (
            _driver_connection(connection).execute(compiled.text, values).fetchall()
        )
        return found

    def _compiled_for(self, connection: Connection) -> _Compiled:
        name = connection.dialect.name
        compiled = self._compiled.get(name)
        if compiled is None:
            statement = self._build(is_sqlite(connection))
            compiled = self._compiled[name] = _compile_statement(statement, connection.dialect)
        return compiled


def _driver_connection(connection: Connection) -> Any:
    return connection.connection.driver_connection


@dataclass(frozen=True, slots=True)
class _Compiled:
    """SQL text, and the names of its parameters in order, with the conversion of each."""

    text: str
    parameters: tuple[tuple[str, Callable[[Any], Any] | None], ...]

    def parameter_values(self, row: Row) -> tuple[Any, ...]:
        return tuple(
            [
                row[name] if convert is None else convert(row[name])
                for name, convert in self.parameters
            ]
        )


def _compile_statement(statement: Executable, dialect: Dialect) -> _Compiled:
    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return _Compiled(
        str(compiled),
        tuple(
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ),
    )


class Texts(TypeDecorator[Sequence[str]]):
    """A list of ids or texts: JSON in SQLite, an array in PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column or array."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else ARRAY(Text)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """Return the escaped values."""
        texts = [escape(one) for one in value or ()]
        return msgspec.json.encode(texts).decode() if dialect.name == "sqlite" else texts
