"""Code fences: a fence named ``markdown`` may hold fences of its own.

Models answer with a whole Markdown file in a fence of three backticks, which CommonMark ends at the
first fence inside it. Here, in a fence named markdown or md, a fence with a language opens an inner
one, and the next bare fence closes that one.
"""

from __future__ import annotations

import re

from markdown_it.rules_block import StateBlock

_MARKDOWN = frozenset(["markdown", "md", "mdx", "mdown", "gfm", "qmd", "rmd"])
_LINE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


class FenceEnd:
    """Finds the line that closes a fence, from the lines after its first one."""

    def __init__(self, markup: str, info: str) -> None:
        """``markup`` is the run of marks that opened the fence, ``info`` what stands behind it."""
        self._markup = markup
        word = info.split(maxsplit=1)[0] if info.strip() else ""
        self._nests = word.strip("{}.").lower() in _MARKDOWN
        self._inner: list[str] = []

    def closes(self, line: str) -> bool:
        """Whether ``line``, the next one, without the indent of its container, closes the fence."""
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
    """Read a fence; ``meta["closed"]`` of its token says whether its last line closed it."""
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    found = _LINE.match(state.src[begin : state.eMarks[start]])
    if found is None or found.start(1) or (found[1][0] == "`" and "`" in found[2]):
        return False
    if silent:
        return True
    fence_end, line, is_closed = FenceEnd(found[1], found[2]), start + 1, False
    while line < end:
        begin = state.bMarks[line] + state.tShift[line]
        if begin < state.eMarks[line] and state.sCount[line] < state.blkIndent:
            break  # a line with less indent ends the list that the fence is in
        if state.src[begin : begin + 1] == found[1][0] and not state.is_code_block(line):
            is_closed = fence_end.closes(state.src[begin : state.eMarks[line]])
            if is_closed:
                break
        line += 1
    state.line = line + is_closed
    token = state.push("fence", "code", 0)
    token.info, token.markup = found[2], found[1]
    token.content = state.getLines(start + 1, line, state.sCount[start], True)
    token.map = [start, state.line]
    token.meta = {"closed": is_closed}
    return True
