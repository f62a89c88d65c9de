"""Fixtures shared by the fault tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from wireside.testing import FakeOpenAI


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(count=40) as lab:
        yield lab
