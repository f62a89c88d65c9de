"""Counts of open connections by network."""

from __future__ import annotations

from wireside.limits.connections import ConnectionCounts


def test_a_network_has_its_limit_over_all_its_addresses() -> None:
    counts = ConnectionCounts(2)
    assert counts.enter("2001:db8::1") == counts.enter("2001:db8::2") == "2001:db8::/64"
    assert counts.enter("2001:db8::3") is None
    assert counts.enter("192.0.2.1") == "192.0.2.1"
    counts.leave("2001:db8::/64")
    assert counts.enter("2001:db8::3") is not None


def test_networks_without_connections_are_forgotten() -> None:
    counts = ConnectionCounts(1)
    counts.leave(counts.enter("192.0.2.1") or "")
    assert not counts._counts
