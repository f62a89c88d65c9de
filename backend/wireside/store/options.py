"""Options as they are stored: JSON without the values that are defaults."""

from __future__ import annotations

from dataclasses import asdict

import msgspec

from wireside.messages import Options


def options_json(options: Options) -> str:
    """Return ``options`` as JSON.

    Values of None and False are left out. A temperature of 0 and empty instructions are choices,
    so they are kept.
    """
    given = {
        name: value
        for name, value in asdict(options).items()
        if value or (name in ("temperature", "system") and value is not None)
    }
    return msgspec.json.encode(given).decode()


def options_from(text: str) -> Options:
    """Return the options that ``options_json`` has encoded."""
    return msgspec.json.decode(text, type=Options)
