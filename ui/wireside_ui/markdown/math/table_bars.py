"""Bars within formulas of table rows, which do not separate cells."""

from __future__ import annotations

import re

from markdown_it.rules_core import StateCore

from wireside_ui.markdown.math.heuristics import is_dollar_formula

_BAR = "\ufdd1"  # a noncharacter that replaces a bar while rows are split into cells
_ROW = re.compile(r"^[ \t>]*\|.*[$(].*$", re.MULTILINE)
_IN_ROW = re.compile(r"(?<![\\$])\$((?:\\.|[^$\\\n])+)\$(?!\$)|\\\(((?:(?!\\\)).){1,500})\\\)")


def hide_bars(state: StateCore) -> None:
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
    is_formula = found[2] or is_dollar_formula(inner, before, row[end : end + 8])
    return found[0].replace("|", _BAR) if is_formula else found[0]


def show_bars(state: StateCore) -> None:
    """Put the bars back, after the rows were split into cells."""
    if _BAR not in state.src:
        return
    for token in state.tokens:
        token.content = token.content.replace(_BAR, "|")
        token.info = token.info.replace(_BAR, "|")
