"""Formulas within a line of text."""

from __future__ import annotations

import re

from markdown_it.rules_inline import StateInline

from wireside_ui.markdown.math.delimiters import (
    CLOSINGS,
    ENVIRONMENTS,
    MAX_INLINE_MATH_CHARS,
    MAX_MATH_CHARS,
    is_escaped,
)
from wireside_ui.markdown.math.heuristics import (
    has_marks,
    has_sentence,
    is_display_formula,
    is_dollar_formula,
    is_parenthesis_formula,
    joins_word,
)


def math_inline(state: StateInline, silent: bool) -> bool:
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
_ENVIRONMENT = re.compile(rf"\\begin\{{((?:{ENVIRONMENTS})\*?)\}}")
_TO_DOLLAR = re.compile(r"((?:[^$\\]|\\.)*)(\$+)", re.DOTALL)


def _dollar_close(src: str, pos: int, end: int) -> int:
    """Return the end offset of a formula opened by a single dollar, -1 if it opens none."""
    found = _TO_DOLLAR.match(src, pos + 1, min(end, pos + 2 + MAX_INLINE_MATH_CHARS))
    if not found or len(found[2]) > 1:
        return -1
    before, after = src[pos - 1 : pos] if pos else "", src[found.end() : found.end() + 8]
    return found.end() if is_dollar_formula(found[1], before, after) else -1


def _dollars_close(src: str, pos: int, end: int) -> int:
    limit = min(end, pos + MAX_MATH_CHARS)
    found = CLOSINGS["$$"].search(src, pos + 2, limit)
    if not found:
        return -1
    inner = src[pos + 2 : found.end() - 2]
    is_joined = pos > 0 and src[pos - 1].isascii() and src[pos - 1].isalnum()
    if is_joined and not has_marks(inner):
        return -1
    return found.end() if is_display_formula("$$", inner) else -1


def _bracket_close(src: str, pos: int, end: int) -> int:
    opening = src[pos : pos + 2]
    closing = {r"\(": r"\)", r"\[": r"\]"}[opening]
    limit = MAX_INLINE_MATH_CHARS if opening == r"\(" else MAX_MATH_CHARS
    close = src.find(closing, pos + 2, min(end, pos + limit))
    while close > 0 and is_escaped(src[pos + 2 : close]):  # a line break within a matrix
        close = src.find(closing, close + 2, min(end, pos + limit))
    if close < 0:
        return -1
    inner = src[pos + 2 : close]
    if opening == r"\(":
        is_formula = is_parenthesis_formula(inner)
    else:
        is_link = src.startswith("(", close + 2) and inner == inner.strip()
        is_formula = not is_link and is_display_formula(opening, inner)
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
    is_joined = is_single and at > 0 and joins_word(text[at - 1]) and not re.match(r"[\\_^]", rest)
    is_doubtful = (is_single and rest[0].isspace()) or is_joined or len(rest) > limit
    # a command of which only the backslash has arrived counts
    has_begun = has_marks(rest) or rest.endswith("\\") or re.match(r"[\\_^]", rest)
    return None if has_begun and not is_doubtful and not has_sentence(rest) else run.end()
