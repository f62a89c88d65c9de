"""Progress of a command: a bar in a terminal, otherwise a line per quarter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Progress = Callable[[int, int], None]
"""Called with the amount done and the total."""


@contextmanager
def progress(console: Console, doing: str, *, is_download: bool = False) -> Iterator[Progress]:
    """Yield a ``Progress`` callback that displays its values, labelled ``doing``."""
    if not console.is_terminal:
        yield _Quarters(console).print_quarter
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(f"  {doing}"),
        BarColumn(),
        DownloadColumn() if is_download else TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Quarters:
    """Progress as text lines, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = 0

    def print_quarter(self, done: int, total: int) -> None:
        quarter = done * 4 // max(1, total)
        if quarter > self._shown:
            self._shown = quarter
            self._console.print(f"  {quarter * 25} %")
