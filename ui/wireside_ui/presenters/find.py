"""Search within one conversation.

Case, combining marks and white space are ignored. A query matches the Markdown source and the
rendered text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

MAX_QUERY_CHARS = 200

MAX_FOUND = 1_000
"""Maximum number of turns that one search returns."""

SLICE_CHARS = 65_536
"""Characters folded at once: some C functions hold the GIL for the whole call."""

_OVERLAP_CHARS = 2_000
"""Overlap of two slices: the longest query, with Markdown syntax in between."""

_SIGNS = re.compile(r"[*_`~\[]+|^[ \t]*(?:#{1,6}|>|[-+])[ \t]+|\]\([^()\s]{0,2000}\)", re.MULTILINE)
"""Markdown syntax that is not shown: emphasis, list and heading marks, the ends of links.

Matching takes linear time: each repetition ends at a character that starts another match.
"""


def folded(text: str) -> str:
    """Return ``text`` case-folded, without combining marks, with white space collapsed.

    The page's script folds text in the same way.
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.category(c).startswith("M"))
    return " ".join(plain.casefold().split())


def contains(query: str, texts: Iterable[str]) -> bool:
    """Return whether the source or the rendered text of one of ``texts`` contains ``query``.

    ``texts`` are Markdown; ``query`` must be ``folded``.
    """
    return any(
        query in folded(part) or query in folded(_SIGNS.sub("", part))
        for text in texts
        for part in _slices(text)
    )


def _slices(text: str) -> Iterator[str]:
    for start in range(0, max(len(text) - _OVERLAP_CHARS, 1), SLICE_CHARS):
        yield text[start : start + SLICE_CHARS + _OVERLAP_CHARS]
