"""Makes text of a server harmless for a terminal.

A terminal obeys control characters: escape sequences move the cursor, overwrite earlier lines, set
the title of the window or answer in the name of the user. Answers are texts of others, so none of
these characters reaches the terminal.
"""

from __future__ import annotations

from wireside.invisible_text import SeenStream, seen

_VISIBLE = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"}
_VISIBLE[0x7F] = 0x2421
_VISIBLE |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_TABLE: dict[int, int | None] = {**_VISIBLE, 0x0D: None, 0x2028: 0x0A, 0x2029: 0x0A}
"""Control characters become their pictures, such as ␛; carriage returns are dropped."""


def harmless(text: str) -> str:
    """Return a whole text without control characters and deceptive invisible ones."""
    return seen(text.translate(_TABLE))


def harmless_line(text: str) -> str:
    """Return ``text`` as one harmless line."""
    return " ".join(harmless(text).split())


class HarmlessStream:
    """An incremental ``harmless``: the result does not depend on how the text is split."""

    def __init__(self) -> None:
        self._seen = SeenStream()

    def feed(self, text: str) -> str:
        """Add text; return what is final so far."""
        return self._seen.take(text.translate(_TABLE), is_last=False)

    def flush(self) -> str:
        """Return what was held back, at the end."""
        return self._seen.take("", is_last=True)
