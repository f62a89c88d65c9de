"""The gauge of the model's context."""

from __future__ import annotations

from wireside.chat.context import NEARLY_FULL, ContextUse
from wireside_ui.presenters.views import ContextRow

CHARS_PER_TOKEN = 4
"""Estimate for all languages and models; few models report how they count."""


def context_row(use: ContextUse, context_tokens: int | None) -> ContextRow:
    """Return what the gauge shows.

    Args:
        use: what the next question uses of the server's limits.
        context_tokens: what the model's context holds, None if that is unknown.
    """
    tokens = use.chars // CHARS_PER_TOKEN
    max_tokens = use.limit.chars // CHARS_PER_TOKEN
    share = use.share
    if context_tokens:
        max_tokens = min(max_tokens, context_tokens)
        share = max(share, tokens / context_tokens)
    return ContextRow(
        share=round(max(share, 1.0) if use.is_cut else share, 2),
        tokens=tokens,
        max_tokens=max_tokens,
        messages=use.messages,
        max_messages=use.limit.messages,
        is_nearly_full=use.is_nearly_full or share >= NEARLY_FULL,
        leaves_out=use.leaves_out,
    )
