"""Graphemes: the characters as a reader sees them. Pure.

The rules are those of Unicode's annex 29 as far as ``unicodedata`` knows the properties.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

ZWJ = "\u200d"

_VIRAMA = 9
"""Combining class of signs that join two consonants."""


def graphemes(text: str) -> Iterator[str]:
    """Yield the graphemes of ``text``.

    >>> list(graphemes("ok🇩🇪🇫🇷"))
    ['o', 'k', '🇩🇪', '🇫🇷']
    """
    start = 0
    for at in range(1, len(text)):
        if not _continues_grapheme(text, start, at):
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


def cut_at_grapheme(text: str, max_chars: int, *, max_bytes: int | None = None) -> str:
    """Return the beginning of ``text`` in at most ``max_chars`` code points and ``max_bytes`` of
    UTF-8, without a part of a grapheme. A first grapheme that is too long is cut all the same.
    """
    end = 0
    size = 0
    for one in graphemes(text):
        size += len(one.encode(errors="replace"))
        if end + len(one) > max_chars or (max_bytes is not None and size > max_bytes):
            break
        end += len(one)
    if end or not text:
        return text[:end]
    start = text[:max_chars]
    if max_bytes is not None:
        start = start.encode(errors="replace")[:max_bytes].decode(errors="ignore")
    return start


def _continues_grapheme(text: str, start: int, at: int) -> bool:
    """Return whether the character at ``at`` belongs to the grapheme that begins at ``start``."""
    char, before = text[at], text[at - 1]
    if _is_flag_half(char):
        return at - start == 1 and _is_flag_half(before)
    if before == ZWJ:
        return unicodedata.category(char)[0] in "LSCN"  # an emoji may be newer than our data
    if unicodedata.combining(before) == _VIRAMA and unicodedata.category(char) == "Lo":
        return True
    return (
        unicodedata.category(char)[0] == "M"
        or char in "\u200c\u200d\u0e33\u0eb3\uff9e\uff9f"
        or "\u1160" <= char <= "\u11ff"  # vowels and final consonants of Hangul
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= char <= "\U000e007f"  # tags: flags of regions
    )


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
