"""Code fences: a fence with the language ``markdown`` may contain nested fences.

Models often put a whole Markdown file into a fence of three backticks, which CommonMark ends at the
first fence inside it. Here, within a fence of language markdown or md, a fence with a language
opens an inner fence, and the next bare fence closes it.
"""

from __future__ import annotations

import re

from markdown_it.rules_block import StateBlock

_MARKDOWN = frozenset(["markdown", "md", "mdx", "mdown", "gfm", "qmd", "rmd"])
_LINE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def opened(line: str) -> tuple[str, str] | None:
    """Return the marks and the info string of the fence that ``line`` opens, None if it opens none.

    ``line`` is without its indent. The info string of a backtick fence has no backtick: the line
    "``` x`" is text.
    """
    found = _LINE.match(line)
    if found is None or found.start(1) or (found[1][0] == "`" and "`" in found[2]):
        return None
    return found[1], found[2]


class FenceEnd:
    """Finds the closing line of a fence, given the lines after the opening one in order."""

    def __init__(self, markup: str, info: str) -> None:
        """``markup`` is the run of marks that opened the fence, ``info`` its info string."""
        self._markup = markup
        word = info.split(maxsplit=1)[0] if info.strip() else ""
        self._nests = word.strip("{}.").lower() in _MARKDOWN
        self._inner: list[str] = []

    def closes(self, line: str) -> bool:
        """Return whether the next line, without the indent of its container, closes the fence."""
        found = _LINE.match(line)
        if found is None or found[1][0] != self._markup[0] or len(found[1]) < len(self._markup):
            return False
        info = found[2].strip(" \t")
        if info:
            if self._nests and not (found[1][0] == "`" and "`" in info):
                self._inner.append(found[1])
            return False
        if not self._inner:
            return True
        if len(found[1]) >= len(self._inner[-1]):
            self._inner.pop()
        return False


def fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a fence; ``meta["closed"]`` of its token is true if it has a closing line."""
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    opening = opened(state.src[begin : state.eMarks[start]])
    if opening is None:
        return False
    if silent:
        return True
    markup, info = opening
    fence_end, line, is_closed = FenceEnd(markup, info), start + 1, False
    while line < end:
        begin = state.bMarks[line] + state.tShift[line]
        if begin < state.eMarks[line] and state.sCount[line] < state.blkIndent:
            break  # a line with less indent ends the list that contains the fence
        if state.src[begin : begin + 1] == markup[0] and not state.is_code_block(line):
            is_closed = fence_end.closes(state.src[begin : state.eMarks[line]])
            if is_closed:
                break
        line += 1
    state.line = line + is_closed
    token = state.push("fence", "code", 0)
    token.info, token.markup = info, markup
    token.content = state.getLines(start + 1, line, state.sCount[start], True)
    token.map = [start, state.line]
    token.meta = {"closed": is_closed}
    return True
