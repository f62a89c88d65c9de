"""Counts the frames of all connections by type, for the metrics."""

from __future__ import annotations

from collections import defaultdict

SIZES = 24
"""Number of chunk size classes, as powers of two: more than the characters of any frame need."""


class FrameCounts:
    """Counters of frames. Plain integers, as each outgoing ``chunk`` is counted.

    ``chunk_sizes[n.bit_length()]`` counts the chunks of ``n`` characters.
    """

    __slots__ = ("chunk_chars", "chunk_sizes", "received", "sent")

    def __init__(self) -> None:
        self.received: defaultdict[str, int] = defaultdict(int)
        self.sent: defaultdict[str, int] = defaultdict(int)
        """All types except ``chunk``."""
        self.chunk_sizes = [0] * SIZES
        self.chunk_chars = 0

    @property
    def chunk_count(self) -> int:
        """Number of sent chunks."""
        return sum(self.chunk_sizes)
