"""The guide's sanitising: ``<script`` never leaves as markup, however a model cuts it.

This is compatibility with clients of the guide, no defence against hostile HTML in general:
escaping belongs to whoever renders.
"""

from __future__ import annotations

import re

# ASCII letters only: with re.IGNORECASE alone, Python would also match "ſ" (U+017F)
_TAG = re.compile(r"<(?=script)", re.IGNORECASE | re.ASCII)
_HELD = re.compile(r"<(?:s(?:c(?:r(?:ip?)?)?)?)?\Z", re.IGNORECASE | re.ASCII)


class ScriptEscaper:
    """Turns ``<`` before ``script`` into ``&lt;``; holds back at most 6 characters to know.

    >>> escaper = ScriptEscaper()
    >>> escaper.feed("a <scr"), escaper.feed("ipt>"), escaper.flush()
    ('a ', '&lt;script>', '')
    """

    def __init__(self) -> None:
        self._held = ""

    @property
    def held(self) -> int:
        """Characters that were fed and not yet given out."""
        return len(self._held)

    def feed(self, text: str) -> str:
        """Return what is certain after ``text``, escaped."""
        text = self._held + text
        match = _HELD.search(text)
        cut = match.start() if match else len(text)
        self._held = text[cut:]
        return _TAG.sub("&lt;", text[:cut])

    def flush(self) -> str:
        """Return what was held back: the text has ended, so it is no tag."""
        held, self._held = self._held, ""
        return held
