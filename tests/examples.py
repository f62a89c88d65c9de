"""How many examples Hypothesis makes."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> int:
    """Return ``count``, or the share of it that the profile in use makes (``make check``: 1/4)."""
    return max(1, count * settings().max_examples // 100)
