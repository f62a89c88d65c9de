"""The bus over a real PostgreSQL and a real Redis: delivery, parts, loss and return."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from tests.backend.replicas.engines import RedisServer, until
from tests.backend.replicas.memory_bus import Hub
from tests.postgresql import PostgresServer
from wireside.errors import NotConfigured
from wireside.replicas.bus import MAX_QUEUED, QueuedBus
from wireside.replicas.exchange import Exchange
from wireside.replicas.notify_bus import PART_BYTES, NotifyBus
from wireside.replicas.redis_bus import RedisBus


class Engines:
    """Makes buses of one kind, and ends their connections."""

    def __init__(self, new_bus: Callable[[], QueuedBus], cut: Callable[[], Any]) -> None:
        self._new_bus = new_bus
        self.cut = cut
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> QueuedBus:
        bus = self._new_bus()
        self._tasks.append(asyncio.create_task(bus.run_until_cancelled()))
        return bus

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture(params=["notify", "redis"])
async def engines(
    request: pytest.FixtureRequest, postgres: PostgresServer, redis: RedisServer
) -> AsyncIterator[Engines]:
    import asyncpg

    address = postgres.address("postgres")

    async def connect() -> Any:
        return await asyncpg.connect(address, server_settings={"application_name": "bus"})

    async def cut_notify() -> None:
        connection = await asyncpg.connect(address)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bus'"
        )
        await connection.close()

    async def cut_redis() -> None:
        redis.restart()

    async def read_prefix() -> str:
        return "one"

    if request.param == "notify":
        made = Engines(lambda: NotifyBus(connect), cut_notify)
    else:
        made = Engines(lambda: RedisBus(redis.url, read_prefix), cut_redis)
    yield made
    await made.stop()


async def test_a_message_reaches_the_listeners_of_its_channel(engines: Engines) -> None:
    one, other = engines.start(), engines.start()
    heard: list[bytes] = []
    elsewhere: list[bytes] = []
    other.listen("a", heard.append)
    other.listen("b", elsewhere.append)
    await until(lambda: one.is_up and other.is_up)
    for size in (0, 1, PART_BYTES, PART_BYTES + 1, 100_000):
        one.post("a", bytes(size))
    await until(lambda: len(heard) == 5)
    assert list(map(len, heard)) == [0, 1, PART_BYTES, PART_BYTES + 1, 100_000]
    assert not elsewhere
    assert one.dropped == 0


async def test_channels_are_listened_to_and_left_while_the_bus_runs(engines: Engines) -> None:
    bus = engines.start()
    await until(lambda: bus.is_up)
    heard: list[bytes] = []
    leave = bus.listen("late", heard.append)

    def post() -> bool:
        bus.post("late", b"x")
        return bool(heard)

    await until(post)
    leave()
    await asyncio.sleep(0.1)
    heard.clear()
    bus.post("late", b"y")
    await asyncio.sleep(0.1)
    assert not heard


async def test_a_lost_bus_drops_messages_and_comes_back(engines: Engines) -> None:
    one, other = engines.start(), engines.start()
    heard: list[bytes] = []
    returns: list[int] = []
    other.listen("a", heard.append)
    other.call_when_up(lambda: returns.append(1))
    await until(lambda: one.is_up and other.is_up)
    await engines.cut()
    await until(lambda: len(returns) == 2)

    def post() -> bool:
        one.post("a", b"again")
        return bool(heard)

    await until(post)


async def test_a_handler_that_fails_does_not_end_the_listening(engines: Engines) -> None:
    bus = engines.start()
    heard: list[bytes] = []

    def receive(data: bytes) -> None:
        heard.append(data)
        raise ValueError

    bus.listen("a", receive)
    await until(lambda: bus.is_up)
    bus.post("a", b"1")
    bus.post("a", b"2")
    await until(lambda: heard == [b"1", b"2"])


@pytest.mark.parametrize("channel", ["x" * 80, "a\0b", "\ud800"])
async def test_a_message_that_is_refused_does_not_drop_the_others(
    postgres: PostgresServer, channel: str
) -> None:
    import asyncpg

    async def connect() -> Any:
        return await asyncpg.connect(postgres.address("postgres"))

    bus = NotifyBus(connect)
    heard: list[bytes] = []
    bus.listen("a", heard.append)
    task = asyncio.create_task(bus.run_until_cancelled())
    await until(lambda: bus.is_up)
    bus.post("a", b"before")
    bus.post(channel, b"refused")
    bus.post("a", b"after")
    await until(lambda: b"after" in heard or bus.dropped > 1)
    assert heard == [b"before", b"after"]
    assert bus.dropped == 1
    task.cancel()
    await asyncio.wait([task])


async def test_what_can_not_be_encoded_is_lost_like_any_other_message() -> None:
    exchange = Exchange(Hub().new_bus())
    exchange.post("a", "\ud800")


async def test_posting_never_waits_and_counts_what_it_drops(engines: Engines) -> None:
    bus = engines.start()
    bus.post("a", b"before it is up")
    assert bus.dropped == 1
    await until(lambda: bus.is_up)
    for _ in range(MAX_QUEUED + 10):
        bus.post("a", b"x")
    assert bus.dropped == 11


async def test_two_databases_on_one_redis_do_not_meet(redis: RedisServer) -> None:
    async def prefix_of(name: str) -> str:
        return name

    buses = [RedisBus(redis.url, partial(prefix_of, name)) for name in ("one", "other")]
    heard: list[bytes] = []
    buses[1].listen("all", heard.append)
    tasks = [asyncio.create_task(bus.run_until_cancelled()) for bus in buses]
    await until(lambda: all(bus.is_up for bus in buses))
    buses[0].post("all", b"of one")
    buses[1].post("all", b"of the other")
    await until(lambda: bool(heard))
    assert heard == [b"of the other"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_wrong_address_is_refused_without_quoting_it() -> None:
    async def read_prefix() -> str:
        return ""

    with pytest.raises(NotConfigured) as refused:
        RedisBus("me:hush@redis", read_prefix)
    assert "hush" not in str(refused.value)
