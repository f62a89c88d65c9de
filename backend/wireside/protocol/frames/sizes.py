"""Sizes of texts inside frames, and texts split to fit into frames of a size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

CHUNK_BYTES: Final = 180
"""Largest size of a ``chunk`` or ``reasoning`` frame without its text, in bytes."""

CHAR_BYTES: Final = 6
"""Largest size of a character in JSON, in bytes: ``\\u0000``."""

_encode = msgspec.json.Encoder().encode


def text_bytes(text: str) -> int:
    """Return the size of a text within a JSON string, in bytes."""
    return len(_encode(text)) - 2


def prefix(text: str, max_bytes: int, *, escapes: bool = False) -> str:
    """Return nearly the longest prefix of ``text`` that fits ``max_bytes`` in a JSON string.

    ``escapes`` reserves space for the characters that the sanitiser adds.
    """
    part = text[:max_bytes]
    while part:
        size = text_bytes(part) + (3 * part.count("<") if escapes else 0)
        if size <= max_bytes:
            break
        part = part[: min(len(part) - 1, len(part) * max_bytes // size)]
    return part


def split_text(text: str, max_bytes: int, *, escapes: bool = False) -> Iterator[str]:
    """Split ``text`` at code points into parts of at most ``max_bytes`` each in a JSON string.

    ``escapes`` reserves space for the characters that the sanitiser holds back and adds.
    """
    if escapes:
        max_bytes -= 16
    start = 0
    while start < len(text):
        part = prefix(text[start : start + max_bytes], max_bytes, escapes=escapes) or text[start]
        yield part
        start += len(part)
