"""Blocks that are on the screen and still grow.

Lists grow by items, tables by rows, code fences by text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from markdown_it.common.utils import unescapeAll
from markdown_it.token import Token

from wireside_ui.markdown.fences import FenceEnd
from wireside_ui.markdown.highlighting import code_label

_MAX_SPLIT_HEADER = 2_000
_MAX_SPLIT_BARS = 48  # of the two lines together
_SPLITS = {
    "bullet_list_open": "list_item_open",
    "ordered_list_open": "list_item_open",
    "table_open": "tr_open",
}


def lines_of(token: Token) -> list[int]:
    """Return the first line of a block and the line after it."""
    assert token.map is not None
    return token.map


def top_level_blocks(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the top-level blocks without footnotes, which belong to the whole document."""
    blocks: list[list[Token]] = []
    depth = 0
    for token in tokens:
        if token.type == "footnote_block_open":
            break
        if depth == 0:
            blocks.append([])
        depth += token.nesting
        blocks[-1].append(token)
    return [block for block in blocks if block[0].map]


def joined(parts: Sequence[Sequence[Token]]) -> list[Token]:
    """Return the tokens of several parts."""
    return [token for part in parts for token in part]


@dataclass(slots=True)
class OpenContainer:
    """A list or table that is on the screen and still grows.

    Its settled items or rows are sent and discarded.
    """

    kind: Literal["list_item_open", "tr_open"]
    head: str
    """Source to prepend to a row, so that it is parsed as a table row."""

    @classmethod
    def of(cls, block: list[Token], source: str, starts: list[int]) -> "OpenContainer | None":
        """Return a container for ``block`` if it has two or more parts, else None.

        All parts but the last are settled.
        """
        kind = _SPLITS.get(block[0].type)
        if kind is None:
            return None
        head = ""
        if kind == "tr_open":
            first = lines_of(block[0])[0]
            head = source[starts[first] : starts[first + 2]] if first + 2 < len(starts) else ""
            if (
                len(head) > _MAX_SPLIT_HEADER
                or head.count("|") > _MAX_SPLIT_BARS
                or not head.endswith("\n")
            ):
                return None  # a long head would be parsed again with each row
        container = cls(kind, head)  # type: ignore[arg-type]  # one of the two, by _SPLITS
        return container if len(container.parts(block)) > 1 else None

    def parts(self, block: list[Token]) -> list[list[Token]]:
        """Return the direct items of a list or the body rows of a table."""
        level = block[0].level + (1 if self.kind == "list_item_open" else 2)
        parts: list[list[Token]] = []
        is_inside = in_head = False
        for token in block:
            in_head = token.type == "thead_open" or (in_head and token.type != "thead_close")
            if token.type == self.kind and token.level == level and not in_head:
                parts.append([])
                is_inside = True
            if is_inside:
                parts[-1].append(token)
                is_inside = not (token.nesting == -1 and token.level == level)
        return parts

    def opening(self, block: list[Token]) -> list[Token]:
        """Return the tokens before the first part."""
        first = self.parts(block)[0][0]
        return block[: next(i for i, token in enumerate(block) if token is first)]

    def closing(self, block: list[Token]) -> list[Token]:
        """Return the tokens after the last part."""
        last = self.parts(block)[-1][-1]
        return block[next(i for i, token in enumerate(block) if token is last) + 1 :]


def is_certain_fence(source: str) -> bool:
    """Return whether a fence at the start of ``source`` can no longer become another block."""
    info, end, rest = source.partition("\n")
    # the next line may turn a line with a bar into the head of a table
    return bool(end) and ("|" not in info or "\n" in rest)


@dataclass(slots=True)
class OpenFence:
    """A code fence that is on the screen and still grows."""

    markup: str
    indent: int
    label: str
    end: FenceEnd
    at: int  # offset in the pending source of the first line not fully taken
    taken: int = 0  # characters of that line that are on the screen
    is_shown: bool = False
    _code: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, token: Token, source: str) -> "OpenFence":
        """Return the fence of ``token``, which starts at the beginning of ``source``."""
        line = source[: source.index("\n") + 1]
        return cls(
            markup=token.markup,
            indent=len(line) - len(line.lstrip(" ")),
            label=code_label(unescapeAll(token.info)),
            end=FenceEnd(token.markup, token.info),
            at=len(line),
        )

    @property
    def code(self) -> str:
        """The code so far."""
        return "".join(self._code)

    def take(self, source: str, *, final: bool) -> tuple[str, int | None]:
        """Return the new code in ``source``, and the end offset of the fence if it is closed."""
        new: list[str] = []
        while (end := source.find("\n", self.at)) >= 0:
            line = source[self.at : end]
            if self.end.closes(line):
                return self._keep(new), end + 1
            new.append(self._dedented(line)[self.taken :] + "\n")
            self.at, self.taken = end + 1, 0
        line = source[self.at :]
        if final and self.end.closes(line):
            return self._keep(new), len(source)
        if line.strip(" \t") if final else line.strip(self.markup[0] + " \t") and not self.indent:
            text = self._dedented(line)
            new.append(text[self.taken :])
            self.taken = len(text)
        return self._keep(new), len(source) if final else None

    def _keep(self, new: list[str]) -> str:
        self._code.extend(new)
        return "".join(new)

    def _dedented(self, line: str) -> str:
        if not self.indent:
            return line
        body = line.lstrip(" \t")
        return line[: len(line) - len(body)].expandtabs(4)[self.indent :] + body
