"""Displayed formulas: those that fill their lines, and those that span lines of a paragraph."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field

from markdown_it.rules_block import StateBlock

from wireside_ui.markdown.math.delimiters import CLOSINGS, ENVIRONMENTS, MAX_MATH_CHARS, is_escaped
from wireside_ui.markdown.math.heuristics import (
    has_marks,
    is_display_formula,
    is_formula_after_text,
    is_prose,
)

_OPENING = re.compile(rf"(?<!\$)\$\$(?!\$)|\\\[|\\begin\{{((?:{ENVIRONMENTS})\*?)\}}")
_TOP_LEVEL = re.compile(r"(?:align|alignat|equation|eqnarray|flalign|gather|multline)\*?")
_AFTER = re.compile(r"[.,;:!?。，；：]?")

_STRUCTURE = re.compile(r"(?:`{3}|~{3}|#{1,6}[ \t]+\S)")
"""Starts of lines that end a formula: a code fence or a heading."""


@dataclass(slots=True, kw_only=True)
class _Formula:
    """A displayed formula: its source, its last line and its end offset in the document."""

    source: str
    last_line: int
    end: int
    is_unclosed: bool = False
    """True if the text ends before the closing delimiter."""


@dataclass(slots=True)
class _Blocked:
    """A range of lines in which no formula with a given closing delimiter ends.

    It bounds the cost of repeated searches.
    """

    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class _Lines:
    """Per-document caches of line searches; most are keyed by the closing delimiter's pattern."""

    closings: dict[str, list[int]] = field(default_factory=dict)
    blocked: dict[str, _Blocked] = field(default_factory=dict)
    unclosed: dict[tuple[str, bool, int], int] = field(default_factory=dict)
    """First line from which on no formula is closed, by (pattern, ``in_text``, indent)."""
    without_marks: dict[str, int] = field(default_factory=dict)
    """First line from which on the text has no sign of TeX."""


def math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a formula that fills its lines, except for a punctuation mark after it."""
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    opening = _OPENING.match(state.src, begin, state.eMarks[start])
    if not opening:
        return False
    formula = _formula(state, start, opening, end, in_text=False, silent=silent)
    if formula is None:
        return False
    if silent and formula.is_unclosed and state.env.get("tail"):
        return False  # it may or may not be closed later: it settles together with the paragraph
    rest = state.src[formula.end : state.eMarks[formula.last_line]].strip()
    mark = _AFTER.match(rest)
    assert mark is not None
    if mark[0] != rest:
        # Text follows: a formula of several lines forms a group with it; within one line it is part
        # of a sentence.
        return formula.last_line != start and (silent or _group(state, start, end, silent))
    if silent:
        return True
    _push_formula(state, formula, rest, start)
    state.line = formula.last_line + 1
    return True


def begins_formula(line: str) -> bool:
    """Return whether a line below the rows of a table is a formula or the first line of one."""
    opening = _OPENING.match(line)
    if opening is None or "|" not in line:
        return opening is not None
    closed = _closing(opening).search(line, opening.end())
    if closed is None or not _AFTER.fullmatch(line[closed.end() :].strip()):
        return False
    return bool(opening[1]) or is_display_formula(opening[0], line[opening.end() : closed.start()])


def math_paragraph(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a paragraph with a formula that starts at the end of a line and ends in another."""
    return not silent and _group(state, start, end, silent)


def _group(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse text with formulas that span lines as one block; False if it has no such formula."""
    pieces = _pieces(state, start, end)
    if pieces is None:
        return False
    if silent:
        return True
    last = pieces[-1][1]
    is_top = state.level == 0
    if is_top:  # one top-level block, because all of it settles together while streaming
        state.push("math_group_open", "", 1).map = [start, last + 1]
    for text, line, formula in pieces:
        if formula is not None:
            _push_formula(state, formula, text, line)
        elif text.strip():
            state.push("paragraph_open", "p", 1).map = [start, line + 1]
            inline = state.push("inline", "", 0)
            inline.content, inline.children, inline.map = text.strip(), [], [start, line + 1]
            state.push("paragraph_close", "p", -1)
    if is_top:
        state.push("math_group_close", "", -1)
    state.line = last + 1
    return True


_Piece = tuple[str, int, _Formula | None]
"""(text, last line, None), or (punctuation after the formula, last line, formula)."""


def _pieces(state: StateBlock, start: int, end: int) -> list[_Piece] | None:
    """Return the text and the formulas of a paragraph; None if no formula in it spans lines."""
    terminators = state.md.block.ruler.getRules("paragraph")
    pieces: list[_Piece] = []
    lines: list[str] = []
    line, at = start, state.bMarks[start] + state.tShift[start]
    has_formula = False
    while True:
        opening = _unclosed(state, line, at)
        formula = opening and _formula(
            state, line, opening, end, in_text=opening.start() > state.bMarks[line]
        )
        if opening and formula:
            has_formula = True
            lines.append(state.src[at : opening.start()])
            pieces.append(("\n".join(lines), line, None))
            line, at = formula.last_line, formula.end
            mark = _AFTER.match(state.src, at, state.eMarks[line])
            assert mark is not None
            is_alone = not state.src[mark.end() : state.eMarks[line]].strip()
            pieces.append((mark[0] if is_alone else "", line, formula))
            at, lines = mark.end() if is_alone else at, []
            if not state.src[at : state.eMarks[line]].strip():
                break
            continue
        lines.append(state.src[at : state.eMarks[line]].rstrip())
        following = line + 1
        if following >= end or state.isEmpty(following):
            break
        is_lazy = state.sCount[following] - state.blkIndent > 3 or state.sCount[following] < 0
        if not is_lazy and any(rule(state, following, end, True) for rule in terminators):
            break
        if not is_lazy and not has_formula and _SETEXT.fullmatch(_line(state, following)):
            return None
        line, at = following, state.bMarks[following] + state.tShift[following]
    if lines:
        pieces.append(("\n".join(lines), line, None))
    return pieces if has_formula else None


_SETEXT = re.compile(r"=+|-+")


def _push_formula(state: StateBlock, formula: _Formula, after: str, line: int) -> None:
    token = state.push("math_block", "div", 0)
    token.content = formula.source + after
    token.meta = {"open": formula.is_unclosed and bool(state.env.get("tail"))}
    token.map = [line, formula.last_line + 1]


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()


def _unclosed(state: StateBlock, line: int, at: int) -> re.Match[str] | None:
    """Return the delimiter in a line of text that opens a formula not closed in that line."""
    end = state.eMarks[line]
    text = state.src[at:end]
    if "$$" not in text and r"\[" not in text and r"\begin" not in text:
        return None
    codes = [(at + code.start(), at + code.end()) for code in _CODE.finditer(text)]
    while opening := _OPENING.search(state.src, at, end):
        at = opening.end()
        if any(first < opening.start() < last for first, last in codes):
            continue
        before = state.src[state.bMarks[line] : opening.start()]
        if is_escaped(before) or (
            opening[0] == "$$" and before[-1:].isascii() and before[-1:].isalnum()
        ):
            continue
        if opening[1] and (not _TOP_LEVEL.fullmatch(opening[1]) or before.count("$") % 2):
            continue
        closed = _closing(opening).search(state.src, at, end)
        if closed is None:
            return opening
        at = closed.end()
    return None


_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")


def _closing(opening: re.Match[str]) -> re.Pattern[str]:
    if opening[1]:
        return re.compile(re.escape(rf"\end{{{opening[1]}}}"))
    return CLOSINGS[opening[0]]


def _formula(
    state: StateBlock,
    start: int,
    opening: re.Match[str],
    end: int,
    *,
    in_text: bool,
    silent: bool = False,
) -> _Formula | None:
    """Return the formula that starts with ``opening``, or None if it is text.

    ``in_text``: the delimiter follows other text in its line. ``silent``: the source is not needed.
    """
    closing = _closing(opening)
    first = state.src[opening.end() : state.eMarks[start]]
    closed = closing.search(state.src, opening.end(), state.eMarks[start])
    if closed:
        inner = state.src[opening.end() : closed.start()]
        source = state.src[opening.start() : closed.end()]
        is_formula = bool(opening[1]) or is_display_formula(opening[0], inner)
        return _Formula(source=source, last_line=start, end=closed.end()) if is_formula else None
    if is_prose(first) or (opening[0] == r"\[" and first[:1].strip() and not has_marks(first)):
        return None
    last = _last_line(state, start, closing, end, in_text=in_text)
    if last is None:
        return None
    is_unclosed = last >= end
    memory: _Lines = state.env["math_lines"]
    if is_unclosed and start >= memory.without_marks.get(closing.pattern, end):
        return None
    if silent and is_unclosed and state.env.get("tail"):
        return _Formula(
            source="", last_line=end - 1, end=state.eMarks[end - 1], is_unclosed=is_unclosed
        )
    last = min(last, end - 1)
    lines = [state.src[opening.start() : state.eMarks[start]].rstrip()]
    lines += [_line(state, line) for line in range(start + 1, last)]
    begin = state.bMarks[last] + state.tShift[last]
    found = None if is_unclosed else closing.search(state.src, begin, state.eMarks[last])
    stop = found.end() if found else state.eMarks[last]
    if last > start:
        lines.append(state.src[begin:stop])
    source = "\n".join(lines).rstrip()
    inner = source[len(opening[0]) :] if is_unclosed else source[len(opening[0]) : -2]
    if is_unclosed:
        # An answer that was stopped within a formula keeps the source unchanged, if it looks like a
        # formula.
        is_formula = bool(state.env.get("tail")) or has_marks(inner)
        if not is_formula:
            memory.without_marks[closing.pattern] = start
    elif in_text and not opening[1]:
        is_formula = is_formula_after_text(inner)
    else:
        is_formula = bool(inner.strip())
    return (
        _Formula(source=source, last_line=last, end=stop, is_unclosed=is_unclosed)
        if is_formula
        else None
    )


def _next_closing(
    state: StateBlock, memory: _Lines, start: int, closing: re.Pattern[str], end: int
) -> int:
    """Return the first line after ``start`` with the closing delimiter; ``end`` if none has."""
    lines = memory.closings.get(closing.pattern)
    if lines is None:
        count = len(state.bMarks) - 1
        lines = memory.closings[closing.pattern] = [
            n for n in range(count) if closing.search(state.src, state.bMarks[n], state.eMarks[n])
        ]
    at = bisect_left(lines, start + 1)
    return lines[at] if at < len(lines) and lines[at] < end else end


def _last_line(
    state: StateBlock, start: int, closing: re.Pattern[str], end: int, *, in_text: bool
) -> int | None:
    """Return the line in which the formula of line ``start`` ends.

    Returns ``end`` if the closing delimiter may still follow, None if the text is no formula.
    """
    memory: _Lines = state.env.setdefault("math_lines", _Lines())
    blocked = memory.blocked.get(closing.pattern)
    if blocked and blocked.first <= start < blocked.last:
        return None
    last = _next_closing(state=state, memory=memory, start=start, closing=closing, end=end)
    is_at_end = end >= len(state.bMarks) - 1
    may_grow = is_at_end and bool(state.env.get("tail"))
    if last == end and not is_at_end:
        return None
    if state.bMarks[min(last, end - 1)] - state.bMarks[start] > MAX_MATH_CHARS:
        return None
    key = (closing.pattern, in_text, state.blkIndent)
    if last == end and start >= memory.unclosed.get(key, end):
        return end
    is_after_blank = False
    for line in range(start + 1, last):
        if state.isEmpty(line):
            is_after_blank = True
            continue
        if line == end - 1 and may_grow and not state.src.endswith("\n"):
            break  # the line is incomplete and may still become any kind of block
        text = _line(state, line)
        is_doubtful = in_text or is_after_blank or state.sCount[line] < state.blkIndent
        is_quote = text.startswith(">") and (is_doubtful or (last == end and not may_grow))
        if is_quote or _STRUCTURE.match(text) or (is_doubtful and is_prose(text)):
            memory.blocked[closing.pattern] = _Blocked(start, line)
            return None
        is_after_blank = False
    if last == end:
        memory.unclosed[key] = min(start, memory.unclosed.get(key, end))
    return last
