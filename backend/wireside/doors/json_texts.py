"""JSON that the clients of doors accept, from the texts of an answer."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

encode_text: Final = msgspec.json.Encoder().encode
"""Returns the JSON of a string, or of another value, as bytes."""

_decode: Final = msgspec.json.Decoder().decode

_REFUSED_KEYS: Final = (b'"__proto__"', b'"constructor"')


def to_json(value: Any) -> str:
    """Return the JSON text of a value."""
    try:
        return encode_text(value).decode()
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, a number of 30 digits
        return json.dumps(value)


def json_in(text: str) -> str:
    """Return a text that is JSON, without line breaks; any other text as a JSON string.

    JavaScript clients refuse objects with keys such as ``__proto__``: they stay a string.
    """
    try:
        found = encode_text(_decode(text))
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError, UnicodeError):
        return to_json(text)
    if any(key in found for key in _REFUSED_KEYS):
        return to_json(text)
    return found.decode()
