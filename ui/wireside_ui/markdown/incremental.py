"""Incremental rendering of streamed Markdown to sanitised HTML.

Theory of operation: ``BlockStream`` accepts text as the model produces it and returns operations
that the page applies in order (``transcript/modules/streaming.js``); ``render`` renders a complete
text. Completed blocks are *settled*: they are rendered and sent once. Only the last, open block
(the *tail*) is rendered repeatedly. Both produce the same final HTML, regardless of how the text
was split and when it was flushed, except for texts of more than ``max_whole_chars`` with links or
footnotes that are defined elsewhere in the text.

The total work is linear in the length of the text: lists settle item by item, tables row by row, a
code fence grows by its new text, and a block that cannot be split (one endless paragraph) is parsed
again only after it has grown by a fraction of its size.
"""

import html as html_text
import re
from itertools import accumulate
from typing import Any

from markdown_it.token import Token

from wireside_ui.markdown.dialect import Env, Markup
from wireside_ui.markdown.highlighting import (
    HighlightBudget,
    are_lexers_ready,
    code_block,
    highlight,
)
from wireside_ui.markdown.links import References
from wireside_ui.markdown.normalize import Normalizer
from wireside_ui.markdown.open_blocks import (
    OpenContainer,
    OpenFence,
    is_certain_fence,
    joined,
    lines_of,
    top_level_blocks,
)

Op = list[Any]
"""One change of the rendered answer, as JSON.

The *tail* is the unsettled HTML at the end of the answer, or at the end of the open list or table.
``keep`` is the number of UTF-16 code units at the start of the tail's HTML that stay unchanged, so
that only the rest is sent.

- ``["t", keep, html]`` replaces the tail
- ``["f", keep, html]`` replaces the tail and settles it: a new, empty tail starts after it
- ``["c", label, text]`` makes the tail an open code block; ``["a", text]`` appends to its code;
  ``["s"]`` settles it unchanged
- ``["p", text]`` shows plain text after the tail, until the tail changes
- ``["o", html]`` replaces the tail by this list or table and settles it; what follows is added to
  its last ``tbody``, ``ul`` or ``ol``
- ``["z"]`` completes that list or table
- ``["r", html]`` replaces everything so far and settles it
"""

MAX_TAIL_CHARS = 16_384
"""Size from which on an open block that cannot be split is parsed less often.

New text is shown after it as plain text until the block has grown by half or has ended.
"""

LOOP_CHARS = 2_048
"""Characters that may be parsed on the event loop at once: 20 ms for the worst known text.

More must be parsed in a thread, see ``BlockStream.work``.
"""


def render(text: str, markup: Markup, allowance: HighlightBudget | None = None) -> str:
    """Render a complete answer to sanitised HTML.

    A million characters take two seconds: use ``wireside.offload.aside`` for long texts.
    """
    env: Env = {"allowance": allowance or markup.highlight_budget()}
    inlet = Normalizer()
    cut, max_chars = len(text), markup.limits.max_chars
    if cut > max_chars:
        cut = text.rfind("\n", 0, max_chars) + 1 or max_chars
    head = inlet.take(text[:cut], is_last=cut == len(text))
    html = markup.html(markup.parse(head, env), env)
    return html + _plain(text[cut:], inlet) if cut < len(text) else html


def _plain(text: str, inlet: Normalizer) -> str:
    return code_block("", html_text.escape(inlet.take(text, is_last=True), quote=False))


class BlockStream:
    """Renders one streamed answer.

    ``parsed_chars`` counts the characters parsed so far, so that tests can check that the work is
    bounded.
    """

    def __init__(self, markup: Markup) -> None:
        self.parsed_chars = 0
        self._markup = markup
        self._raw: list[str] = []
        self._new: list[str] = []
        self._chars = 0
        self._begin()

    def _begin(self) -> None:
        self._inlet = Normalizer()
        self._pending = ""  # unsettled source
        self._seen = 0  # number of its characters that the tail on the screen shows
        self._tail_html = ""
        self._plain_from = 0  # offset from which on the pending source is shown as plain text
        self._fence: OpenFence | None = None
        self._container: OpenContainer | None = None
        self._references = References()
        self._has_footnotes = False
        self._allowance = self._markup.highlight_budget()

    @property
    def text(self) -> str:
        """The unmodified text fed so far."""
        if len(self._raw) > 1:
            self._raw = ["".join(self._raw)]
        return self._raw[0] if self._raw else ""

    def feed(self, text: str) -> None:
        """Append ``text``. Takes constant time."""
        self._raw.append(text)
        self._new.append(text)
        self._chars += len(text)

    def work(self, *, final: bool = False) -> int:
        """Return the number of characters that the next ``flush`` processes.

        With more than ``LOOP_CHARS``, ``flush`` must not run on the event loop.
        """
        new = sum(map(len, self._new))
        if final and (self._references or self._has_footnotes):
            return self._chars
        if self._fence:
            ends = final or any(self._fence.markup[0] in text for text in self._new)
            if not ends:
                return new
            is_ready = are_lexers_ready(f"```{self._fence.label}\n")
            return len(self._fence.code) + new + (0 if is_ready else LOOP_CHARS)
        chars = len(self._pending) + new
        if not final and chars - self._seen < _step(chars):
            return new
        return chars if are_lexers_ready(self._pending, *self._new) else LOOP_CHARS + chars

    def restart(self) -> list[Op]:
        """Return operations that render everything fed so far on a page that has lost its state.

        ``flush`` continues from there.
        """
        self._new = [self.text]
        self._begin()
        return [["r", ""], *self.flush()]

    def flush(self, *, final: bool = False) -> list[Op]:
        """Return the changes since the last call; ``final`` settles all and ends the stream."""
        self._pending += self._inlet.take("".join(self._new), is_last=final)
        self._new.clear()
        ops: list[Op] = []
        while True:
            if self._fence and not self._grow_fence(ops, final):
                break
            if not self._settle(ops, final):
                break
        may_resolve = self._references or self._has_footnotes  # in settled text before them
        if final and may_resolve and len(self.text) <= self._markup.limits.max_whole_chars:
            return [["r", render(self.text, self._markup)]]
        return ops

    def _settle(self, ops: list[Op], final: bool) -> bool:
        """Settle complete blocks and show the tail.

        Returns True if a code fence was opened, which must be processed next.
        """
        cut = len(self._pending) if final else _certain_end(self._pending)
        grown = cut - self._seen
        if not (final and self._pending) and (grown <= 0 or grown < _step(cut)):
            self._show_plain(ops, cut)
            return False
        head = self._container.head if self._container else ""
        env: Env = {
            "references": self._references,
            "tail": not final,
            "allowance": self._allowance,
        }
        source = head + self._pending[:cut]
        self.parsed_chars += len(source)
        tokens = self._markup.parse(source, env)
        self._has_footnotes |= bool(env.get("footnotes", {}).get("refs"))
        blocks = top_level_blocks(tokens)
        last = None if final or not blocks else blocks.pop()
        for block in blocks:
            self._settle_block(ops, block, env)
        if last:
            rest, tail_html = self._show_open(ops, last, source, env)
        else:  # all is settled, or nothing is visible yet: blank lines, link definitions
            rest, tail_html = "" if final else self._pending[:cut].lstrip("\n"), ""
        if final:
            self._close_container(ops)
        self._pending = rest + self._pending[cut:]
        self._seen = len(rest)
        if self._fence:
            return True
        self._show_tail(ops, tail_html)
        return False

    def _show_tail(self, ops: list[Op], html: str) -> None:
        if html != self._tail_html or self._plain_from:
            ops.append(["t", *self._diff(html)])
            self._tail_html = html
            self._plain_from = 0

    def _show_plain(self, ops: list[Op], cut: int) -> None:
        """Show the text of a long block that is not parsed yet as plain text."""
        start = max(self._seen, self._plain_from)
        if self._seen > MAX_TAIL_CHARS and start < cut:
            ops.append(["p", self._pending[start:cut]])
            self._plain_from = cut

    def _settle_block(self, ops: list[Op], block: list[Token], env: Env) -> None:
        if self._container:  # the first block continues the open container
            block = joined(self._container.parts(block))
        self._freeze(ops, self._markup.html(block, env))
        self._close_container(ops)

    def _show_open(
        self, ops: list[Op], block: list[Token], source: str, env: Env
    ) -> tuple[str, str]:
        """Settle parts of the last block; return the source and the HTML of what remains."""
        starts = [0, *accumulate(len(line) + 1 for line in source.split("\n"))]
        container = self._container or OpenContainer.of(block, source, starts)
        if container:
            *done, last = container.parts(block) or [[]]
            if not last:  # not a row after all: it is hidden until its line is complete
                return source[len(container.head) :], ""
            if not self._container:
                self._open_container(ops, container, block, done=done, env=env)
            elif done:
                self._freeze(ops, self._markup.html(joined(done), env))
            return source[starts[lines_of(last[0])[0]] :], self._markup.html(last, env)
        first, end = lines_of(block[0])
        rest = source[starts[first] :]
        if block[0].type != "fence" or not is_certain_fence(rest):
            return rest, self._markup.html(block, env)
        if block[0].meta["closed"]:
            self._freeze(ops, self._markup.html(block, env))
            return source[starts[end] :], ""
        self._fence = OpenFence.of(block[0], rest)
        return rest, ""

    def _freeze(self, ops: list[Op], html: str) -> None:
        if html or self._tail_html or self._plain_from:
            ops.append(["f", *self._diff(html)])
        self._tail_html = ""
        self._plain_from = 0

    def _diff(self, html: str) -> tuple[int, str]:
        keep, limit = 0, min(len(html), len(self._tail_html))
        while keep < limit:  # comparing slices is much faster than comparing characters
            step = min(256, limit - keep)
            if html[keep : keep + step] != self._tail_html[keep : keep + step]:
                while html[keep] == self._tail_html[keep]:
                    keep += 1
                break
            keep += step
        return _utf16_length(html[:keep]), html[keep:]

    def _open_container(
        self,
        ops: list[Op],
        container: OpenContainer,
        block: list[Token],
        *,
        done: list[list[Token]],
        env: Env,
    ) -> None:
        ops.append(
            [
                "o",
                self._markup.html(
                    [*container.opening(block), *joined(done), *container.closing(block)], env
                ),
            ]
        )
        self._tail_html = ""
        self._plain_from = 0
        self._container = container

    def _close_container(self, ops: list[Op]) -> None:
        if self._container:
            self._show_tail(ops, "")
            ops.append(["z"])
            self._container = None

    def _grow_fence(self, ops: list[Op], final: bool) -> bool:
        """Send new code; return True once the fence is closed, because more text may follow it."""
        fence = self._fence
        assert fence is not None
        code, end = fence.take(self._pending, final=final)
        if not fence.is_shown:
            ops.append(["c", fence.label, code])
            self._tail_html = ""
            self._plain_from = 0
            fence.is_shown = True
        elif code:
            ops.append(["a", code])
        if end is None:
            return False
        highlighted = highlight(fence.code, fence.label, self._allowance)
        ops.append(
            ["s"] if highlighted is None else ["f", 0, self._clean_code(fence.label, highlighted)]
        )
        self._pending = self._pending[end:]
        self._seen = 0
        self._fence = None
        return True

    def _clean_code(self, label: str, highlighted: str) -> str:
        return self._markup.clean(code_block(label, highlighted))


def _step(length: int) -> int:
    """Return by how much an open block of ``length`` characters must grow to be parsed again.

    The step is small at usual sizes, then grows quadratically; above ``MAX_TAIL_CHARS``, where the
    rest is shown as plain text, the block must grow by half. In total, a block of 16,384 characters
    is parsed about 11 times, a longer one less often.
    """
    if length <= 4_096:
        return length // 64
    return length * length // 262_144 if length <= MAX_TAIL_CHARS else length // 3


def _utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


# Incomplete lines that may still become another kind of block
_UNDECIDED = re.compile(
    r"""\ {0,3}(?:
        # marks only: a list item, a rule, a heading, a closing fence, or just text
        (?:[-+*>\s]|\d{1,9}[.)](?=\s))*+(?:\d{1,9}[.)]?|[-+*_=~`\#>|$\\.)\s:^!]*)
        # an opening fence, unless a backtick follows
        | [-+*\d.)\s>]*(?:`{3}|~{3}).*
        # a formula, if the line ends so
        | [-+*\d.)\s>]*(?:\$\$|\\\[|\\begin\b).*
        # the mark of a formula may be half of it
        | .*[$\\]
        # a link, a definition, a footnote
        | [-+*\d.)\s>]*\[[^\]]*\]?
        | [-+*\d.)\s>]*\[[^\]]*\]:.*
    )""",
    re.VERBOSE,
)


def _certain_end(text: str) -> int:
    """Return the end of the part of ``text`` whose blocks can only grow, no longer change kind."""
    line = text.rfind("\n") + 1
    return line if len(text) - line < 2_000 and _UNDECIDED.fullmatch(text, line) else len(text)
