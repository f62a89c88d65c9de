"""Limits of an import, for the whole file: the author of a file may be hostile.

A few bytes of an archive may expand to millions of turns, and a tree may repeat the same text again
and again, so the output is bounded as well as the input.
"""

from __future__ import annotations

from dataclasses import dataclass

from wireside.errors import BadMessage
from wireside.messages import Entry, PartDelta, ToolDelta
from wireside.parts import size_of

MAX_NAME_CHARS = 200
"""Maximum length of the name of a model, a tool or a file."""

IN_PARTS = "Import it in parts: put fewer conversations into each file."


class TooMuch(BadMessage):
    """The file exceeds a limit as a whole.

    The file is rejected, whereas a single malformed conversation is skipped.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLimits:
    """What a file may contain."""

    max_bytes: int = 256 * 1024 * 1024
    """Maximum size of a file, and of its unpacked content."""

    max_conversations: int = 20_000
    max_turns: int = 200_000
    """Maximum number of turns in all conversations of a file."""

    max_parts: int = 1_000_000
    """Maximum number of pieces in all answers: branches of ChatGPT's trees share theirs."""

    max_chars: int = 256 * 1024 * 1024
    """Maximum length of all questions and answers, for the same reason."""

    max_entries: int = 100_000
    """Maximum number of files in an archive."""

    max_values: int = 8_000_000
    """Maximum number of values in a JSON text.

    Locating conversations costs 80 bytes each, and each may be a single value.
    """

    max_values_of_one: int = 3_000_000
    max_bytes_of_one: int = 128 * 1024 * 1024
    """Maximum size of one conversation.

    Its values are in memory, at 200 bytes per value or four per character.
    """


IMPORT_LIMITS = ImportLimits()


class ImportBudget:
    """What the remaining conversations of a file may contain."""

    def __init__(self, limits: ImportLimits = IMPORT_LIMITS) -> None:
        self._limits = limits
        self._turns = limits.max_turns
        self._parts = limits.max_parts
        self._chars = limits.max_chars

    def spend_budget(self, *, turns: int = 0, parts: int = 0, chars: int = 0) -> None:
        """Subtract from the budget.

        Raises:
            TooMuch: nothing is left.
        """
        self._turns -= turns
        self._parts -= parts
        self._chars -= chars
        if self._turns < 0:
            raise TooMuch(
                f"The file has more than {self._limits.max_turns:,} turns in all. {IN_PARTS}"
            )
        if self._parts < 0 or self._chars < 0:
            raise TooMuch(f"The answers in the file are too long in all. {IN_PARTS}")


def length_of(entry: Entry) -> int:
    """Return the number of characters of a part of an answer."""
    if isinstance(entry, ToolDelta):
        return len(entry.arguments or "") + len(entry.result or "")
    if isinstance(entry, PartDelta):
        return size_of(entry.part)
    return len(entry.text)


def too_large(max_bytes: int) -> BadMessage:
    """Return the error for a file whose content exceeds ``max_bytes``."""
    return BadMessage(f"The file is too large: at most {max_bytes // 2**20} MB can be read.")
