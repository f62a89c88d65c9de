"""Keeps users' text out of the log where a model's server repeats it in an error message."""

from __future__ import annotations

from collections.abc import Iterable

RUN = 12
"""Number of consecutive matching letters and digits that counts as a repetition."""

STRIDE = 4
"""Distance between the runs of a text that are compared.

A repetition of at least ``RUN + STRIDE - 1`` characters is always found.
"""

WITHHELD = "[withheld: it repeats the question]"


def without_content(words: str, texts: Iterable[str]) -> str:
    """Return a server's message, or ``WITHHELD`` if it repeats a part of ``texts``.

    Only letters and digits are compared, so quoting and escaping make no difference.
    """
    said = _bare(words)
    if not said:
        return words
    runs = {said[at : at + RUN] for at in range(len(said) - RUN + 1)}
    return WITHHELD if any(_repeats(said, runs, _bare(text)) for text in texts) else words


def _repeats(said: str, runs: set[str], text: str) -> bool:
    if len(text) < RUN + STRIDE:
        return len(text) > RUN // 2 and text in said
    return any(text[at : at + RUN] in runs for at in range(0, len(text) - RUN + 1, STRIDE))


def _bare(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
