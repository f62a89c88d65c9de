"""The short form of cuts and kills; ``make soak`` runs the long form."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import sys
from pathlib import Path

import pytest

_file = Path(__file__).with_name("storm.py")
_spec = importlib.util.spec_from_file_location("storm", _file)
assert _spec is not None
assert _spec.loader is not None
storm = importlib.util.module_from_spec(_spec)
sys.modules["storm"] = storm  # required by its dataclasses
_spec.loader.exec_module(storm)


@pytest.mark.timeout(1200)
def test_cuts_and_kills_lose_nothing() -> None:
    tally = asyncio.run(storm.Storm(random.Random(7), cuts=10_000, kills=100, answers=200).run())
    print(f"\n{tally.table()}")
    assert tally.is_clean, "\n".join(tally.notes[:20])
