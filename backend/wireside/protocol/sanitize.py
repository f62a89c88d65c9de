"""The integration guide's sanitising: ``<script`` is escaped, however a model splits it.

This is compatibility with clients of the guide, not a general defence against hostile HTML:
escaping is the duty of the code that renders the text.
"""

from __future__ import annotations

import re

# ASCII letters only: with re.IGNORECASE alone, Python would also match "ſ" (U+017F)
_TAG = re.compile(r"<(?=script)", re.IGNORECASE | re.ASCII)
_HELD = re.compile(r"<(?:s(?:c(?:r(?:ip?)?)?)?)?\Z", re.IGNORECASE | re.ASCII)


class ScriptEscaper:
    """Escapes ``<`` before ``script`` as ``&lt;``, holding back at most 6 characters to decide.

    >>> escaper = ScriptEscaper()
    >>> escaper.feed("a <scr"), escaper.feed("ipt>"), escaper.flush()
    ('a ', '&lt;script>', '')
    """

    def __init__(self) -> None:
        self._held = ""

    @property
    def held(self) -> int:
        """Number of characters held back."""
        return len(self._held)

    def feed(self, text: str) -> str:
        """Add ``text``; return the escaped text up to where it is decided."""
        text = self._held + text
        match = _HELD.search(text)
        cut = match.start() if match else len(text)
        self._held = text[cut:]
        return _TAG.sub("&lt;", text[:cut])

    def flush(self) -> str:
        """Return the characters held back: the text has ended, so they are not a tag."""
        held, self._held = self._held, ""
        return held
