"""Several models that answer one question side by side, as versions of one turn. Pure.

All versions have a hidden part in their question that names the first of them. The one that is kept
has a hidden part in its answer; then, and when the conversation goes on, they are versions like any
others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from wireside.parts import DataPart, Part, data_of

COMPARED: Final = ".compared"
KEPT: Final = ".kept"

MIN_MODELS: Final = 2
MAX_MODELS: Final = 4


def turn_ids(first: str, count: int) -> list[str]:
    """Return the ids of the turns of a comparison."""
    return [first, *(f"{first}-{number}" for number in range(2, count + 1))]


def compared_part(first: str) -> DataPart:
    """Return the part of a question that several models are asked at once."""
    return DataPart(kind=COMPARED, data=json.dumps({"first": first}))


def kept_part() -> DataPart:
    """Return the part of the answer that was kept."""
    return DataPart(kind=KEPT, data="{}")


def comparison_of(question: Iterable[Part]) -> str | None:
    """Return the id of the first turn of the comparison that a question belongs to."""
    for part in question:
        if isinstance(part, DataPart) and part.kind == COMPARED:
            data = data_of(part)
            first = data.get("first") if isinstance(data, dict) else None
            return first if isinstance(first, str) else None
    return None


def is_kept(answer: Iterable[Part]) -> bool:
    """Return whether an answer was kept."""
    return any(isinstance(part, DataPart) and part.kind == KEPT for part in answer)


def without_comparison(question: Iterable[Part]) -> tuple[Part, ...]:
    """Return a question that is asked again by itself."""
    return tuple(
        part for part in question if not (isinstance(part, DataPart) and part.kind == COMPARED)
    )
