"""Stored options: JSON without default values."""

from __future__ import annotations

from dataclasses import fields

import msgspec

from wireside.messages import Options


def options_json(options: Options) -> str:
    """Return ``options`` as JSON.

    Values of None and False are left out. A temperature of 0 and empty instructions are choices,
    so they are kept.
    """
    values = ((field.name, getattr(options, field.name)) for field in fields(options))
    given = {
        name: value
        for name, value in values
        if value or (name in ("temperature", "system") and value is not None)
    }
    return msgspec.json.encode(given).decode()


def options_from(text: str) -> Options:
    """Return the options encoded by ``options_json``."""
    return msgspec.json.decode(text, type=Options)
