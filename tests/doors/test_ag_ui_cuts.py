"""AG-UI's client over a wire that is cut loses nothing and asks nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.doors import cutting


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_cuts_lose_nothing_and_ask_nothing_twice(packages: Path, tmp_path: Path) -> None:
    found = asyncio.run(cutting.run(tmp_path, "ag_ui_cuts.mjs", cuts=500))
    assert found["errors"] == []
    assert found["cuts"] >= 500
    assert (found["wrong"], found["answers"]) == (0, found["asked"])
