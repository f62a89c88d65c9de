"""The client of Durable Streams over a wire that is cut reads each text exactly once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.doors import cutting


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_cuts_lose_nothing(packages: Path, tmp_path: Path) -> None:
    """Half of the clients read by SSE, half by long-poll."""
    found = asyncio.run(cutting.run(tmp_path, "durable_streams_cuts.mjs", cuts=500))
    assert found["errors"] == []
    assert found["cuts"] >= 500
    assert (found["wrong"], found["answers"]) == (0, found["asked"])
