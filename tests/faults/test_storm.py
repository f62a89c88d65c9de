"""The short form of cuts and kills; ``make soak`` runs the long form."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults import storm


@pytest.mark.timeout(1200)
def test_cuts_and_kills_lose_nothing() -> None:
    tally = asyncio.run(storm.Storm(random.Random(7), cuts=10_000, kills=100, answers=200).run())
    print(f"\n{tally.table()}")
    assert tally.is_clean, "\n".join(tally.notes[:20])
