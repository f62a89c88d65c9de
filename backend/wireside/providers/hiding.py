"""Keeps what people wrote out of the log, where a model's server repeats it in an error."""

from __future__ import annotations

from collections.abc import Iterable

RUN = 12
"""Letters and digits in a row that are no coincidence."""

STRIDE = 4
"""Runs of the long text are looked at so far apart: repetitions of ``RUN + STRIDE - 1`` are found
for sure."""

WITHHELD = "[withheld: it repeats the question]"


def without_content(words: str, texts: Iterable[str]) -> str:
    """Return a server's words, or ``WITHHELD`` where they repeat some of ``texts``.

    Compared are letters and digits only, so that quoting and escaping make no difference.
    """
    said = _bare(words)
    runs = {said[at : at + RUN] for at in range(len(said) - RUN + 1)}
    return WITHHELD if any(_repeats(said, runs, _bare(text)) for text in texts) else words


def _repeats(said: str, runs: set[str], text: str) -> bool:
    if len(text) < RUN + STRIDE:
        return len(text) > RUN // 2 and text in said
    return any(text[at : at + RUN] in runs for at in range(0, len(text) - RUN + 1, STRIDE))


def _bare(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
