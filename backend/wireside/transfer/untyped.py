"""Reads values out of parsed JSON of unknown types: a value of the wrong type counts as empty."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

MAX_NUMBER = 2**53


def string_or_empty(value: object) -> str:
    """Return a string without NUL, which PostgreSQL rejects; "" for other types."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""


def single_line(value: object, max_chars: int) -> str:
    """Return a string on one line, cut to ``max_chars``."""
    return " ".join(string_or_empty(value).split())[:max_chars].strip()


def dict_or_empty(value: object) -> dict[str, Any]:
    """Return a dict; {} for other types."""
    return value if isinstance(value, dict) else {}


def list_or_empty(value: object) -> list[Any]:
    """Return a list; [] for other types."""
    return value if isinstance(value, list) else []


def as_number(value: object) -> float | None:
    """Return a finite number; None for other types."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value) if abs(value) < MAX_NUMBER else math.inf
    return number if math.isfinite(number) else None


def count_or_none(value: object) -> int | None:
    """Return a whole number of at least 0; None for other values."""
    number = as_number(value)
    return int(number) if number is not None and number >= 0 else None


def seconds_or_none(value: object) -> float | None:
    """Return a number of at least 0; None for other values."""
    number = as_number(value)
    return number if number is not None and number >= 0 else None


def seconds_since_1970(value: object, *, fallback: float, latest: float) -> float:
    """Return a number or an ISO 8601 string as seconds since 1970, ``latest`` at most.

    Other values, and times before 1970, are ``fallback``.
    """
    seconds = as_number(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value[:40])
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = None
    return min(seconds, latest) if seconds is not None and seconds >= 0 else fallback
