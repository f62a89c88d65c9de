"""Shows the parts of one answer in a terminal: Markdown, reasoning, tools, steps, sources …"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, assert_never

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wireside.cli.harmless_text import HarmlessStream, harmless, harmless_line
from wireside.cli.terminal.markdown_stream import MarkdownStream
from wireside.client import Answer
from wireside.protocol.frames import ChunkFrame, PartFrame, ReasoningFrame, ToolFrame

TABLE_ROWS = 50


def show_answer(console: Console, answer: Answer, *, is_raw: bool) -> None:
    """Print an answer while it arrives. Raises its error, after the text before it.

    With ``is_raw``, its text only is printed, as it is if the output is not a terminal.
    """
    if is_raw:
        return _show_raw(console, answer)
    with MarkdownStream(console) as markdown:
        view = _PartView(markdown)
        for piece in answer.parts():
            match piece:
                case ChunkFrame():
                    view.add_text(piece.content)
                case ReasoningFrame():
                    view.add_reasoning(piece.content)
                case ToolFrame():
                    view.show_tool(piece)
                case PartFrame():
                    view.show_part(piece)
                case _:
                    assert_never(piece)
        view.flush()


def _show_raw(console: Console, answer: Answer) -> None:
    stream = HarmlessStream()
    is_plain = not console.is_terminal
    with ExitStack() as end:
        end.callback(lambda: _write(console, "" if is_plain else stream.flush()))
        for text in answer:
            _write(console, text if is_plain else stream.feed(text))


def _write(console: Console, text: str) -> None:
    console.file.write(text)
    console.file.flush()


class _PartView:
    """Prints the parts between the blocks of text."""

    def __init__(self, markdown: MarkdownStream) -> None:
        self._markdown = markdown
        self._text = HarmlessStream()
        self._reasoning = ""
        self._sources = 0
        self._shown: set[tuple[str, str]] = set()

    def add_text(self, text: str) -> None:
        self._flush_reasoning()
        self._markdown.feed(self._text.feed(text))

    def add_reasoning(self, text: str) -> None:
        """Collect reasoning, and print its complete lines."""
        self._reasoning += text
        lines, newline, self._reasoning = self._reasoning.rpartition("\n")
        if newline:
            self._show_dim(lines)

    def show_tool(self, tool: ToolFrame) -> None:
        if self._is_new(tool.call, tool.state):
            self._show_dim(f"⚙ {harmless_line(tool.name)}: {harmless_line(tool.state)}")

    def show_part(self, part: PartFrame) -> None:
        data: dict[str, Any] = part.data if isinstance(part.data, dict) else {}
        show = _SHOWN.get(part.kind)
        if part.kind == "question":
            return  # asked after the answer
        if part.kind == "step":
            state = str(data.get("state") or "")
            if self._is_new(part.part, state):
                self._show_dim(f"· {harmless_line(str(data.get('name') or 'step'))}: {state}")
        elif part.kind == "source":
            self._sources += 1
            self._show(_source(data, self._sources))
        elif show is not None and data and (content := show(data)) is not None:
            self._show(content)
        elif part.text:
            self._show(Text(harmless(part.text)))

    def flush(self) -> None:
        """Print what was held back."""
        self._flush_reasoning()
        self._markdown.feed(self._text.flush())

    def _flush_reasoning(self) -> None:
        if self._reasoning.strip():
            self._show_dim(self._reasoning)
        self._reasoning = ""

    def _is_new(self, part: str, state: str) -> bool:
        is_new = (part, state) not in self._shown
        self._shown.add((part, state))
        return is_new

    def _show_dim(self, text: str) -> None:
        self._show(Text(harmless(text), style="dim"))

    def _show(self, content: Any) -> None:
        self._markdown.feed(self._text.flush())
        self._markdown.show(content)


def _source(data: dict[str, Any], number: int) -> Text:
    title, url = (harmless_line(str(data.get(name) or "")) for name in ("title", "url"))
    return Text(f"[{number}] {title} {url}".rstrip(), style="cyan")


def _file(data: dict[str, Any]) -> Text:
    name, url = (harmless_line(str(data.get(name) or "")) for name in ("name", "url"))
    place = "" if url.startswith("data:") else f" {url}"
    return Text(f"[{name or 'file'}]{place}", style="cyan")


def _table(data: dict[str, Any]) -> Table | None:
    """Return a table; None if the data is none."""
    columns, rows, total = (data.get(name) for name in ("columns", "rows", "total"))
    columns, rows = columns or [], rows or []
    total = len(rows) if isinstance(rows, list) and not total else total
    are_lists = isinstance(columns, list) and isinstance(rows, list)
    if not are_lists or not all(isinstance(row, list) for row in rows):
        return None
    if not isinstance(total, int):
        return None
    table = Table()
    for name in columns:
        table.add_column(Text(harmless_line(str(name))))
    for row in rows[:TABLE_ROWS]:
        table.add_row(*(Text(harmless_line("" if cell is None else str(cell))) for cell in row))
    if total > TABLE_ROWS:
        table.caption = f"{TABLE_ROWS} of {total} rows"
    return table


_SHOWN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "image": _file,
    "file": _file,
    "table": _table,
}
