"""Decisions derived from bytes: a fuzzer that changes one byte changes one decision.

The same bytes always give the same values, so an input that failed reproduces its failure, whether
libFuzzer, hypothesis or the generator of ``parser.py`` made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Reads decisions from ``data``; once it is used up, each decision is the first option."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Whether all bytes are used up."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """Return a number from 0 to 255."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, limit: int) -> int:
        """Return an integer from 0 to ``limit`` - 1 (``limit`` is at most 65,536)."""
        value = self.byte()
        if limit > 256:
            value = value << 8 | self.byte()
        return value % limit

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.below(len(items))]

    def some(self, items: Sequence[T], most: int) -> list[T]:
        """Return up to ``most`` of the items, in any order, with repetitions."""
        return [self.pick(items) for _ in range(self.below(most + 1))]

    def rest(self) -> bytes:
        """Return all remaining bytes."""
        rest = self._data[self._at :]
        self._at = len(self._data)
        return rest

    def cut(self, text: Sequence[T]) -> list[Sequence[T]]:
        """Return ``text`` in pieces whose concatenation is the text."""
        edges = {0, len(text)} | {self.below(len(text) + 1) for _ in range(self.below(8))}
        order = sorted(edges)
        return [text[a:b] for a, b in zip(order, order[1:], strict=False)]
