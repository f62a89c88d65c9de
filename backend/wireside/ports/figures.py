"""The interface of storage for the server's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wireside.records import FigureStep


class FigureStore(Protocol):
    """Storage of the server's metrics.

    Every method raises ``StoreError`` when the store is unavailable. Times are whole seconds since
    1970.
    """

    async def store_steps(self, steps: Sequence[FigureStep]) -> None:
        """Store steps, replacing those of the same time and length."""
        ...

    async def read_steps(self, seconds: int, since: int, until: int) -> Sequence[FigureStep]:
        """Return the steps of length ``seconds`` with ``since <= at < until``, oldest first."""
        ...

    async def remove_steps(self, before: int) -> None:
        """Remove steps that begin before that time."""
        ...
