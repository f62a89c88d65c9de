"""The short form of ``openai_cuts``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.doors import openai_cuts


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_cuts_lose_nothing_and_ask_nothing_twice(tmp_path: Path) -> None:
    found = asyncio.run(openai_cuts.run(tmp_path, cuts=500))
    assert found["errors"] == []
    assert found["cuts"] >= 500
    assert (found["wrong"], found["asked_twice"]) == (0, 0)
    assert found["asked"] == found["answers"]
