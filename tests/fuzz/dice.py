"""Decisions out of bytes: a fuzzer that turns one byte turns one decision.

The same bytes always give the same values, so an input that failed is its own reproducer, whoever
made it: libFuzzer, hypothesis or our own generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Reads decisions from ``data``; at its end every decision is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing more to decide by."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """Return 0 to 255."""
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, limit: int) -> int:
        """Return a whole number from 0, below ``limit`` (65,536 at most)."""
        value = self.byte()
        if limit > 256:
            value = value << 8 | self.byte()
        return value % limit

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.below(len(items))]

    def some(self, items: Sequence[T], most: int) -> list[T]:
        """Return up to ``most`` of the items, in any order, any of them again."""
        return [self.pick(items) for _ in range(self.below(most + 1))]

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        rest = self._data[self._at :]
        self._at = len(self._data)
        return rest

    def cut(self, text: Sequence[T]) -> list[Sequence[T]]:
        """Return ``text`` in pieces; joined, they are the text again."""
        edges = {0, len(text)} | {self.below(len(text) + 1) for _ in range(self.below(8))}
        order = sorted(edges)
        return [text[a:b] for a, b in zip(order, order[1:], strict=False)]
