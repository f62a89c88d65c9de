"""Reads what the user types: one line, or several, with history and editing by ``readline``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import ModuleType
from typing import Final

from platformdirs import user_state_path

readline: ModuleType | None
try:
    import readline
except ImportError:  # Windows has its own line editing
    readline = None

HISTORY_LINES: Final = 1_000
QUOTES: Final = '"""'


def history_file() -> Path:
    """Return the file that keeps the questions of earlier chats."""
    return user_state_path("wireside") / "chat_history"


class LineInput:
    """Reads questions. ``history`` is a file that only its owner can read; None keeps none."""

    def __init__(self, history: Path | None) -> None:
        self._history = history
        if readline is None:
            return
        readline.set_history_length(HISTORY_LINES)
        readline.parse_and_bind("set enable-bracketed-paste on")
        if history is not None:
            with contextlib.suppress(OSError):
                readline.read_history_file(history)

    def read_message(self, prompt: str) -> str:
        """Read a message: a line, lines that end with a backslash, or a text in triple quotes.

        Raises:
            EOFError: the input has ended.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        line = input(prompt)
        if line.lstrip().startswith(QUOTES):
            return self._read_quoted(line.lstrip().removeprefix(QUOTES))
        lines = [line]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(input("… "))
        return "\n".join(lines)

    def save(self) -> None:
        """Write the history. Does nothing if that is not possible."""
        if readline is None or self._history is None:
            return
        with contextlib.suppress(OSError):
            self._history.parent.mkdir(parents=True, exist_ok=True)
            self._history.touch(mode=0o600)
            readline.write_history_file(self._history)

    def _read_quoted(self, line: str) -> str:
        lines = []
        while QUOTES not in line:
            lines.append(line)
            line = input("… ")
        lines.append(line.partition(QUOTES)[0])
        return "\n".join(lines).strip("\n")
