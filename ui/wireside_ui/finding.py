"""Finding text within one conversation: case, combining marks and white space are ignored, and
Markdown matches as it is written and as it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_QUERY_CHARS = 200

MAX_FOUND = 1_000
"""Turns that one search returns at most."""

_SIGNS = re.compile(
    r"[*_`~]+|^[ \t]*(?:#{1,6}|>|[-+])[ \t]+|\[(?=[^\]\n]{0,500}\]\()|\]\([^()\s]{0,2000}\)",
    re.MULTILINE,
)
"""What Markdown writes and does not show: emphasis, list and heading marks, the ends of links."""


def folded(text: str) -> str:
    """Return ``text`` without case and combining marks, with one space for any white space.

    The page's script folds in the same way.
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.category(c).startswith("M"))
    return " ".join(plain.lower().split())


def contains(query: str, texts: Iterable[str]) -> bool:
    """Return whether one of ``texts``, each Markdown, contains ``query``, which is folded: as it
    is written, or as it is shown.
    """
    return any(query in folded(text) or query in folded(_SIGNS.sub("", text)) for text in texts)
