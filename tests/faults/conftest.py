"""Fixtures shared by the fault tests."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wireside.testing import FakeOpenAI

sys.path.insert(0, str(Path(__file__).parent))  # for the module ``house`` in this folder


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(count=40) as lab:
        yield lab
