"""The short form of the abuse test, without assertions on the machine's speed.

``make soak`` runs the long form.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.faults import abuse


def report(outcomes: dict[str, Any]) -> Any:
    """Return the report of a storm that had no effect on users."""
    seen = abuse.Seen(pongs_ms=[1.0], firsts_ms=[1.0], pages_ms=[1.0], answers=1)
    return abuse.Report(abuse.Limits(), outcomes, seen, 100, 100, 100, 0, 0)


def test_a_storm_that_did_not_come_about_is_no_success() -> None:
    def outcome(**given: Any) -> Any:
        return abuse.Outcome("handshake", **given)

    assert report({"a": outcome(count=20, seconds=[1.0] * 20)}).broken == []
    assert report({"a": outcome(count=20, seconds=[1.0] * 19, refused=1)}).broken == []
    for few in (
        {"a": outcome(count=20, refused=20)},
        {"a": outcome(count=20, seconds=[1.0] * 18, refused=2)},
        {"a": outcome(count=20, seconds=[1.0] * 20, turned_away=2)},
        {"a": outcome(count=100, seconds=[1.0] * 100), "b": outcome(count=1, refused=1)},
        {"a": outcome(count=20, seconds=[1.0] * 19, never=1)},
        {"a": outcome(count=20, seconds=[1.0] * 19 + [99.0])},
        {},
    ):
        assert report(few).broken, few


@pytest.mark.timeout(180)
def test_abusers_are_freed_and_users_notice_nothing() -> None:
    # With three other busy programs on two processors, the last one was closed 0.8 s late.
    limits = abuse.Limits(
        stalled_s=14, ping_s=5, requests_per_minute=3000, slack_s=5, before_s=4, p99_ms=None
    )
    found = asyncio.run(abuse.run(count=300, users=10, limits=limits))
    print(f"\n{found.table()}")
    assert found.broken == []
