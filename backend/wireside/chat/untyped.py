"""Reads values of any type out of parsed JSON: a value of the wrong type counts as empty."""

from __future__ import annotations

from typing import Any


def as_text(value: object) -> str:
    """Return a text, without NUL: PostgreSQL refuses it."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""


def as_line(value: object, max_chars: int) -> str:
    """Return a text in one line, cut to ``max_chars``."""
    return " ".join(as_text(value).split())[:max_chars].strip()


def as_dict(value: object) -> dict[str, Any]:
    """Return an object, {} for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list, [] for anything else."""
    return value if isinstance(value, list) else []
