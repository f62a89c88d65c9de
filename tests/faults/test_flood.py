"""The short form of kills under load; ``make soak`` runs the long form."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults import flood


@pytest.mark.timeout(1200)
def test_kills_under_load_lose_nothing() -> None:
    """Six kills: each moment, and once, three and ten times what the store commits."""
    tally = asyncio.run(flood.Flood(random.Random(7), kills=6).run())
    print(f"\n{tally.table()}")
    assert tally.is_clean, "\n".join(tally.notes[:20])
    assert tally.answers
