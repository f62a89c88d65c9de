"""Shows Markdown in a terminal while it arrives.

Blocks that are complete are printed once and never again, so that the work per token does not grow
with the answer. The last block, which is still growing, is shown as plain text in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from wireside.cli.harmless_text import harmless

REFRESHES_PER_SECOND = 10

LONG_CHARS = 1_500
"""Size of a growing block above which it is parsed only after it has grown by a quarter."""

# without HTML: a tag is text that the reader has to see
_parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])


class SafeMarkdown(Markdown):
    """Markdown whose tags are shown as text, and whose links show their address."""

    def __init__(self, text: str) -> None:
        super().__init__(text, hyperlinks=False, code_theme="ansi_dark")
        self.parsed = _parser.parse(text)
        _make_harmless(self.parsed)


def _make_harmless(tokens: Iterable[Token]) -> None:
    """Make the text of tokens harmless: an entity such as ``&#x202e;`` is a character now."""
    for token in tokens:
        token.content = harmless(token.content)
        token.attrs = {
            name: harmless(value) if isinstance(value, str) else value
            for name, value in token.attrs.items()
        }
        _make_harmless(token.children or ())


class BlockSplitter:
    """Splits a growing Markdown text at blocks that can't change any more."""

    def __init__(self) -> None:
        self.tail = ""
        """The text of the last block, which is not complete."""
        self._parse_at_chars = 0

    def feed(self, text: str) -> str:
        """Add text; return the complete blocks."""
        self.tail += text
        if "\n" not in text or len(self.tail) < self._parse_at_chars:
            return ""
        blocks = self._take_complete_blocks()
        # else the work on a long block, such as a program, would grow with its square
        self._parse_at_chars = len(self.tail) * 5 // 4 if len(self.tail) > LONG_CHARS else 0
        return blocks

    def _take_complete_blocks(self) -> str:
        starts = [
            token.map[0]
            for token in _parser.parse(self.tail)
            if token.level == 0 and token.map is not None
        ]
        if len(starts) < 2 or not starts[-1]:
            return ""
        lines = self.tail.splitlines(keepends=True)
        self.tail = "".join(lines[starts[-1] :])
        return "".join(lines[: starts[-1]])

    def flush(self) -> str:
        """Return the rest, at the end."""
        self._parse_at_chars = 0
        rest, self.tail = self.tail, ""
        return rest


class MarkdownStream:
    """Prints a growing Markdown text, as a context manager around the answer."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._blocks = BlockSplitter()
        self._live = Live(
            console=console,
            get_renderable=self._growing_block,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        rest = self._blocks.flush()
        self._live.stop()
        self._print_blocks(rest)

    def feed(self, text: str) -> None:
        """Add text that is harmless for the terminal."""
        self._print_blocks(self._blocks.feed(text))

    def show(self, content: Any) -> None:
        """Print something between the blocks, after the text so far."""
        self._print_blocks(self._blocks.flush())
        self._console.print(content)

    def _print_blocks(self, blocks: str) -> None:
        if blocks.strip():
            self._console.print(SafeMarkdown(blocks))
            self._console.print()

    def _growing_block(self) -> RenderableType:
        width, height = self._console.size
        rows = max(1, height - 2)
        text = Text(self._blocks.tail[-rows * width :] or "…")
        return Text("\n").join(text.wrap(self._console, width)[-rows:])
