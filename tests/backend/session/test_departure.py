"""A departing server asks its clients to move, one after another."""

from __future__ import annotations

import asyncio

import pytest

from tests.backend.session.test_session import Client, Connect, connect  # noqa: F401  # a fixture
from tests.hand_clock import HandClock
from wireside.providers.scripted import ScriptedProvider
from wireside.session.departure import RESTART_CODE, Departure, call_spread


async def test_all_are_moved_once_and_who_left_is_not() -> None:
    departure = Departure()
    moved: list[int] = []
    leave = [departure.register_client(lambda n=n: moved.append(n)) for n in range(3)]  # type: ignore[misc]
    leave[1]()
    assert departure.open_count == 2
    await departure.move_clients(0.01)
    assert moved == [0, 2]


async def test_a_connection_of_a_server_that_departs_is_moved_at_once() -> None:
    departure = Departure()
    await departure.move_clients(0.0)
    moved: list[str] = []
    departure.register_client(lambda: moved.append("late"))
    assert moved == ["late"]


async def test_a_late_event_loop_moves_all_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    began = clock.now

    async def sleep_longer(seconds: float) -> None:
        clock.now += 20 * seconds

    monkeypatch.setattr(asyncio, "sleep", sleep_longer)
    moved_at: list[float] = []
    calls = [lambda: moved_at.append(clock.now - began)] * 100
    await call_spread(calls, 10.0, clock)
    assert len(moved_at) == 100
    assert moved_at[-1] < 10.0
    assert len(set(moved_at)) > 3  # they are still spread


async def _closed(client: Client) -> int | None:
    await asyncio.wait_for(asyncio.shield(client.writer), 5)
    return client.closed


async def test_an_idle_connection_is_closed_with_1012(connect: Connect) -> None:  # noqa: F811
    client = connect()
    client.session.move()
    assert await _closed(client) == RESTART_CODE


@pytest.mark.parametrize("fields", [{}, {"id": "q"}], ids=["level 1", "stored nowhere"])
async def test_an_answer_that_no_other_server_has_is_sent_first(
    connect: Connect,  # noqa: F811
    provider: ScriptedProvider,
    fields: dict[str, str],
) -> None:
    client = connect()
    client.send(type="chat", message="Hi", **fields)
    call = await provider.call()
    client.session.move()
    call.say("all of it")
    call.finish()
    assert await _closed(client) == RESTART_CODE
    assert client.text(fields.get("id")) == "all of it"
    assert client.frames[-1]["type"] == "done"


async def test_a_stored_answer_is_left_behind_without_an_error(
    connect: Connect,  # noqa: F811
    provider: ScriptedProvider,
) -> None:
    client = connect()
    client.send(type="chat", id="q", message="Hi", conversation="new")
    call = await provider.call()
    call.say("a part")
    await client.until("chunk")
    client.session.move()
    assert await _closed(client) == RESTART_CODE
    assert not client.errors
    assert not call.is_closed
    call.finish()
