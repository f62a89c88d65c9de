"""Output of the commands, and how they fail."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from wireside.cli.harmless_text import harmless

FAILED = 1
"""Exit code of a command that could not do its work."""

WRONG_USE = 2
"""Exit code for wrong arguments or settings."""

out = Console(soft_wrap=True, highlight=False)
err = Console(soft_wrap=True, highlight=False, stderr=True)


def fail_with(sentences: str, code: int) -> NoReturn:
    """Print what is wrong, which may quote a server, and end the program."""
    err.print(f"[bold red]wireside:[/] {escape(harmless(sentences))}")
    raise typer.Exit(code)
