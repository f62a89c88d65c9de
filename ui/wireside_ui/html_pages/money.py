"""Sums of money as texts."""

from __future__ import annotations

import math
from collections.abc import Mapping


def costs_text(costs: Mapping[str, float]) -> str:
    """Return sums by currency as a text.

    >>> costs_text({"$": 1.2, "EUR": 0.0000243512})
    '$1.20 + EUR 0.0000244'
    """
    return " + ".join(
        f"{currency}{' ' if currency[-1:].isalpha() else ''}{_amount(amount)}"
        for currency, amount in sorted(costs.items())
    )


def _amount(amount: float) -> str:
    if amount >= 1 or amount == 0:
        return f"{amount:,.2f}"
    digits = 2 - math.floor(math.log10(amount))  # three that count
    return f"{amount:.{digits}f}".rstrip("0")
