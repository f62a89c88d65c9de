"""Token buckets of networks."""

from __future__ import annotations

import pytest

from wireside.limits.token_buckets import TokenBuckets


def test_a_minute_has_so_many_requests_and_one_more_waits() -> None:
    allowances = TokenBuckets(60)
    assert [allowances.take_tokens("192.0.2.1", 1, 0.0) for _ in range(60)] == [0.0] * 60
    assert allowances.take_tokens("192.0.2.1", 1, 0.0) == pytest.approx(1.0)
    assert allowances.take_tokens("192.0.2.1", 1, 1.0) == 0.0
    assert allowances.take_tokens("192.0.2.1", 10, 1.0) == pytest.approx(10.0)


def test_each_address_has_its_own_and_an_ipv6_network_one() -> None:
    allowances = TokenBuckets(60)
    allowances.take_tokens("192.0.2.1", 60, 0.0)
    allowances.take_tokens("2001:db8::1", 60, 0.0)
    assert allowances.take_tokens("192.0.2.2", 60, 0.0) == 0.0
    assert allowances.take_tokens("2001:db8::2", 1, 0.0) > 0
    assert allowances.take_tokens("2001:db8:0:1::2", 1, 0.0) == 0.0


def test_addresses_are_forgotten_when_they_have_rested() -> None:
    allowances = TokenBuckets(60)
    for number in range(1023):
        allowances.take_tokens(f"10.0.{number // 250}.{number % 250}", 1, 0.0)
    allowances.take_tokens("192.0.2.1", 60, 100.0)
    allowances.take_tokens("192.0.2.2", 1, 100.0)
    assert len(allowances._left) == 2
    assert allowances.take_tokens("192.0.2.1", 1, 100.0) > 0
