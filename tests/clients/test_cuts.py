"""The short form of the cuts; ``python -m tests.clients.cuts --cuts 10000`` is the long form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.clients import cuts, runtimes


@pytest.mark.timeout(120)
def test_cuts_lose_nothing_and_ask_nothing_twice(runtime: str, tmp_path: Path) -> None:
    """Plain, stored and parallel answers and batches are complete and requested once."""
    found = asyncio.run(
        cuts.run(
            tmp_path,
            runtime=runtime,
            cuts=25,
            mean_s=0.5,
            kinds=("plain", "stored", "many", "batch", "parallel"),
        )
    )
    assert found["errors"] == []
    assert found["cuts"] >= 25
    assert (found["wrong"], found["answers"]) == (0, found["asked"])


@pytest.mark.timeout(240)
def test_hundreds_of_cuts(tmp_path: Path) -> None:
    """Connections live for a sixth of a second, in one runtime."""
    try:
        runtimes.command("node22")
    except runtimes.Missing as error:
        pytest.skip(str(error))
    kinds = ("plain", "stored", "many", "batch", "parallel")
    found = asyncio.run(cuts.run(tmp_path, runtime="node22", cuts=500, mean_s=0.15, kinds=kinds))
    assert found["errors"] == []
    assert found["cuts"] >= 500
    assert (found["wrong"], found["answers"]) == (0, found["asked"])
