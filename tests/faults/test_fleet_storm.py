"""Cuts, kills and freezes over three servers, shortly; ``make soak`` runs the long form."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults import fleet_storm

SHORT = {"database": (0.0, 0.0), "bus": (3.0, 3.0)}


@pytest.mark.timeout(600)
def test_three_servers_behind_haproxy_lose_nothing() -> None:
    storm = fleet_storm.FleetStorm(
        random.Random(7), strikes=4, cuts=30, answers=20, losses=1, away_s=SHORT
    )
    tally = asyncio.run(storm.run())
    print(f"\n{tally.table()}")
    assert tally.is_clean, "\n".join(tally.notes[:20])
    assert tally.kills
    assert tally.freezes
    assert tally.database_restarts == tally.bus_losses == 1
