"""GFM tables whose output is bounded by the length of the text.

The missing cells of a row are merged into one cell with a ``colspan``: markdown-it's own rule can
produce a thousand cells for a row of one character.
"""

from __future__ import annotations

import re

from markdown_it.rules_block import StateBlock

from wireside_ui.markdown.math.blocks import begins_formula, math_block

MAX_COLUMNS = 256
"""Maximum number of columns; a wider table is text."""

_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
_LONE_DASH = re.compile(r"-[ \t]")


def table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a table: a head, a delimiter line and rows."""
    if start + 2 > end or state.sCount[start + 1] < state.blkIndent:
        return False
    if state.is_code_block(start) or state.is_code_block(start + 1):
        return False
    line = _trimmed(_text(state, start + 1))
    if not _could_be(line) or "|" not in _text(state, start) or not _DELIMITERS.fullmatch(line):
        return False
    marks = [mark.strip() for mark in line.strip("|").split("|")]
    head = _cells(_text(state, start))
    if len(head) != len(marks) or len(head) > MAX_COLUMNS:
        return False
    if silent:
        return True
    styles = [_style(mark) for mark in marks]
    parent, state.parentType = state.parentType, "table"
    opening = state.push("table_open", "table", 1)
    state.push("thead_open", "thead", 1).map = [start, start + 1]
    _push_row(state=state, name="th", cells=head, styles=styles, line=start)
    state.push("thead_close", "thead", -1)
    row = start + 2
    body = None
    while row < end and state.sCount[row] >= state.blkIndent and not state.isEmpty(row):
        if _begins_other_block(state, row, end):
            break
        if body is None:
            body = state.push("tbody_open", "tbody", 1)
        _push_row(state=state, name="td", cells=_cells(_text(state, row)), styles=styles, line=row)
        row += 1
    if body is not None:
        body.map = [start + 2, row]
        state.push("tbody_close", "tbody", -1)
    state.push("table_close", "table", -1)
    opening.map = [start, row]
    state.parentType, state.line = parent, row
    return True


def _begins_other_block(state: StateBlock, line: int, end: int) -> bool:
    if state.is_code_block(line) or begins_formula(_text(state, line)):
        return True
    rules = state.md.block.ruler.getRules("blockquote")
    # Whether lines are a formula depends on later lines; a row must not depend on them.
    return any(rule(state, line, end, True) for rule in rules if rule is not math_block)


def _text(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _trimmed(text: str) -> str:
    return text.strip(" \t\n\r")


def _could_be(line: str) -> bool:
    """Return whether a line may be a delimiter line; "- " starts a list."""
    return len(line) > 1 and line[0] in "|-:" and not _LONE_DASH.match(line)


def _style(mark: str) -> str:
    match mark.startswith(":"), mark.endswith(":"):
        case (True, True):
            return "text-align:center"
        case (False, True):
            return "text-align:right"
        case (True, False):
            return "text-align:left"
        case _:
            return ""


def _cells(text: str) -> list[str]:
    """Split a row into cells at each bar that is not escaped by a backslash."""
    cells, start = [], 0
    text = _trimmed(text)
    at = text.find("|")
    while at >= 0:
        if at == 0 or text[at - 1] != "\\":
            cells.append(text[start:at])
            start = at + 1
        at = text.find("|", at + 1)
    cells.append(text[start:])
    if cells and not cells[0]:
        cells.pop(0)
    if cells and not cells[-1]:
        cells.pop()
    return [_trimmed(cell.replace("\\|", "|")) for cell in cells]


def _push_row(state: StateBlock, name: str, cells: list[str], styles: list[str], line: int) -> None:
    opening = state.push("tr_open", "tr", 1)
    opening.map = [line, line + 1]
    for content, style in zip(cells, styles, strict=False):
        _push_cell(state=state, name=name, content=content, style=style, line=line)
    missing = len(styles) - len(cells)
    if missing > 0:
        _push_cell(state=state, name=name, content="", style="", line=line, span=missing)
    state.push("tr_close", "tr", -1)


def _push_cell(
    state: StateBlock, name: str, content: str, style: str, line: int, span: int = 1
) -> None:
    opening = state.push(f"{name}_open", name, 1)
    if style:
        opening.attrs = {"style": style}
    if span > 1:
        opening.meta = {"span": span}
    inline = state.push("inline", "", 0)
    inline.map = [line, line + 1]
    inline.content, inline.children = content, []
    state.push(f"{name}_close", name, -1)
