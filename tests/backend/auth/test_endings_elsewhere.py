"""What ends at one of several servers closes connections at the others."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial

import pytest

from tests.backend.auth.conftest import House
from wireside.auth import authenticator
from wireside.auth.connections import LiveConnections
from wireside.identity import Caller

ADA = Caller(user_id="ada", name="Ada", role="user", credential="session 1")
GRACE = Caller(user_id="grace", name="Grace", role="user", credential="key 2")


def linked() -> tuple[LiveConnections, LiveConnections, list[Collection[str]]]:
    """Return the connections of two servers, and what they announce."""
    one, other = LiveConnections(), LiveConnections()
    announced: list[Collection[str]] = []

    def connect(sender: LiveConnections, receiver: LiveConnections) -> None:
        def announce(users: frozenset[str], credentials: frozenset[str]) -> None:
            announced.append(users | credentials)
            receiver.end_here(users, credentials)

        sender.announce_endings = announce

    connect(one, other)
    connect(other, one)
    return one, other, announced


def test_an_ending_closes_connections_at_both_servers_once() -> None:
    one, other, announced = linked()
    closed: list[str] = []
    for name, server in (("one", one), ("other", other)):
        for caller in (ADA, GRACE):
            server.register_connection(caller, partial(closed.append, f"{caller.user_id} {name}"))
    one.close_of_user("ada")
    assert closed == ["ada one", "ada other"]
    other.end_credentials(frozenset({"key 2"}))
    assert closed[2:] == ["grace other", "grace one"]
    assert announced == [{"ada"}, {"key 2"}]  # not announced again by the other server
    assert (one.endings, other.endings) == (2, 2)  # handshakes in progress notice both


@pytest.mark.parametrize(("hears", "is_checked"), [(None, False), (True, False), (False, True)])
async def test_a_server_that_hears_nothing_checks_more_often(
    house: House, monkeypatch: pytest.MonkeyPatch, *, hears: bool | None, is_checked: bool
) -> None:
    monkeypatch.setattr(authenticator, "HURRIED_EVERY_S", 0.01)
    gate = house.gate()
    gate._watch_every_s = 60
    gate.hears_revocations = None if hears is None else lambda: hears
    checks = 0

    async def count_checks(callers: set[Caller]) -> set[Caller]:
        nonlocal checks
        checks += 1
        return set()

    monkeypatch.setattr(gate, "_revoked_callers", count_checks)
    task = asyncio.create_task(gate.close_revoked())
    await asyncio.sleep(0.3)
    task.cancel()
    assert (checks > 1) == is_checked
