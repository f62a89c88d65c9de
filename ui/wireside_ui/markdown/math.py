r"""Formulas in Markdown: finds their delimiters and tells formulas from prices.

``register`` adds the rules to a markdown-it parser. They parse ``\( … \)``, ``$ … $``,
``$$ … $$``, ``\[ … \]`` and ``\begin{align} … \end{align}``. A token's content is the unmodified
source with its delimiters: the page renders it with KaTeX (``assets/math.js``) or falls back to the
source, so that text mistaken for a formula loses nothing.

Theory of operation: every decision depends only on the text before the end of the formula, so that
streamed text produces the same blocks as text parsed at once. A displayed formula either fills its
lines (``math_block``) or spans lines of a paragraph, which is then split into paragraphs and
formulas (``_math_paragraph``). Formulas within a line are parsed by an inline rule. Whether the
delimited text is a formula is decided by heuristics: signs of TeX, consecutive words, balanced
brackets, currencies and the characters around the delimiters.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_MATH_CHARS = 4_000
"""Maximum length of a displayed formula; a longer one is treated as text."""

MAX_INLINE_MATH_CHARS = 500
r"""Maximum length of a formula in ``$ … $`` or ``\( … \)``."""

_ENVIRONMENTS = (
    "align|alignat|aligned|alignedat|array|cases|CD|darray|dcases|drcases|eqnarray|equation|flalign"
    "|gather|gathered|multline|rcases|smallmatrix|split|subarray|[pbvBV]?matrix"
)
_OPENING = re.compile(rf"(?<!\$)\$\$(?!\$)|\\\[|\\begin\{{((?:{_ENVIRONMENTS})\*?)\}}")
_TOP_LEVEL = re.compile(r"(?:align|alignat|equation|eqnarray|flalign|gather|multline)\*?")
_CLOSINGS = {
    "$$": re.compile(r"(?<![\\$])(?:\\\\)*\$\$(?!\$)"),
    r"\[": re.compile(r"(?<!\\)(?:\\\\)*\\\]"),
}
_AFTER = re.compile(r"[.,;:!?。，；：]?")
_STRUCTURE = re.compile(r"(?:`{3}|~{3}|#{1,6}[ \t]+\S)")
"""Starts of lines that end a formula: a code fence or a heading."""


def register(md: MarkdownIt) -> None:
    """Add the rules for formulas to ``md``."""
    alternatives: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("fence", "math_block", math_block, alternatives)
    md.block.ruler.before("lheading", "math_paragraph", _math_paragraph)
    md.inline.ruler.before("escape", "math_inline", _math_inline)
    md.core.ruler.before("block", "math_bars", _hide_bars)
    md.core.ruler.after("block", "math_bars_back", _show_bars)


# ---- displayed formulas --------------------------------------------------------------------------


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
    return bool(opening[1]) or _is_display(opening[0], line[opening.end() : closed.start()])


def _math_paragraph(state: StateBlock, start: int, end: int, silent: bool) -> bool:
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
        if _is_escaped(before) or (
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


def _is_escaped(before: str) -> bool:
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _closing(opening: re.Match[str]) -> re.Pattern[str]:
    if opening[1]:
        return re.compile(re.escape(rf"\end{{{opening[1]}}}"))
    return _CLOSINGS[opening[0]]


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
        is_formula = bool(opening[1]) or _is_display(opening[0], inner)
        return _Formula(source=source, last_line=start, end=closed.end()) if is_formula else None
    if _is_prose(first) or (opening[0] == r"\[" and first[:1].strip() and not _has_marks(first)):
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
        is_formula = bool(state.env.get("tail")) or _has_marks(inner)
        if not is_formula:
            memory.without_marks[closing.pattern] = start
    elif in_text and not opening[1]:
        is_formula = _is_after_text(inner)
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
        if is_quote or _STRUCTURE.match(text) or (is_doubtful and _is_prose(text)):
            memory.blocked[closing.pattern] = _Blocked(start, line)
            return None
        is_after_blank = False
    if last == end:
        memory.unclosed[key] = min(start, memory.unclosed.get(key, end))
    return last


# ---- formulas in tables --------------------------------------------------------------------------

_BAR = "\ufdd1"  # a noncharacter that replaces a bar while rows are split into cells
_ROW = re.compile(r"^[ \t>]*\|.*[$(].*$", re.MULTILINE)
_IN_ROW = re.compile(r"(?<![\\$])\$((?:\\.|[^$\\\n])+)\$(?!\$)|\\\(((?:(?!\\\)).){1,500})\\\)")


def _hide_bars(state: StateCore) -> None:
    """Replace bars within formulas in table rows (``| $|x|$ |``), so that they end no cell."""
    if "|" not in state.src or not ("$" in state.src or r"\(" in state.src):
        return
    state.src = _ROW.sub(lambda row: _IN_ROW.sub(_without_bars, row[0]), state.src)


def _without_bars(found: re.Match[str]) -> str:
    inner = found[1] or found[2]
    if "|" not in inner or r"\|" in inner:
        return found[0]
    # "P(A | B)" is one formula, "$a | b$" are two cells
    if " | " in inner and not re.search(r"[({].* \| .*[)}]", inner):
        return found[0]
    row, end = found.string, found.end()
    before = row[found.start() - 1 : found.start()] if found.start() else ""
    is_formula = found[2] or _is_dollar_formula(inner, before, row[end : end + 8])
    return found[0].replace("|", _BAR) if is_formula else found[0]


def _show_bars(state: StateCore) -> None:
    if _BAR not in state.src:
        return
    for token in state.tokens:
        token.content = token.content.replace(_BAR, "|")
        token.info = token.info.replace(_BAR, "|")


# ---- inline formulas -----------------------------------------------------------------------------


def _math_inline(state: StateInline, silent: bool) -> bool:
    r"""Parse ``\( … \)`` and ``$ … $``, and ``\[ … \]`` and ``$$ … $$`` within a line."""
    src, pos, end = state.src, state.pos, state.posMax
    run = _DOLLARS.match(src, pos, end)
    if run and len(run[0]) > 2:
        return _push_text(state, run[0], silent)  # a range of prices: "$$$"
    close = _inline_close(src, pos, end)
    if close < 0:
        # otherwise the second dollar would be parsed as a single one
        return run is not None and len(run[0]) == 2 and _push_text(state, run[0], silent)
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.content = src[pos:close]
        token.meta = {"display": src.startswith(("$$", r"\[", r"\begin"), pos)}
    state.pos = close
    return True


def _push_text(state: StateInline, text: str, silent: bool) -> bool:
    if not silent:
        state.pending += text
    state.pos += len(text)
    return True


def _inline_close(src: str, pos: int, end: int) -> int:
    """Return the end offset of the formula that starts at ``pos``, -1 if there is none."""
    if src.startswith("$$", pos):
        return _dollars_close(src, pos, end)
    if src.startswith("$", pos):
        return _dollar_close(src, pos, end)
    if src.startswith((r"\(", r"\["), pos):
        return _bracket_close(src, pos, end)
    environment = _ENVIRONMENT.match(src, pos, end)
    if not environment:
        return -1
    closing = rf"\end{{{environment[1]}}}"
    close = src.find(closing, pos, min(end, pos + MAX_MATH_CHARS))
    return close + len(closing) if close > 0 else -1


_DOLLARS = re.compile(r"\$+")
_ENVIRONMENT = re.compile(rf"\\begin\{{((?:{_ENVIRONMENTS})\*?)\}}")
_TO_DOLLAR = re.compile(r"((?:[^$\\]|\\.)*)(\$+)", re.DOTALL)


def _dollar_close(src: str, pos: int, end: int) -> int:
    """Return the end offset of a formula opened by a single dollar, -1 if it opens none."""
    found = _TO_DOLLAR.match(src, pos + 1, min(end, pos + 2 + MAX_INLINE_MATH_CHARS))
    if not found or len(found[2]) > 1:
        return -1
    before, after = src[pos - 1 : pos] if pos else "", src[found.end() : found.end() + 8]
    return found.end() if _is_dollar_formula(found[1], before, after) else -1


def _dollars_close(src: str, pos: int, end: int) -> int:
    limit = min(end, pos + MAX_MATH_CHARS)
    found = _CLOSINGS["$$"].search(src, pos + 2, limit)
    if not found:
        return -1
    inner = src[pos + 2 : found.end() - 2]
    is_joined = pos > 0 and src[pos - 1].isascii() and src[pos - 1].isalnum()
    if is_joined and not _has_marks(inner):
        return -1
    return found.end() if _is_display("$$", inner) else -1


def _bracket_close(src: str, pos: int, end: int) -> int:
    opening = src[pos : pos + 2]
    closing = {r"\(": r"\)", r"\[": r"\]"}[opening]
    limit = MAX_INLINE_MATH_CHARS if opening == r"\(" else MAX_MATH_CHARS
    close = src.find(closing, pos + 2, min(end, pos + limit))
    while close > 0 and _is_escaped(src[pos + 2 : close]):  # a line break within a matrix
        close = src.find(closing, close + 2, min(end, pos + limit))
    if close < 0:
        return -1
    inner = src[pos + 2 : close]
    if opening == r"\(":
        is_formula = _is_in_parentheses(inner)
    else:
        is_link = src.startswith("(", close + 2) and inner == inner.strip()
        is_formula = not is_link and _is_display(opening, inner)
    return close + 2 if is_formula else -1


def unfinished(text: str, at: int) -> int | None:
    """Interpret the run of dollars at offset ``at`` of incomplete text.

    Returns the offset to continue from: after the formula, after the dollars of a price, or None if
    a formula starts here that is not closed yet.
    """
    run = _DOLLARS.match(text, at)
    assert run is not None
    if len(run[0]) > 2:
        return run.end()
    is_single = len(run[0]) == 1
    close = (_dollar_close if is_single else _dollars_close)(text, at, len(text))
    rest = text[run.end() :]
    if close >= 0 or "$" in rest or "`" in rest or not rest.strip():
        return close if close >= 0 else run.end()
    limit = MAX_INLINE_MATH_CHARS if is_single else MAX_MATH_CHARS
    is_joined = is_single and at > 0 and _joins(text[at - 1]) and not re.match(r"[\\_^]", rest)
    is_doubtful = (is_single and rest[0].isspace()) or is_joined or len(rest) > limit
    # a command of which only the backslash has arrived counts
    has_begun = _has_marks(rest) or rest.endswith("\\") or re.match(r"[\\_^]", rest)
    return None if has_begun and not is_doubtful and not _has_sentence(rest) else run.end()


# ---- heuristics: is it a formula? ----------------------------------------------------------------

_COMMAND = re.compile(r"\\[A-Za-z]")
_MARKS = re.compile(
    r"""\\(?:[A-Za-z]|[{}|,;:!\\])       # a command
    |(?<=[\w)}\]|'])\s?\^\s?[\w{(+\-*\\']   # an exponent
    |(?<![^\W_])[^\W\d_]'*_\s?[\w{\\]       # an index
    |[)}\]]_[\w{\\]""",
    re.VERBOSE,
)
_IN_WORDS = re.compile(
    r"\\(?:begin|end|text|textbf|textit|textrm|mbox|hbox|mathrm|mathbf|mathsf|operatorname|tag|label"
    r"|ce|pu)\*?\s*\{[^{}]*\}|\\[A-Za-z]+"
)
_PROSE = re.compile(r"(?<![^\W_])[^\W\d_]{2,},?[ \t\n]+[^\W\d_]{2,}(?![^\W_])")
_LITTLE_WORDS = re.compile(
    r"(?<![^\W\d_])(?:and|or|is|to|for|the|of|in|per|with|und|oder|ist|et|ou|est|para|por|и|или)"
    r"(?![^\W\d_])"
)
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffdc"
    "\U00020000-\U0003ffff]"
)
"""Characters of scripts without spaces between words."""

_CURRENCY = re.compile("[€£¥₹₽₩₺₫₴₪฿元円]")
_CODE_SIGNS = re.compile(r"[\"`;@#\n]|&&|\|\||->|=>|::|//")
_OPERATOR = re.compile(r"[+*/=<>≤≥≠≈×÷·±!|∈∪∩→]")
_NUMBER = re.compile(r"[-+±~]?\s?(?:\d+(?:[.,]\d+)*|\.\d+)\s?(?:\\?%)?")
_DIGIT_FIRST = re.compile(r"[-+±~≈<>≤≥(\[]*\s?\.?\d")
_ATTACHED = re.compile(r"[_^](?:\{[^{}]*\}|\w|\\[A-Za-z]+)[+\-]?|\\[A-Za-z]+[^\n]{0,40}")
"""A formula that may directly follow a word: ``H$_2$O``, ``30$^\\circ$C``, ``5$\\mu$m``."""

_SUFFIX = re.compile(r"(?:th|st|nd|rd|s|D|d|ary|fold|mal|te[nrs]?|ième|e)(?![^\W_])")


def _has_marks(text: str) -> bool:
    return _MARKS.search(text) is not None


def _is_prose(text: str) -> bool:
    """Return whether a text without signs of TeX has two consecutive words."""
    return not _has_marks(text) and _PROSE.search(text) is not None


def _has_sentence(text: str) -> bool:
    """Return whether a text has two consecutive words, not counting TeX commands and labels."""
    return _PROSE.search(_IN_WORDS.sub(" \x00 ", text)) is not None


def _is_balanced(text: str) -> bool:
    return text.count("(") + text.count("[") == text.count(")") + text.count("]") and text.count(
        "{"
    ) == text.count("}")


def _is_dollar_formula(inner: str, before: str, after: str) -> bool:
    """Return whether ``$inner$`` is a formula, by its text and the surrounding characters."""
    if not inner.strip() or "`" in inner or before == "$" or after[:1].isdecimal():
        return False
    if after[:1] == "{" and not _COMMAND.search(inner):  # ${A}${B}
        return False
    has_marks = _has_marks(inner)
    is_attached = bool(_ATTACHED.fullmatch(inner))
    if inner[0].isspace() or inner[-1].isspace():
        # some models write "$ \alpha $"; "5 $ or 10 $" has prices
        is_padded = inner[0].isspace() and inner[-1].isspace()
        return is_padded and bool(_COMMAND.search(inner)) and not _has_sentence(inner)
    if _joins(before) and not is_attached:
        return False
    if _joins(after[:1]) and not (is_attached or _COMMAND.search(inner) or "^" in inner):
        is_variable = len(inner) == 1 and inner.isalpha() and inner.isascii()
        return is_variable and bool(_SUFFIX.match(after))
    if _CURRENCY.search(inner) and not _COMMAND.search(inner):
        return False
    if has_marks or is_attached:
        return not (_DIGIT_FIRST.match(inner) and _has_sentence(inner))
    if _DIGIT_FIRST.match(inner):
        return _is_calculation(inner)
    return _is_expression(inner, after)


def _joins(char: str) -> bool:
    """Return whether a character adjacent to a dollar forms one word with it."""
    return char.isalnum() and not _SPACELESS.match(char)


def _is_calculation(inner: str) -> bool:
    """Return whether a text that starts with a digit and has no TeX is more than a price."""
    if _NUMBER.fullmatch(inner):
        return True
    if re.search(r"[.:;!?]\s|[;?\"\n]", inner) or not _is_balanced(inner):
        return False
    if re.fullmatch(r"[(\[][\d.,\s+-]+[)\]]", inner):  # an interval, a point
        return True
    if _SPACELESS.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    for word in re.finditer(r"[^\W\d_]{2,}", inner):
        is_coefficient = word.start() > 0 and inner[word.start() - 1].isdecimal()
        if not word[0].isascii() or word[0].isupper() or len(word[0]) > 3 or not is_coefficient:
            return False
    if inner[-1] in "+-*/=<>.,:(" or re.search("[→≈~–—]", inner):  # a range of prices
        return False
    has_letter = re.search(r"[A-Za-z]", inner) is not None
    is_product = re.search(r"\d[A-Za-z]", inner) is not None
    return is_product or bool(_OPERATOR.search(inner)) or (has_letter and "-" in inner)


def _is_expression(inner: str, after: str) -> bool:
    """Return whether a text that starts with no digit and has no TeX is a formula."""
    if len(inner) == 1:
        return inner.isalpha() or inner in "+-=<>/*|!±×÷∞"
    if _CODE_SIGNS.search(inner) or not _is_balanced(inner):
        return False
    if inner[0] in ".,;:)]}&*/?!'" or inner[-1] in "-/=:+*(&<>":
        return False
    if inner[-1] in ",.;" and after[:1].strip():
        return False
    if re.match(r"\{\w{2,}", inner):  # ${NAME}
        return False
    if _PROSE.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    return not _SPACELESS.search(inner) or bool(_OPERATOR.search(inner))


def _is_in_parentheses(inner: str) -> bool:
    r"""Return whether ``\(inner\)`` is a formula rather than text in escaped parentheses."""
    if not inner.strip() or "\n\n" in inner:
        return False
    if _has_marks(inner) or "\\" in inner:
        return True
    inner = " ".join(inner.split())
    if _CODE_SIGNS.search(inner) or _PROSE.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    if _SPACELESS.search(inner):
        return bool(_OPERATOR.search(inner))
    words = re.findall(r"[^\W\d_]{4,}", inner)
    return not words or bool(_OPERATOR.search(inner))


def _is_after_text(inner: str) -> bool:
    """Return whether a ``$$`` formula that starts at the end of a line of text is a formula."""
    return bool(inner.strip()) and (_has_marks(inner) or _is_in_parentheses(inner))


def _is_display(opening: str, inner: str) -> bool:
    r"""Return whether ``$$inner$$`` or ``\[inner\]`` within one line is a formula."""
    stripped = inner.strip()
    if not stripped or "`" in inner:
        return False
    if _has_marks(inner):
        return bool(_COMMAND.search(inner)) or not _PROSE.search(inner)
    if _CODE_SIGNS.search(stripped) or _PROSE.search(inner) or _LITTLE_WORDS.search(inner):
        return False
    if not _is_balanced(inner) or stripped[0] in ".,;:)]}&>/|-" or stripped[-1] in "-/:+*(&|":
        return False
    if opening == "$$":
        return " | " not in inner and _is_in_parentheses(inner)
    # escaped brackets: "\[1\]", "\[x\]", "\[see below\]", "\[--key=value\]"
    has_words = re.search(r"[^\W\d_]{3,}", inner) is not None
    is_padded = inner[0].isspace() and inner[-1].isspace()
    return bool(re.search(r"[+=<>≤≥≠≈]", inner)) and (is_padded or not has_words)


# ---- HTML ----------------------------------------------------------------------------------------


def classes(token: Token) -> str:
    """Return the CSS classes of a formula's element; ``ws-math`` marks a displayed formula."""
    is_display = token.type == "math_block" or token.meta["display"]
    return "ws-tex ws-math" if is_display else "ws-tex"
