"""The short form of kills under load; ``make soak`` runs the long form."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import sys
from pathlib import Path

import pytest

_file = Path(__file__).with_name("flood.py")
_spec = importlib.util.spec_from_file_location("flood", _file)
assert _spec is not None
assert _spec.loader is not None
flood = importlib.util.module_from_spec(_spec)
sys.modules["flood"] = flood  # required by its dataclasses
_spec.loader.exec_module(flood)


@pytest.mark.timeout(1200)
def test_kills_under_load_lose_nothing() -> None:
    """Six kills: each moment, and once, three and ten times what the store commits."""
    tally = asyncio.run(flood.Flood(random.Random(7), kills=6).run())
    print(f"\n{tally.table()}")
    assert tally.is_clean, "\n".join(tally.notes[:20])
    assert tally.answers
