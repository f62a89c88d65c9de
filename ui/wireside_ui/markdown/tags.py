"""HTML tags in Markdown: an allow-list of tags without attributes; all others are escaped.

Models write ``<br>`` in table cells and ``H<sub>2</sub>O`` in sentences. ``vector<int>``,
``<channel>``, tags with attributes and unmatched tags are shown as text.
"""

from __future__ import annotations

import re

from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from wireside_ui.markdown.fences import FenceEnd, opened

VOID_TAGS = frozenset(["br", "wbr"])
# fmt: off
PAIRED_TAGS = frozenset([
    "b", "strong", "i", "em", "u", "ins", "s", "del", "strike", "mark", "small", "sub", "sup",
    "kbd", "samp", "var", "q", "cite", "dfn", "code",
    "ruby", "rt", "rp",
])
# fmt: on
BLOCK_TAGS = frozenset(["details", "summary"])

MAX_SUMMARY_LINES = 10
MAX_DETAILS_CHARS = 16_000
"""Maximum length of a ``<details>`` block.

If the closing tag is farther away, the tags are text, so that the rest is not held back.
"""

_SHOWN_AS = {"strike": "s"}
_NAMES = "|".join(sorted(VOID_TAGS | PAIRED_TAGS, key=len, reverse=True))
TAG = re.compile(rf"<(/?)({_NAMES})[ \t]{{0,8}}(/?)>", re.IGNORECASE)
_HALF = re.compile(r"<(/?)([a-z]{0,10})[ \t]{0,8}/?\Z", re.IGNORECASE)
_HALF_ENTITY = re.compile(r"&(#x?[0-9a-f]{0,6}|[a-z]{0,6})\Z", re.IGNORECASE)
_ENTITIES = ("nbsp", "lt", "gt", "amp", "quot", "apos", "mdash", "ndash", "hellip", "times", "rarr")

_DETAILS_OPEN = re.compile(r"<details(\s+open(?:=(?:\"(?:open)?\"|''))?)?\s*>", re.IGNORECASE)
_FOLD_BEGINS = re.compile(r"[ \t>*+.)\d-]{0,64}<details[^<>\n]{0,40}>", re.IGNORECASE)
_FOLD_ENDS = re.compile(r"(?:</details>\s{0,8})+\Z", re.IGNORECASE)
_SUMMARY_OPEN = re.compile(r"\s*<summary>", re.IGNORECASE)
_SUMMARY_CLOSE = re.compile(r"</summary>", re.IGNORECASE)


def tag(state: StateInline, silent: bool) -> bool:
    """Parse one tag of the allow-list; ``match_tags`` pairs it later."""
    if state.src[state.pos] != "<":
        return False
    found = TAG.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    name = found[2].lower()
    if found[3] and name not in VOID_TAGS:
        return False
    if not silent:
        token = state.push("html_tag", _SHOWN_AS.get(name, name), 0)
        token.markup = found[0]
        token.meta = {"closes": bool(found[1])}
    state.pos = found.end()
    return True


def match_tags(state: StateInline) -> None:
    """Pair opening and closing tags within the same emphasis or link.

    Unmatched tags become text.
    """
    if not any(token.type == "html_tag" for token in state.tokens):
        return
    pairs = _TagPairs()
    for token in state.tokens:
        pairs.add(token)
    for token in state.tokens:
        if token.type == "html_tag":
            token.type, token.tag, token.content = "text", "", token.markup


class _TagPairs:
    """Matches tags from left to right, each in constant time."""

    def __init__(self) -> None:
        self._open: list[Token] = []  # emphasis, links and tags
        self._places: dict[str, list[int]] = {}  # indices in ``_open``, by tag
        self._floors: list[int] = [0]  # lengths of ``_open`` at the start of each emphasis and link

    def add(self, token: Token) -> None:
        """Process the next token; a matching pair is turned into an element."""
        if token.type == "html_tag":
            self._add_tag(token)
        elif token.nesting == 1:
            self._open.append(token)
            self._floors.append(len(self._open))
        elif token.nesting == -1 and len(self._floors) > 1:
            self._close_to(self._floors.pop() - 1)

    def _add_tag(self, token: Token) -> None:
        places = self._places.setdefault(token.tag, [])
        if token.tag in VOID_TAGS:
            token.type = "html_void"
        elif not token.meta["closes"]:
            places.append(len(self._open))
            self._open.append(token)
        elif places and places[-1] >= self._floors[-1]:
            opener = self._open[places[-1]]
            self._close_to(places[-1])
            opener.type, opener.nesting = "html_tag_open", 1
            token.type, token.nesting = "html_tag_close", -1

    def _close_to(self, length: int) -> None:
        while len(self._open) > length:
            token = self._open.pop()
            if token.type == "html_tag":
                self._places[token.tag].pop()


def without_half_tag(text: str) -> str:
    """Return ``text`` without an incomplete tag at its end."""
    found = _HALF.search(text, max(0, len(text) - 24))
    if found is None:
        return text
    name = found[2].lower()
    is_known = any(known.startswith(name) for known in VOID_TAGS | PAIRED_TAGS | BLOCK_TAGS)
    return text[: found.start()] if is_known else text


def without_half_entity(text: str) -> str:
    """Return ``text`` without an incomplete common character reference at its end."""
    found = _HALF_ENTITY.search(text, max(0, len(text) - 10))
    if found is None:
        return text
    name = found[1]
    is_known = name.startswith("#") or any(known.startswith(name) for known in _ENTITIES)
    return text[: found.start()] if is_known else text


def details(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse ``<details>`` … ``</details>`` with a summary and any blocks inside.

    The opening tag starts a line and the closing tag ends one. In incomplete text, an unclosed
    ``<details>`` extends to the end of the text.
    """
    if state.is_code_block(start):
        return False
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    opening = _DETAILS_OPEN.match(first)
    if opening is None:
        return False
    if silent:  # even without an end: later text must not change preceding blocks
        return True
    last = _last_line(state, start, end)
    if last is None:
        return False
    is_closed = last < end and last < state.lineMax
    _push_details(state, start, last, opening, is_closed=is_closed)
    state.line = last + 1 if is_closed else last
    return True


def _last_line(state: StateBlock, start: int, end: int) -> int | None:
    """Return the last line of the block; ``end`` if it is still open, None if it is text."""
    last = _ends(state).get(start)
    if last is None:
        return None
    if last >= state.lineMax and state.env.get("tail") and end >= len(state.bMarks) - 1:
        return end
    is_inside = last < end and all(
        state.sCount[line] >= state.blkIndent or state.isEmpty(line)
        for line in range(start, last + 1)
    )
    return last if is_inside else None


def _ends(state: StateBlock) -> dict[int, int]:
    """Return the last line of each ``<details>`` block of the document by its first line.

    The value is the number of lines for a block that is not closed. Computed once per document, so
    that the work is linear.
    """
    ends: dict[int, int] | None = getattr(state, "details_ends", None)
    if ends is not None:
        return ends
    folds = _Folds()
    for line in range(len(state.bMarks) - 1):
        begin = state.bMarks[line] + state.tShift[line]
        folds.add_line(line, begin, state.src[begin : state.eMarks[line]])
    ends = folds.finish(len(state.bMarks) - 1, len(state.src))
    state.details_ends = ends  # type: ignore[attr-defined]  # cached for the lifetime of the state
    return ends


class _Folds:
    """Matches ``<details>`` and ``</details>`` line by line, skipping code fences."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        self._open: list[tuple[int, int]] = []  # (line, offset)
        self._fence: FenceEnd | None = None

    def add_line(self, line: int, place: int, text: str) -> None:
        """Process a line that starts at offset ``place``, without its indent."""
        if self._fence:
            if self._fence.closes(text):
                self._fence = None
        elif opening := opened(text):
            self._fence = FenceEnd(*opening)
        elif "<" in text:
            if _FOLD_BEGINS.match(text):
                self._open.append((line, place))
            closing = _FOLD_ENDS.search(text)
            for _ in range(closing[0].count("<") if closing else 0):
                self._close(line, place + len(text))

    def finish(self, lines: int, chars: int) -> dict[int, int]:
        """Return the last line of each block by its first line; ``lines`` for open ones."""
        while self._open:
            self._close(lines, chars)
        return self._ends

    def _close(self, line: int, end: int) -> None:
        if self._open:
            first, place = self._open.pop()
            if end - place <= MAX_DETAILS_CHARS:
                self._ends[first] = line


def _push_details(
    state: StateBlock, start: int, last: int, opening: re.Match[str], *, is_closed: bool
) -> None:
    token = state.push("details_open", "details", 1)
    token.map = [start, last + 1 if is_closed else last]
    if opening[1] or not is_closed:  # expanded while streaming, so that new text is visible
        token.attrs = {"open": ""}
    begin = state.bMarks[start] + state.tShift[start] + opening.end()
    stop = last if is_closed else last - 1  # the last line
    limit = state.src.rindex("<", 0, state.eMarks[last]) if is_closed else state.eMarks[stop]
    line, begin = _push_summary(
        state=state, line=start, begin=begin, stop=stop, limit=limit, is_closed=is_closed
    )
    _push_blocks(state=state, line=line, begin=begin, stop=stop, limit=limit)
    state.push("details_close", "details", -1)


def _push_summary(
    state: StateBlock, line: int, begin: int, stop: int, limit: int, *, is_closed: bool
) -> tuple[int, int]:
    """Parse the summary, if there is one; return the line and the offset after it."""
    while line < stop and not state.src[begin : state.eMarks[line]].strip():
        line += 1
        begin = state.bMarks[line] + state.tShift[line]
    opening = _SUMMARY_OPEN.match(state.src, begin, limit)
    if opening is None:
        return line, begin
    parts, at, place = [], line, opening.end()
    while at <= min(stop, line + MAX_SUMMARY_LINES):
        end = min(state.eMarks[at], limit)
        if closing := _SUMMARY_CLOSE.search(state.src, place, end):
            parts.append(state.src[place : closing.start()])
            _push_inline(state, "summary", "\n".join(parts), line)
            return at, closing.end()
        parts.append(state.src[place:end])
        at += 1
        if at <= stop:
            place = state.bMarks[at] + state.tShift[at]
            if place >= state.eMarks[at]:
                return line, begin  # a blank line: not a summary
    if is_closed or at <= stop:
        return line, begin
    _push_inline(state, "summary", without_half_tag("\n".join(parts)), line)
    return stop, limit


def _push_inline(state: StateBlock, name: str, content: str, line: int) -> None:
    kind = "paragraph" if name == "p" else name
    opening = state.push(f"{kind}_open", name, 1)
    inline = state.push("inline", "", 0)
    opening.map = inline.map = [line, line + 1]
    inline.content, inline.children = content.strip(), []
    state.push(f"{kind}_close", name, -1)


def _push_blocks(state: StateBlock, line: int, begin: int, stop: int, limit: int) -> None:
    """Parse the source from ``begin`` in ``line`` to ``limit`` in the line ``stop`` as blocks."""
    kept = (state.bMarks[line], state.tShift[line], state.sCount[line], state.eMarks[stop])
    kept_max, kept_parent = state.lineMax, state.parentType
    if begin > state.bMarks[line] + state.tShift[line]:  # after a tag in this line
        rest = state.src[begin : state.eMarks[line]]
        indent = len(rest) - len(rest.lstrip(" \t"))
        state.bMarks[line], state.tShift[line] = begin, indent
        state.sCount[line] = state.blkIndent
    state.eMarks[stop] = max(limit, state.bMarks[stop])
    state.lineMax, state.parentType = stop + 1, "details"
    state.md.block.tokenize(state, line, stop + 1)
    state.bMarks[line], state.tShift[line], state.sCount[line], state.eMarks[stop] = kept
    state.lineMax, state.parentType = kept_max, kept_parent
