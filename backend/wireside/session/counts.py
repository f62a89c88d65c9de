"""Frames of all connections, counted by type; read when somebody asks."""

from __future__ import annotations

from collections import defaultdict

SIZES = 24
"""Powers of two that sizes are counted by: more than any frame has characters."""


class FrameCounts:
    """Plain integers, because ``chunk`` is counted for each frame that goes out.

    ``chunk_sizes[n.bit_length()]`` counts the chunks of ``n`` characters.
    """

    __slots__ = ("chunk_chars", "chunk_sizes", "received", "sent")

    def __init__(self) -> None:
        self.received: defaultdict[str, int] = defaultdict(int)
        self.sent: defaultdict[str, int] = defaultdict(int)
        """All types but ``chunk``."""
        self.chunk_sizes = [0] * SIZES
        self.chunk_chars = 0

    @property
    def chunks(self) -> int:
        """How many chunks went out."""
        return sum(self.chunk_sizes)
