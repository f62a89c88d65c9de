"""Two servers on one database: each serves the answers, stops and endings of the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.backend.auth.whole_server import Person, Running
from tests.backend.replicas.engines import RedisServer
from tests.faults.house import House, Told, talk
from tests.postgresql import PostgresServer
from tests.server_process import TRACE
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.timeout(240)  # on a busy machine

SOON_S = 30
"""How long a busy machine may take for what takes a moment."""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(lambda: tmp_path_factory.mktemp("pg"))
    yield server
    server.stop()


@pytest.fixture
def database(postgres: PostgresServer, request: pytest.FixtureRequest) -> str:
    return postgres.create(f"db_{abs(hash(request.node.nodeid))}")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def two(
    folder: Path, lab: FakeOpenAI, database: str, **settings: Any
) -> AsyncIterator[tuple[House, House]]:
    one, other = (
        House(
            folder / name,
            lab.url,
            database_url=database,
            replicas=True,
            replica_name=name,
            shutdown_s=2,
            **settings,
        )
        for name in ("one", "other")
    )
    async with one, other:
        for house in (one, other):
            await house.until_ready()
        yield one, other
        assert TRACE not in one.log + other.log


def copy_of(told: Told, length: int | None = None) -> Told:
    """Return what a second reader has of an answer: its first characters."""
    return Told(stream=told.stream, conversation=told.conversation, text=told.text[:length])


async def begin(house: House, count: int, conversation: str | None = "new") -> list[Told]:
    """Ask on as many connections; return once all answers have begun."""
    told = [Told(f"Question {number}") for number in range(count)]
    for one in told:
        one.task = asyncio.create_task(house.listen(one, conversation))  # type: ignore[attr-defined]
    await asyncio.gather(*(one.begun.wait() for one in told))
    return told


async def finish(told: list[Told]) -> None:
    await asyncio.gather(*(one.task for one in told))  # type: ignore[attr-defined]


async def test_answers_are_read_resumed_and_stopped_at_another_server(
    lab: FakeOpenAI, tmp_path: Path, database: str
) -> None:
    fast = {"replica_beat_s": 0.25, "replica_ttl_s": 3}
    async with two(tmp_path, lab, database, **fast) as (one, other):
        await read_elsewhere(lab, one, other)
        await read_unstored(lab, one, other)
        await stop_elsewhere(lab, one, other)
        await kill_owner(lab, one, other)


async def read_elsewhere(lab: FakeOpenAI, one: House, other: House) -> None:
    lab.answer_with(*[answer(200, seed=seed, rate=60) for seed in range(4)])
    told = await begin(one, 4)
    readers = [copy_of(one_told, number * 3) for number, one_told in enumerate(told)]
    await asyncio.gather(*(other.resume(reader) for reader in readers))
    await finish(told)
    for mine, theirs in zip(told, readers, strict=True):
        assert mine.reason == theirs.reason == "stop"
        assert theirs.text == mine.text
        assert theirs.end["usage"] == mine.end["usage"]
    again = copy_of(told[0], 0)
    await other.resume(again)  # from the store, after the end
    assert again.text == told[0].text


async def read_unstored(lab: FakeOpenAI, one: House, other: House) -> None:
    lab.answer_with(answer(150, rate=60))
    (told,) = await begin(one, 1, conversation=None)
    reader = copy_of(told, 5)
    await other.resume(reader)
    await finish([told])
    assert reader.text == told.text
    assert reader.reason == told.reason == "stop"
    unknown = Told(stream=f"{told.stream}x")
    await other.resume(unknown)
    assert unknown.code == "not_found"


async def stop_elsewhere(lab: FakeOpenAI, one: House, other: House) -> None:
    lab.answer_with(answer(3000, rate=30))
    (long,) = await begin(one, 1)
    reader = copy_of(long, 0)
    async with asyncio.timeout(SOON_S), other.socket() as connection:
        frame = {"type": "resume", "id": "1", "stream": long.stream, "offset": 0}
        reading = asyncio.create_task(talk(connection, frame, reader))
        await reader.begun.wait()
        await connection.send(json.dumps({"type": "cancel", "id": "1"}))
        await reading
    await finish([long])
    assert long.reason == reader.reason == "cancelled"
    assert long.text == reader.text
    assert (await other.kept(long)).text == long.text


async def kill_owner(lab: FakeOpenAI, one: House, other: House) -> None:
    lab.answer_with(answer(3000, rate=30))
    (told,) = await begin(one, 1)
    reader = copy_of(told, 0)
    reading = asyncio.create_task(other.resume(reader))
    await reader.begun.wait()
    await asyncio.to_thread(one.kill)
    await reading
    await finish([told])
    assert reader.reason == "interrupted"
    assert reader.text.startswith(told.text)
    assert (await other.kept(told)).text == reader.text


async def test_a_bus_that_is_lost_and_back_empty_costs_no_text(
    lab: FakeOpenAI, tmp_path: Path, database: str, redis: RedisServer
) -> None:
    lab.answer_with(*[answer(350, seed=seed, rate=50) for seed in range(6)])
    async with two(tmp_path, lab, database, redis_url=redis.url) as (one, other):
        told = await begin(one, 6)
        readers = [copy_of(one_told, 0) for one_told in told]
        reading = [asyncio.create_task(other.resume(reader)) for reader in readers]
        await asyncio.gather(*(reader.begun.wait() for reader in readers))
        await asyncio.sleep(1)
        redis.stop()
        lengths = [len(reader.text) for reader in readers]
        await other.until(
            lambda: all(
                reader.end or len(reader.text) > length
                for reader, length in zip(readers, lengths, strict=True)
            ),
            "read from the database",
        )
        redis.start()
        await asyncio.gather(*reading)
        await finish(told)
        assert [reader.text for reader in readers] == [one_told.text for one_told in told]
        assert {reader.reason for reader in readers} == {"stop"}


# ---- sessions, keys and tickets ------------------------------------------------------------------


@asynccontextmanager
async def two_with_accounts(
    folder: Path, lab: FakeOpenAI, database: str, **settings: Any
) -> AsyncIterator[tuple[Running, Running, Person]]:
    """Two servers, and their administrator, signed in at the first."""
    one, other = (
        Running(
            folder / name,
            lab.url,
            auth="password",
            database_url=database,
            replicas=True,
            replica_name=name,
            **settings,
        )
        for name in ("one", "other")
    )
    async with one:
        ada = await one.join(one.link, "ada")
        other.administrator_link = lambda: ""  # type: ignore[method-assign]
        async with other:
            yield one, other, ada
        assert TRACE not in one.log + other.log
    await ada.http.aclose()


async def test_what_ends_at_one_server_closes_sockets_at_the_other(
    lab: FakeOpenAI, tmp_path: Path, database: str, redis: RedisServer
) -> None:
    async with two_with_accounts(tmp_path, lab, database, redis_url=redis.url) as (
        one,
        other,
        ada,
    ):
        await use_a_ticket(other, ada)
        grace, bob = [await one.invite(ada, name) for name in ("grace", "bob")]
        await change_accounts(other, ada, grace, bob, "viewer")
        keys = [
            (await ada.http.post("/api/keys", json={"name": "key", "scopes": ["chat"]})).json()
            for _ in range(2)
        ]
        sockets = [
            await connect(
                other.socket, additional_headers={"Authorization": f"Bearer {one['key']}"}
            )
            for one in keys
        ]
        page = {"Cookie": ada.cookie, "Origin": other.url}
        signed_in = await connect(other.socket, additional_headers=page)
        await ada.http.delete(f"/api/keys/{keys[0]['id']}")
        async with asyncio.timeout(SOON_S):
            await sockets[0].wait_closed()
        assert sockets[1].close_code is signed_in.close_code is None
        redis.stop()
        await change_accounts(other, ada, grace, bob, "user")
        await ada.http.delete(f"/api/keys/{keys[1]['id']}")
        async with asyncio.timeout(SOON_S):
            await sockets[1].wait_closed()
        assert signed_in.close_code is None
        redis.start()
        await ada.http.post("/logout")
        async with asyncio.timeout(SOON_S):
            await signed_in.wait_closed()
        assert {socket.close_code for socket in (*sockets, signed_in)} == {1008}
        for person in (grace, bob):
            await person.http.aclose()


async def change_accounts(
    server: Running, ada: Person, disabled: Person, changed: Person, role: str
) -> None:
    """Disable an account, and change the role of another one, whose sockets are elsewhere."""
    address = f"/api/users/{disabled.id}"
    async with (
        connect(server.socket, additional_headers=disabled.with_key) as of_disabled,
        connect(server.socket, additional_headers=changed.with_key) as of_changed,
        asyncio.timeout(SOON_S),
    ):
        await ada.http.patch(address, json={"disabled": True})
        await of_disabled.wait_closed()
        assert of_changed.close_code is None
        with pytest.raises(InvalidStatus, match="401"):
            await connect(server.socket, additional_headers=disabled.with_key)
        await ada.http.patch(f"/api/users/{changed.id}", json={"role": role})
        await of_changed.wait_closed()
        assert of_disabled.close_code == of_changed.close_code == 1008
    async with connect(server.socket, additional_headers=changed.with_key):
        pass  # with its new role
    await ada.http.patch(address, json={"disabled": False})


async def use_a_ticket(server: Running, ada: Person) -> None:
    """Redeem a ticket of the other server, on several connections at once."""
    made = await ada.http.post("/api/tickets", json={"origin": server.url})
    address = f"{server.socket}?ticket={made.json()['ticket']}"

    async def is_open() -> bool:
        try:
            async with connect(address, additional_headers={"Origin": server.url}):
                return True
        except InvalidStatus:
            return False

    opened = await asyncio.gather(*(is_open() for _ in range(4)))
    assert opened.count(True) == 1
