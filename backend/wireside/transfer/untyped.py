"""Reads values out of parsed JSON of unknown types: a value of the wrong type counts as empty."""

from __future__ import annotations

from typing import Any


def as_text(value: object) -> str:
    """Return a string without NUL, which PostgreSQL rejects; "" for other types."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""


def as_line(value: object, max_chars: int) -> str:
    """Return a string on one line, cut to ``max_chars``."""
    return " ".join(as_text(value).split())[:max_chars].strip()


def as_dict(value: object) -> dict[str, Any]:
    """Return a dict; {} for other types."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list; [] for other types."""
    return value if isinstance(value, list) else []
