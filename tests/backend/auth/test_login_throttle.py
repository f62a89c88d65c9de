"""Password attempts are counted by address before they are counted by name."""

from __future__ import annotations

import pytest

from tests.hand_clock import HandClock
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.login_throttle import AT_NETWORK, OF_NAME, OF_NAME_THERE, WINDOW_S, LoginThrottle
from wireside.errors import RateLimited
from wireside.identity import Caller


class Told:
    """Implements ``AuditRecorder``."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str]] = []

    def record(self, caller: Caller, action: str, subject: str = "") -> None:
        self.entries.append((caller.address, action, subject))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def tries(clock: HandClock, told: Told) -> LoginThrottle:
    return LoginThrottle(MemoryLimiter(clock), told)


async def refused(tries: LoginThrottle, name: str, address: str, count: int) -> int:
    """Try ``count`` times; return how many attempts are refused."""
    refusals = 0
    for _ in range(count):
        try:
            await tries.record_attempt(name, address)
        except RateLimited:
            refusals += 1
    return refusals


async def test_whoever_is_refused_uses_nothing_of_the_name_up(tries: LoginThrottle) -> None:
    for number in range(AT_NETWORK.limit):
        await tries.record_attempt(f"name {number}", "192.0.2.1")
    assert await refused(tries, "ada", "192.0.2.1", 2 * OF_NAME.limit) == 2 * OF_NAME.limit
    await tries.record_attempt("ada", "192.0.2.2")


async def test_one_network_does_not_keep_anybody_out_elsewhere(tries: LoginThrottle) -> None:
    assert await refused(tries, "ada", "192.0.2.1", OF_NAME_THERE.limit + 5) == 5
    assert await refused(tries, "ada", "192.0.2.2", OF_NAME_THERE.limit) == 0


async def test_a_name_has_a_limit_over_all_networks(tries: LoginThrottle) -> None:
    for number in range(OF_NAME.limit):
        await tries.record_attempt("ada", f"198.51.100.{number}")
    with pytest.raises(RateLimited):
        await tries.record_attempt("ada", "203.0.113.1")
    await tries.record_attempt("grace", "203.0.113.1")


async def test_all_addresses_of_an_ipv6_network_are_one(tries: LoginThrottle) -> None:
    for number in range(OF_NAME_THERE.limit):
        await tries.record_attempt("ada", f"2001:db8::{number:x}")
    with pytest.raises(RateLimited):
        await tries.record_attempt("ada", "2001:db8::ffff:1")
    await tries.record_attempt("ada", "2001:db8:0:1::1")


async def test_no_name_begins_anothers_count_anew(tries: LoginThrottle) -> None:
    await refused(tries, "ada", "192.0.2.1", OF_NAME_THERE.limit)
    for name in ("ada at 192.0.2.1", "there 192.0.2.1 ada", "at 192.0.2.1", "of ada"):
        await tries.record_attempt(name, "192.0.2.1")
    with pytest.raises(RateLimited):
        await tries.record_attempt("ada", "192.0.2.1")


async def test_what_is_refused_is_told_once_a_window(
    tries: LoginThrottle, told: Told, clock: HandClock
) -> None:
    await refused(tries, "ada", "192.0.2.1", 500)
    there = ("192.0.2.1", "sign_in_throttled", "ada")
    assert told.entries == [there, there]  # of the name there, and of the network
    clock.now += WINDOW_S + 10
    await refused(tries, "ada", "192.0.2.1", 500)
    assert told.entries == [there] * 4
