"""The soak in fifteen seconds; ``make soak`` runs it for hours."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import soak


@pytest.mark.timeout(900)
def test_what_was_in_use_is_free_again() -> None:
    # Memory is not judged: that takes hours, as the first caches are a tenth of it. Pages are
    # retained for a minute, which is too long to wait for here.
    report = asyncio.run(soak.run(0.25, 1, with_pages=False, memory_may_grow=0.25))
    print(f"\n{report.table()}")
    assert report.broken == []
