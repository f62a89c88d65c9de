"""The server's metrics in a database (``ports.figures.FigureStore``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, select, tuple_

from wireside.records import FigureStep
from wireside.store.database import Database
from wireside.store.tables import figures, replica_figures


class SqlFigures:
    """Implements ``FigureStore``, which documents the methods."""

    def __init__(self, database: Database, name: str | None = None) -> None:
        """``name`` is the name of one of several servers; None if it has the database alone."""
        self._database = database
        self._name = name
        self._table: Table = figures if name is None else replica_figures

    async def store_steps(self, steps: Sequence[FigureStep]) -> None:
        """See ``FigureStore``."""
        rows = [
            {"seconds": step.seconds, "at": step.at, "figures": step.figures, **self._named}
            for step in steps
        ]
        keys = [(row["seconds"], row["at"]) for row in rows]
        table = self._table

        def replace_steps(connection: Connection) -> None:
            connection.execute(
                delete(table).where(
                    tuple_(table.c.seconds, table.c.at).in_(keys), *self._is_own(table)
                )
            )
            connection.execute(table.insert(), rows)

        if rows:
            await self._database.write(replace_steps)

    async def read_steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """See ``FigureStore``."""
        return await self._fetch_steps(
            _steps_of(self._table, seconds, since, until)
            .where(*self._is_own(self._table))
            .order_by(self._table.c.at)
        )

    async def read_others(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """See ``FigureStore``."""
        if self._name is None:
            return ()
        others = _steps_of(replica_figures, seconds, since, until).where(
            replica_figures.c.name != self._name
        )
        # those from before several servers shared the database
        alone = _steps_of(figures, seconds, since, until)
        return [*await self._fetch_steps(others), *await self._fetch_steps(alone)]

    async def remove_steps(self, before: int, *, seconds: int | None = None) -> None:
        """See ``FigureStore``."""

        def delete_steps(connection: Connection) -> None:
            for table in (figures, replica_figures):
                statement = delete(table).where(table.c.at < before)
                if seconds is not None:
                    statement = statement.where(table.c.seconds == seconds)
                connection.execute(statement)

        await self._database.write(delete_steps)

    @property
    def _named(self) -> dict[str, str]:
        return {} if self._name is None else {"name": self._name}

    def _is_own(self, table: Table) -> list[Any]:
        return [] if self._name is None else [table.c.name == self._name]

    async def _fetch_steps(self, statement: Select[Any]) -> list[FigureStep]:
        def select_steps(connection: Connection) -> list[FigureStep]:
            return [
                FigureStep(row.at, row.seconds, row.figures, getattr(row, "name", ""))
                for row in connection.execute(statement)
            ]

        return await self._database.read(select_steps)


def _steps_of(table: Table, seconds: int, since: int, until: int) -> Select[Any]:
    return select(table).where(table.c.seconds == seconds, table.c.at >= since, table.c.at < until)
