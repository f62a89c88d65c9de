"""Limits of an import, for the whole file: the author of a file may be hostile.

A few bytes of an archive may expand to millions of turns, and a tree may repeat the same text again
and again, so the output is bounded as well as the input.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wireside.errors import BadMessage
from wireside.messages import Entry, PartDelta, ToolDelta
from wireside.parts import size_of

MAX_BYTES = 256 * 1024 * 1024
"""Maximum size of a file, and of its unpacked content."""

MAX_CONVERSATIONS = 20_000
MAX_TURNS = 200_000
"""Maximum number of turns in all conversations of a file."""

MAX_PARTS = 1_000_000
"""Maximum number of pieces in all answers: branches of ChatGPT's trees share theirs."""

MAX_CHARS = 256 * 1024 * 1024
"""Maximum length of all questions and answers, for the same reason."""

MAX_ENTRIES = 100_000
"""Maximum number of files in an archive."""

MAX_VALUES = 8_000_000
"""Maximum number of values in a JSON text.

Locating conversations costs 80 bytes each, and each may be a single value.
"""

MAX_VALUES_OF_ONE = 3_000_000
MAX_BYTES_OF_ONE = 128 * 1024 * 1024
"""Maximum size of one conversation.

Its values are in memory, at 200 bytes per value or four per character.
"""

MAX_NAME_CHARS = 200
"""Maximum length of the name of a model, a tool or a file."""

IN_PARTS = "Import it in parts: put fewer conversations into each file."


class TooMuch(BadMessage):
    """The file exceeds a limit as a whole.

    The file is rejected, whereas a single malformed conversation is skipped.
    """


@dataclass(slots=True)
class ImportBudget:
    """What the remaining conversations of a file may contain."""

    turns: int = field(default_factory=lambda: MAX_TURNS)
    parts: int = field(default_factory=lambda: MAX_PARTS)
    chars: int = field(default_factory=lambda: MAX_CHARS)

    def spend(self, *, turns: int = 0, parts: int = 0, chars: int = 0) -> None:
        """Subtract from the budget.

        Raises:
            TooMuch: nothing is left.
        """
        self.turns -= turns
        self.parts -= parts
        self.chars -= chars
        if self.turns < 0:
            raise TooMuch(f"The file has more than {MAX_TURNS:,} turns in all. {IN_PARTS}")
        if self.parts < 0 or self.chars < 0:
            raise TooMuch(f"The answers in the file are too long in all. {IN_PARTS}")


def length_of(entry: Entry) -> int:
    """Return the number of characters of a part of an answer."""
    if isinstance(entry, ToolDelta):
        return len(entry.arguments or "") + len(entry.result or "")
    if isinstance(entry, PartDelta):
        return size_of(entry.part)
    return len(entry.text)


def too_large() -> BadMessage:
    """Return the error for a file whose content exceeds ``MAX_BYTES``."""
    return BadMessage(f"The file is too large: at most {MAX_BYTES // 2**20} MB can be read.")
