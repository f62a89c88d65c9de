"""Finding text within one conversation: case, combining marks and white space are ignored, and
Markdown matches as it is written and as it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

MAX_QUERY_CHARS = 200

MAX_FOUND = 1_000
"""Turns that one search returns at most."""

SLICE_CHARS = 65_536
"""Of a long text, so much is folded at once: some C functions hold the interpreter that long."""

_OVERLAP_CHARS = 2_000
"""What two slices share: the longest query, with signs of Markdown in between."""

_SIGNS = re.compile(r"[*_`~\[]+|^[ \t]*(?:#{1,6}|>|[-+])[ \t]+|\]\([^()\s]{0,2000}\)", re.MULTILINE)
"""What Markdown writes and does not show: emphasis, list and heading marks, the ends of links.
Linear in the text: each repetition ends at a character that begins another match.
"""


def folded(text: str) -> str:
    """Return ``text`` without case and combining marks, with one space for any white space.

    The page's script folds in the same way.
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.category(c).startswith("M"))
    return " ".join(plain.casefold().split())


def contains(query: str, texts: Iterable[str]) -> bool:
    """Return whether one of ``texts``, each Markdown, contains ``query``, which is folded: as it
    is written, or as it is shown.
    """
    return any(
        query in folded(part) or query in folded(_SIGNS.sub("", part))
        for text in texts
        for part in _slices(text)
    )


def _slices(text: str) -> Iterator[str]:
    for start in range(0, max(len(text) - _OVERLAP_CHARS, 1), SLICE_CHARS):
        yield text[start : start + SLICE_CHARS + _OVERLAP_CHARS]
