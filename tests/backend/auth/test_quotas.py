"""Limits of users, keys and addresses, counted in memory and in a real Redis."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.hand_clock import HandClock
from wireside.auth.limiter import Limiter, MemoryLimiter, Rate, RedisLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.errors import NotConfigured, RateLimited, TooMany
from wireside.identity import Caller
from wireside.ports.quotas import QuotaState

ADA = Caller(user_id="ada-id", name="ada", role="user", credential="session 1", address="192.0.2.1")


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest, clock: HandClock) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        yield MemoryLimiter(clock)
        return
    redis = RedisLimiter(request.getfixturevalue("redis_url"), clock)
    yield redis
    await redis.aclose()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test counts under."""
    return str(request.node.name)


class TestLimiter:
    async def test_as_many_as_the_limit_and_no_more(self, limiter: Limiter, name: str) -> None:
        rate = Rate(3, 60)
        taken = [await limiter.count_if_allowed(name, rate) for _ in range(5)]
        assert [left.was_counted for left in taken] == [True, True, True, False, False]
        assert [left.count for left in taken] == [2, 1, 0, 0, 0]
        assert 0 < taken[-1].reset_s <= 60
        assert (await limiter.remaining(name, rate)).count == 0
        assert (await limiter.count_if_allowed(f"{name} of others", rate)).was_counted

    async def test_what_has_happened_is_counted_beyond_the_limit(
        self, limiter: Limiter, name: str
    ) -> None:
        rate = Rate(1000, 86_400)
        await limiter.record_hits(name, rate, 600)
        assert (await limiter.remaining(name, rate)).count == 400
        await limiter.record_hits(name, rate, 5000)
        assert (await limiter.remaining(name, rate)).count == 0

    async def test_it_can_begin_anew(self, limiter: Limiter, name: str) -> None:
        rate = Rate(1, 60)
        await limiter.count_if_allowed(name, rate)
        await limiter.reset_window(name, rate)
        assert (await limiter.count_if_allowed(name, rate)).was_counted


@pytest.mark.parametrize("url", ["me:hush@redis", "reddis://me:hush@redis", "redis://me:hush@a:b"])
def test_an_address_that_is_none_is_told_without_its_password(url: str, clock: HandClock) -> None:
    with pytest.raises(NotConfigured, match="WIRESIDE_REDIS_URL is not a Redis URL") as told:
        RedisLimiter(url, clock)
    assert "hush" not in str(told.value)
    assert told.value.__suppress_context__


async def test_a_redis_that_is_away_stops_nobody(clock: HandClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    limiter = RedisLimiter(f"redis://127.0.0.1:{port}", clock)
    taken = [await limiter.count_if_allowed("x", Rate(2, 60)) for _ in range(3)]
    assert [left.was_counted for left in taken] == [
        True,
        True,
        False,
    ]  # each server counts by itself
    await limiter.aclose()


def quotas(clock: HandClock, **limits: int) -> UserQuotas:
    return UserQuotas(MemoryLimiter(clock), QuotaLimits(**limits))


async def test_a_user_is_one_over_all_connections_and_keys(clock: HandClock) -> None:
    limited = quotas(clock, messages_per_minute=2)
    await limited.record_message(ADA)
    await limited.record_message(replace(ADA, credential="key 7", address="198.51.100.9"))
    with pytest.raises(RateLimited) as refused:
        await limited.record_message(replace(ADA, credential="session 2"))
    assert str(refused.value) == "Rate limit exceeded"
    assert 0 < (refused.value.retry_after or 0) <= 61
    await limited.record_message(replace(ADA, user_id="grace-id"))
    clock.now += 61
    await limited.record_message(ADA)


async def test_an_address_is_one_whoever_asks(clock: HandClock) -> None:
    limited = quotas(clock, messages_per_minute_address=2)
    await limited.record_message(ADA)
    await limited.record_message(replace(ADA, user_id="grace-id"))
    with pytest.raises(RateLimited):
        await limited.record_message(replace(ADA, user_id="bob-id"))
    await limited.record_message(replace(ADA, address="198.51.100.9"))


async def test_a_key_may_have_less_than_its_user(clock: HandClock) -> None:
    limited = quotas(clock, messages_per_minute=10)
    with_key = replace(ADA, credential="key 7", messages_per_minute=1)
    await limited.record_message(with_key)
    with pytest.raises(RateLimited):
        await limited.record_message(with_key)
    await limited.record_message(ADA)


async def test_tokens_of_a_day_end_what_may_be_asked(clock: HandClock) -> None:
    limited = quotas(clock, tokens_per_day=100)
    await limited.record_message(ADA)
    await limited.record_tokens(ADA, 99)
    await limited.record_message(ADA)
    await limited.record_tokens(ADA, 50)
    with pytest.raises(RateLimited) as refused:
        await limited.record_message(ADA)
    assert (refused.value.retry_after or 0) > 3600
    assert (await limited.allowance(ADA)).tokens_left == 0
    clock.now += 86_400 * 1.02
    await limited.record_message(ADA)


async def test_it_is_said_in_advance_what_is_left(clock: HandClock) -> None:
    assert await quotas(clock).allowance(ADA) == QuotaState()
    limited = quotas(clock, messages_per_minute=5, tokens_per_day=100)
    await limited.record_message(ADA)
    left = await limited.allowance(ADA)
    assert (left.messages_left, left.messages_limit) == (4, 5)
    assert (left.tokens_left, left.tokens_limit) == (100, 100)


async def test_answers_at_once_are_told_by_what_leaves_the_fewest(clock: HandClock) -> None:
    limited = quotas(clock, streams=4)
    with_key = replace(ADA, credential="key 7", streams=2)
    free = limited.acquire_slot(ADA)
    left = await limited.allowance(with_key)
    assert (left.streams_left, left.streams_limit) == (2, 2)
    limited.acquire_slot(with_key)
    limited.acquire_slot(with_key)
    with pytest.raises(TooMany, match="limit of 2 concurrent"):
        limited.acquire_slot(with_key)
    assert (await limited.allowance(ADA)).streams_left == 1
    free()
    free()  # a second call has no effect
    assert (await limited.allowance(ADA)).streams_left == 2
    assert (await limited.allowance(with_key)).streams_left == 0


async def test_a_refused_message_is_not_counted_elsewhere(clock: HandClock) -> None:
    limited = quotas(clock, messages_per_minute=10)
    with_key = replace(ADA, credential="key 7", messages_per_minute=1)
    await limited.record_message(with_key)
    for _ in range(5):
        with pytest.raises(RateLimited):
            await limited.record_message(with_key)
    assert (await limited.allowance(ADA)).messages_left == 9
