"""The short form of the cuts; ``python -m tests.clients.cuts --cuts 10000`` is the long form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.clients import cuts


@pytest.mark.timeout(120)
def test_cuts_lose_nothing_and_ask_nothing_twice(runtime: str, tmp_path: Path) -> None:
    """Plain, stored and parallel answers and batches are complete and requested once."""
    found = asyncio.run(
        cuts.run(
            tmp_path,
            runtime=runtime,
            cuts=25,
            mean_s=0.5,
            kinds=("plain", "stored", "many", "batch"),
        )
    )
    assert found["errors"] == []
    assert found["cuts"] >= 25
    assert (found["wrong"], found["answers"]) == (0, found["asked"])
