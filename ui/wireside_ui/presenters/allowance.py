"""The limits that a user has nearly used up."""

from __future__ import annotations

from wireside.ports.quotas import QuotaState
from wireside_ui.i18n.catalogue import words_in

NEARLY = 0.2
"""Remaining fraction of a limit at or below which the page shows it."""


def nearly_used_up(left: QuotaState, language: str) -> str:
    """Return a sentence that names what is left of each limit that is nearly used up, or ""."""
    words = words_in(language)
    return " · ".join(
        words[f"left_{what}"].format(count=f"{count:,}")
        for what, count, limit in (
            ("messages", left.messages_left, left.messages_limit),
            ("tokens", left.tokens_left, left.tokens_limit),
            ("streams", left.streams_left, left.streams_limit),
        )
        if count is not None and limit is not None and count <= limit * NEARLY
    )
