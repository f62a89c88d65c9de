"""Reads JSON values of unknown shape, such as the data of a part, which are untrusted."""

from __future__ import annotations

import math
from typing import Any

from wireside.invisible_text import seen

MAX_DEPTH = 24
"""Nesting of a JSON value below which the rest is left out."""

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest integer that a browser represents exactly."""

_PROTOTYPES = frozenset({"__proto__", "constructor", "prototype"})
"""Keys that lead a script from an object to what all objects share."""


def text_in(value: Any, max_chars: int) -> str:
    """Return a text as it is shown, at most ``max_chars`` long; "" for any other value."""
    if not isinstance(value, str):
        return ""
    return seen(value if len(value) <= max_chars else f"{value[:max_chars]}…")


def number_in(value: Any) -> float | None:
    """Return a finite number; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= MAX_SAFE_INTEGER else None  # also false for NaN


def clean(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a JSON value without what deceives a reader or a script.

    That are invisible characters which change the meaning of a text, the names of prototypes as
    keys, numbers that JSON does not have, and what is nested deeper than ``depth``.
    """
    match value:
        case str():
            return seen(value)
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [clean(one, depth - 1) for one in value] if depth > 0 else None
        case dict():
            if depth <= 0:
                return None
            return {
                seen(key): clean(one, depth - 1)
                for key, one in value.items()
                if key not in _PROTOTYPES
            }
        case _:
            return value
