"""The state of a page that applies the operations of a streamed answer, as a string."""

from __future__ import annotations

import html as html_text
import re

from wireside_ui.markdown.dialect import Markup, MarkupLimits
from wireside_ui.markdown.highlighting import code_block
from wireside_ui.markdown.incremental import BlockStream, Op

HOSTS = frozenset({"images.example"})
MARKUP = Markup(HOSTS, MarkupLimits(highlight_s=60.0))
"""Without a time limit of the highlighter, which would affect comparisons."""


class Screen:
    """The operations, one method each; see ``wireside_ui.markdown.incremental.Op``."""

    def __init__(self) -> None:
        self.settled = self.tail = self.closing = self.label = self.code = self.plain = ""

    @property
    def html(self) -> str:
        """The complete HTML on the screen."""
        plain = html_text.escape(self.plain, quote=False)
        return self.settled + self.tail + (f"<p>{plain}</p>" if plain else "") + self.closing

    def apply(self, ops: list[Op]) -> None:
        """Apply operations as a page does."""
        for name, *args in ops:
            if name in ("t", "f", "c", "o", "r"):
                self.plain = ""
            getattr(self, f"_{name}")(*args)

    def _t(self, keep: int, html: str) -> None:
        self.tail = self.tail.encode("utf-16-le")[: 2 * keep].decode("utf-16-le") + html

    def _f(self, keep: int, html: str) -> None:
        self._t(keep, html)
        self.settled, self.tail = self.settled + self.tail, ""

    def _c(self, label: str, code: str) -> None:
        self.label, self.code = label, ""
        self._a(code)

    def _a(self, code: str) -> None:
        self.code += code
        self.tail = code_block(self.label, html_text.escape(self.code, quote=False))

    def _p(self, text: str) -> None:
        self.plain += text

    def _s(self) -> None:
        self.settled, self.tail = self.settled + self.tail, ""

    def _o(self, html: str) -> None:
        end = re.search(r"(</tbody></table></div>|</ul>|</ol>)$", html)
        assert end
        self.settled, self.tail, self.closing = self.settled + html[: end.start()], "", end[0]

    def _z(self) -> None:
        assert not self.tail
        self.settled, self.closing = self.settled + self.closing, ""

    def _r(self, html: str) -> None:
        self.settled, self.tail, self.closing = html, "", ""


def streamed(pieces: list[str], flush_every: int = 1, markup: Markup = MARKUP) -> str:
    """Return the final HTML of an answer that arrives in these pieces."""
    stream, screen = BlockStream(markup), Screen()
    for number, piece in enumerate(pieces):
        stream.feed(piece)
        if number % flush_every == 0:
            screen.apply(stream.flush())
    screen.apply(stream.flush(final=True))
    return screen.html
