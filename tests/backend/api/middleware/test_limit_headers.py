"""The rate-limit header fields of responses."""

from __future__ import annotations

from wireside.api.middleware.limit_headers import limit_headers
from wireside.auth.limiter import Rate, Remaining
from wireside.ports.quotas import QuotaState

MINUTE = Rate(600, 60)


def told(requests: Remaining, left: QuotaState) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in limit_headers(requests, MINUTE, left)}


def test_a_caller_without_limits_is_told_of_requests_only() -> None:
    assert told(Remaining(599, 12.2), QuotaState()) == {
        "ratelimit-policy": '"requests";q=600;w=60',
        "ratelimit": '"requests";r=599;t=13',
    }


def test_each_limit_is_an_item_of_both_lists() -> None:
    left = QuotaState(
        messages_left=3,
        messages_limit=10,
        messages_reset_s=41.0,
        tokens_left=0,
        tokens_limit=5000,
        tokens_reset_s=80_000.5,
        streams_left=1,
        streams_limit=2,
    )
    assert told(Remaining(0, 0.1), left) == {
        "ratelimit-policy": '"requests";q=600;w=60, "messages";q=10;w=60, "tokens";q=5000;w=86400,'
        ' "streams";q=2;qu="concurrent-requests"',
        "ratelimit": '"requests";r=0;t=1, "messages";r=3;t=41, "tokens";r=0;t=80001, "streams";r=1',
    }


def test_who_is_refused_is_told_when_to_come_again() -> None:
    """Seconds are rounded up: a client that retries a moment too early would be refused again."""
    headers = told(Remaining(0, 12.2, was_counted=False), QuotaState())
    assert headers["retry-after"] == "13"
