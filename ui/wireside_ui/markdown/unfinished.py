"""Text that ends within emphasis, code, a link or a formula, because the rest has not arrived."""

import re
import sys
from collections import Counter
from collections.abc import Callable

from markdown_it.rules_core import StateCore

from wireside_ui.markdown.autolinks import address_spans
from wireside_ui.markdown.emphasis import flanks, is_unspaced
from wireside_ui.markdown.math import inline as math
from wireside_ui.markdown.tags import TAG, VOID_TAGS, without_half_entity, without_half_tag

_MARKS = re.compile(
    rf"\\.|\$+|`+|\*{{1,3}}|(?<!\w)_{{1,2}}|_{{1,2}}(?!\w)|~~|!?\[|\]|{TAG.pattern}",
    re.DOTALL | re.IGNORECASE,
)
_REACH = 2_000
_NOWHERE = (sys.maxsize, sys.maxsize)


def repair_last_inline(state: StateCore) -> None:
    """Close the open marks at the end of an incomplete text."""
    if not state.env.get("tail"):
        return
    for token in reversed(state.tokens):
        if token.type == "inline" and token.content:
            token.content = token.content[:-_REACH] + close_open_marks(token.content[-_REACH:])
            return
        if token.nesting != -1 and token.type not in ("inline", "td_open"):
            return  # the text ends in another kind of block


def close_open_marks(text: str) -> str:
    """Return ``text`` with open emphasis and code closed and incomplete links as plain text.

    This keeps the layout stable when the rest of the text arrives.
    """
    return _OpenMarks(text).closed()


class _OpenMarks:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[tuple[str, int]] = []  # marks and their offsets
        self._kinds: Counter[str] = Counter()  # counts in ``_open``: brackets, and tags by name
        self._resume = 0
        self._addresses = address_spans(text)

    def closed(self) -> str:
        addresses = iter(self._addresses)
        first, last = next(addresses, _NOWHERE)
        for mark in _MARKS.finditer(self._text):
            if mark.start() < self._resume:
                continue
            while last <= mark.start():
                first, last = next(addresses, _NOWHERE)
            if first <= mark.start() and mark[0][0] in "*_~":
                continue
            end = self._read(mark[0], mark.start(), self._text[mark.end() :])
            if end is not None:
                return self._close(end)
        text = self._text if self._text.endswith("~~") else self._text.removesuffix("~")
        return self._close(without_half_entity(without_half_tag(text)))

    def _push(self, mark: str, at: int) -> None:
        self._open.append((mark, at))
        self._kinds[_kind_of_mark(mark)] += 1

    def _cut(self, index: int) -> None:
        self._kinds.subtract(_kind_of_mark(mark) for mark, _ in self._open[index:])
        del self._open[index:]

    def _read(self, mark: str, at: int, after: str) -> str | None:
        """Process a mark; return the text to end with if the rest must not be parsed, else None."""
        match mark[0]:
            case "\\":
                return self._formula(mark, at)
            case "$":
                end = math.unfinished(self._text, at)
                self._resume = end or 0
                return self._text[:at] if end is None else None
            case "`":
                return self._code(mark, at, after)
            case "[" | "!":
                self._push(mark, at)
                return None
            case "<":
                self._tag(mark, at)
                return None
            case "]":
                return self._bracket(at, after)
            case _:
                return self._emphasis(mark, at, after)

    def _formula(self, mark: str, at: int) -> str | None:
        closing = {r"\(": r"\)", r"\[": r"\]"}.get(mark)
        if closing is None:
            return None
        close = self._text.find(closing, at + 2)
        self._resume = close + 2
        return self._text[:at] if close < 0 else None

    def _code(self, run: str, at: int, after: str) -> str | None:
        close = re.search(rf"(?<!`){run}(?!`)", after)
        if close:
            self._resume = at + len(run) + close.end()
            return None
        body = after.rstrip("` ")
        return self._text[:at] + run + body + run if body else self._text[:at]

    def _bracket(self, at: int, after: str) -> str | None:
        if not self._kinds["["]:
            return None
        index = len(self._open) - 1
        while self._open[index][0] not in ("[", "!["):
            index -= 1
        mark, start = self._open[index]
        self._cut(index)
        if after and not (after.startswith("(") and ")" not in after):
            return None
        return self._text[:start] + (self._text[start + 1 : at] if mark == "[" else "")

    def _tag(self, tag: str, at: int) -> None:
        name = _tag_name(tag)
        if name in VOID_TAGS:
            return
        if not tag.startswith("</"):
            # a single letter after a name is a type argument: Option<i>
            if len(name) > 1 or not self._text[at - 1 : at].isalnum():
                self._push(tag, at)
            return
        if self._kinds[name]:
            self._forget_from(lambda open_mark: _tag_name(open_mark) == name, over="*_~<")

    def _forget_from(self, is_it: Callable[[str], bool], over: str) -> bool:
        """Close the innermost open mark for which ``is_it`` is true, and all marks inside it.

        The marks inside it may only start with one of the characters ``over``. Returns whether a
        mark was closed.
        """
        for index in range(len(self._open) - 1, -1, -1):
            mark = self._open[index][0]
            if is_it(mark):
                self._cut(index)
                return True
            if mark[0] not in over:
                break
        return False

    def _emphasis(self, mark: str, at: int, after: str) -> str | None:
        before = self._text[at - 1 : at] if at else ""
        opens, closes = flanks(before, after[:1], splits_words="_" not in mark)
        if closes and self._forget_from(lambda open_mark: open_mark == mark, over="<"):
            return None
        if after and opens and (not before.isalnum() or is_unspaced(before)):
            self._push(mark, at)
        elif not after:
            return self._text[:at]
        return None

    def _close(self, text: str) -> str:
        closing = ""
        for mark, at in reversed(self._open):
            if mark == "![":
                text, closing = text[:at], ""
            elif mark == "[":
                text = text[:at] + text[at + 1 :]
            elif text[at + len(mark) :].strip():
                text, closing = text.rstrip(), closing + _closing(mark)
            else:
                text = text[:at]
        return text + closing


def _tag_name(mark: str) -> str:
    return mark.strip("</> \t").lower() if mark.startswith("<") else ""


def _closing(mark: str) -> str:
    return f"</{_tag_name(mark)}>" if mark.startswith("<") else mark


def _kind_of_mark(mark: str) -> str:
    return "[" if mark in ("[", "![") else _tag_name(mark)
