"""Counts of open connections by network."""

from __future__ import annotations

from wireside.limits.connections import ConnectionCounts


def test_a_network_has_its_limit_over_all_its_addresses() -> None:
    counts = ConnectionCounts(2)
    assert (
        counts.count_connection("2001:db8::1")
        == counts.count_connection("2001:db8::2")
        == "2001:db8::/64"
    )
    assert counts.count_connection("2001:db8::3") is None
    assert counts.count_connection("192.0.2.1") == "192.0.2.1"
    counts.uncount_connection("2001:db8::/64")
    assert counts.count_connection("2001:db8::3") is not None


def test_networks_without_connections_are_forgotten() -> None:
    counts = ConnectionCounts(1)
    counts.uncount_connection(counts.count_connection("192.0.2.1") or "")
    assert not counts._counts
