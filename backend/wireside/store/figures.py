"""The server's metrics in a database (``ports.figures.FigureStore``)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, tuple_

from wireside.records import FigureStep
from wireside.store.database import Database
from wireside.store.tables import figures


class SqlFigures:
    """Implements ``FigureStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store_steps(self, steps: Sequence[FigureStep]) -> None:
        """See ``FigureStore``."""
        rows = [{"seconds": step.seconds, "at": step.at, "figures": step.figures} for step in steps]
        keys = [(row["seconds"], row["at"]) for row in rows]

        def replace_steps(connection: Connection) -> None:
            connection.execute(
                delete(figures).where(tuple_(figures.c.seconds, figures.c.at).in_(keys))
            )
            connection.execute(figures.insert(), rows)

        if rows:
            await self._database.write(replace_steps)

    async def read_steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """See ``FigureStore``."""
        statement = (
            select(figures)
            .where(figures.c.seconds == seconds, figures.c.at >= since, figures.c.at < until)
            .order_by(figures.c.at)
        )

        def select_steps(connection: Connection) -> list[FigureStep]:
            return [
                FigureStep(row.at, row.seconds, row.figures)
                for row in connection.execute(statement)
            ]

        return await self._database.read(select_steps)

    async def remove_steps(self, before: int) -> None:
        """See ``FigureStore``."""

        def delete_steps(connection: Connection) -> None:
            connection.execute(delete(figures).where(figures.c.at < before))

        await self._database.write(delete_steps)
