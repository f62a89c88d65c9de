"""The interface of storage for the server's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wireside.records import FigureStep


class FigureStore(Protocol):
    """Storage of the server's metrics. Servers that share a database store their own each.

    Every method raises ``StoreError`` when the store is unavailable. Times are whole seconds since
    1970.
    """

    async def store_steps(self, steps: Sequence[FigureStep]) -> None:
        """Store steps, replacing those of the same time and length."""
        ...

    async def read_steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """Return the steps of length ``seconds`` with ``since <= at < until``, oldest first."""
        ...

    async def read_others(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """Return such steps of the other servers on the database, in any order."""
        ...

    async def remove_steps(self, before: int, *, seconds: int | None = None) -> None:
        """Remove steps that begin before that time; only those of a length if it is given."""
        ...
