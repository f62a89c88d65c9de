"""Emphasis in scripts without spaces: CommonMark's flanking rules with the CJK amendment.

CommonMark decides by the characters adjacent to a run of ``*`` whether it opens or closes emphasis,
and treats a letter after a closing bracket as the middle of a word. Chinese, Japanese, Korean and
the scripts of South East Asia write no space there, so that ``**「語」**の`` would show its
asterisks. The amendment: punctuation of these scripts counts as a letter, and a letter of these
scripts adjacent to a run counts as a word boundary.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter, Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

FindSpans = Callable[[str], list[tuple[int, int]]]

MAX_LABEL_NESTING = 10
"""Maximum nesting of brackets: each level multiplies the work for a text of brackets only."""

_SINGLE, _DOUBLE = -1, -2
"""Markers of ``~`` and ``~~`` in the list of delimiters; distinct, so that they never match."""

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul Jamo
    (0x1780, 0x17FF),  # Khmer
    (0xAA60, 0xAA7F),  # Myanmar
    (0xD7B0, 0xD7FF),  # Hangul Jamo
    (0xFE00, 0xFE02),  # variation selectors, which follow a letter
    (0xE0100, 0xE01EF),
)


@lru_cache(maxsize=4_096)
def is_unspaced(char: str) -> bool:
    """Return whether ``char`` belongs to a script without spaces between words.

    This includes the script's punctuation, but not emoji.
    """
    code = ord(char)
    if code < 0x0E00:
        return False
    if any(first <= code <= last for first, last in _UNSPACED):
        return True
    if unicodedata.east_asian_width(char) not in "WFH":
        return False
    return not (code < 0x2E80 or 0x1F000 <= code < 0x1F200 or 0x1F300 <= code < 0x20000)


@lru_cache(maxsize=4_096)
def is_punctuation(char: str) -> bool:
    """Return whether ``char`` is punctuation as CommonMark defines it: Unicode classes P and S."""
    return unicodedata.category(char)[0] in "PS"


def flanks(before: str, after: str, *, splits_words: bool) -> tuple[bool, bool]:
    """Return whether a run of marks between two characters can open and can close emphasis.

    An empty string stands for the start or the end of the text. ``splits_words``: the mark works
    within a word, like ``*`` and ``~~`` and unlike ``_`` and ``~``.
    """
    before, after = before or " ", after or " "
    is_space_before, is_space_after = before.isspace(), after.isspace()
    is_mark_before, is_mark_after = is_punctuation(before), is_punctuation(after)
    is_wide_before, is_wide_after = is_unspaced(before), is_unspaced(after)
    is_left = not is_space_after and (
        not is_mark_after or is_wide_after or is_space_before or is_mark_before or is_wide_before
    )
    is_right = not is_space_before and (
        not is_mark_before or is_wide_before or is_space_after or is_mark_after or is_wide_after
    )
    if splits_words:
        return is_left, is_right
    # within a word only next to a bracket or quote: 报告_2024_最终版.docx is a file name
    opens = is_left and (not is_right or is_mark_before or (is_wide_before and is_mark_after))
    closes = is_right and (not is_left or is_mark_after or (is_wide_after and is_mark_before))
    return opens, closes


class InlineState(StateInline):
    """The parser state of one inline text, with the amended flanking rules."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803  (overrides)
        """Return whether the run of marks at ``start`` can open and can close, and its length."""
        end, mark = start, self.src[start]
        while end < self.posMax and self.src[end] == mark:
            end += 1
        before = self.src[start - 1] if start else ""
        after = self.src[end] if end < self.posMax else ""
        opens, closes = flanks(before, after, splits_words=canSplitWord)
        if (opens or closes) and self.is_in_address(start):
            return Scanned(False, False, end - start)
        return Scanned(opens, closes, end - start)

    find_addresses: FindSpans
    _addresses: list[tuple[int, int]] | None = None

    def is_in_address(self, at: int) -> bool:
        """Return whether the character at offset ``at`` is within a bare web address."""
        if self._addresses is None:
            self._addresses = self.find_addresses(self.src)
        index = bisect_right(self._addresses, (at, self.posMax)) - 1
        return index >= 0 and at < self._addresses[index][1]


class InlineParser(ParserInline):
    """Parses inline text with ``InlineState``; brackets nest up to ``MAX_LABEL_NESTING``."""

    def __init__(self, find_addresses: FindSpans) -> None:
        """``find_addresses`` returns the (start, end) offsets of bare web addresses, in order."""
        super().__init__()
        self._find_addresses = find_addresses

    def skipToken(self, state: StateInline) -> None:  # noqa: N802  (overrides)
        """Advance ``state`` past the next token while searching for the end of a link's text."""
        pos = state.pos
        if pos in state.cache:
            state.pos = state.cache[pos]
            return
        if state.level >= MAX_LABEL_NESTING:
            state.pos = state.posMax
        else:
            state.level += 1
            if not any(rule(state, True) for rule in self.ruler.getRules("")):
                state.pos += 1
            state.level -= 1
        state.cache[pos] = state.pos

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        """Parse ``src`` and append its tokens to ``tokens``."""
        state = InlineState(src, md, env, tokens)
        state.find_addresses = self._find_addresses
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


def strikethrough(state: StateInline, silent: bool) -> bool:
    """Parse ``~~``, and ``~`` outside words: ``5~10`` and ``100~200元`` are ranges."""
    start = state.pos
    if silent or state.src[start] != "~":
        return False
    opens, closes, length = state.scanDelims(start, True)
    state.pos += length
    token = state.push("text", "", 0)
    token.content = "~" * length
    if length > 2:
        return True
    if length == 1:
        before = state.src[start - 1] if start else ""
        after = state.src[start + 1] if start + 1 < state.posMax else ""
        opens, closes = opens and not before.isalnum(), closes and not after.isalnum()
    state.delimiters.append(
        Delimiter(
            marker=_SINGLE if length == 1 else _DOUBLE,
            length=0,  # no "rule of 3"
            token=len(state.tokens) - 1,
            end=-1,
            open=opens,
            close=closes,
        )
    )
    return True


def finish_strikethrough(state: StateInline) -> None:
    """Turn matched marks of ``strikethrough`` into ``<s>`` tags."""
    inner = [meta["delimiters"] for meta in state.tokens_meta if meta and "delimiters" in meta]
    for delimiters in (state.delimiters, *inner):
        for opener in delimiters:
            if opener.marker not in (_SINGLE, _DOUBLE) or opener.end < 0:
                continue
            for at, nesting in ((opener.token, 1), (delimiters[opener.end].token, -1)):
                token = state.tokens[at]
                token.type = "s_open" if nesting == 1 else "s_close"
                token.tag, token.nesting = "s", nesting
                token.markup, token.content = token.content, ""
