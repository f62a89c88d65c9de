"""Rate-limit header fields, after draft-ietf-httpapi-ratelimit-headers.

The IETF draft is "RateLimit header fields for HTTP". ``RateLimit-Policy`` lists the limits: ``q``
per ``w`` seconds. ``RateLimit`` lists what is left of each: ``r`` now, and more in ``t`` seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from wireside.api.errors import whole_seconds
from wireside.auth.limiter import Rate, Remaining
from wireside.auth.quotas import DAY, MINUTE
from wireside.ports.quotas import QuotaState

Headers = list[tuple[bytes, bytes]]


def limit_headers(requests: Remaining, rate: Rate, left: QuotaState) -> Headers:
    """Return the header fields, with ``retry-after`` if the request exceeded its limit."""
    policies, states = zip(*_limit_items(requests, rate, left), strict=True)
    headers = [
        (b"ratelimit-policy", ", ".join(policies).encode()),
        (b"ratelimit", ", ".join(states).encode()),
    ]
    if not requests.was_counted:
        headers.append((b"retry-after", str(whole_seconds(requests.reset_s)).encode()))
    return headers


def openai_limit_headers(requests: Remaining, rate: Rate) -> Headers:
    """Return the same for requests in the header fields of OpenAI's API."""
    return [
        (b"x-ratelimit-limit-requests", str(rate.limit).encode()),
        (b"x-ratelimit-remaining-requests", str(requests.count).encode()),
        (b"x-ratelimit-reset-requests", b"%ds" % whole_seconds(requests.reset_s)),
    ]


def _limit_items(requests: Remaining, rate: Rate, left: QuotaState) -> Iterator[tuple[str, str]]:
    """Yield each limit as its items in the two fields."""
    windows = (
        ("requests", rate.limit, rate.window_s, requests.count, requests.reset_s),
        ("messages", left.messages_limit, MINUTE, left.messages_left, left.messages_reset_s),
        ("tokens", left.tokens_limit, DAY, left.tokens_left, left.tokens_reset_s),
    )
    for name, limit, window_s, count, reset_s in windows:
        if limit is not None:
            item = f'"{name}";r={count};t={whole_seconds(reset_s or 0)}'
            yield f'"{name}";q={limit};w={window_s}', item
    if left.streams_limit is not None:
        policy = f'"streams";q={left.streams_limit};qu="concurrent-requests"'
        yield policy, f'"streams";r={left.streams_left}'
