"""Delimiters of formulas, shared by displayed and inline ones."""

from __future__ import annotations

import re

MAX_MATH_CHARS = 4_000
"""Maximum length of a displayed formula; a longer one is treated as text."""

MAX_INLINE_MATH_CHARS = 500
r"""Maximum length of a formula in ``$ … $`` or ``\( … \)``."""

ENVIRONMENTS = (
    "align|alignat|aligned|alignedat|array|cases|CD|darray|dcases|drcases|eqnarray|equation|flalign"
    "|gather|gathered|multline|rcases|smallmatrix|split|subarray|[pbvBV]?matrix"
)
CLOSINGS = {
    "$$": re.compile(r"(?<![\\$])(?:\\\\)*\$\$(?!\$)"),
    r"\[": re.compile(r"(?<!\\)(?:\\\\)*\\\]"),
}


def is_escaped(before: str) -> bool:
    """Return whether a delimiter after ``before`` is escaped by a backslash."""
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1
