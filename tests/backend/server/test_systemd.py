"""Sockets inherited from systemd, and notifications to it."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from wireside.errors import NotConfigured
from wireside.server import systemd


def pass_on(
    monkeypatch: pytest.MonkeyPatch, descriptor: int, count: int = 1, pid: int | None = None
) -> None:
    monkeypatch.setattr(systemd, "FIRST_DESCRIPTOR", descriptor)
    monkeypatch.setenv("LISTEN_PID", str(pid or os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", str(count))
    monkeypatch.setenv("LISTEN_FDNAMES", "wireside.socket")


def test_sockets_are_taken_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as held:
        opened = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        descriptor = os.dup(opened.fileno())
        os.set_inheritable(descriptor, True)
        pass_on(monkeypatch, descriptor)
        (listener,) = systemd.inherited_sockets()
        held.enter_context(listener)
        assert listener.getsockname() == opened.getsockname()
        assert not listener.get_inheritable()
        assert "LISTEN_FDS" not in os.environ
        assert systemd.inherited_sockets() == []


def test_sockets_of_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_on(monkeypatch, 3, pid=os.getpid() + 1)
    assert systemd.inherited_sockets() == []
    assert os.environ["LISTEN_FDS"] == "1"


def test_a_socket_that_does_not_listen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as not_listening:
        pass_on(monkeypatch, os.dup(not_listening.fileno()))
        with pytest.raises(NotConfigured, match="ListenStream="):
            systemd.inherited_sockets()


def test_what_is_no_socket_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        pass_on(monkeypatch, os.dup(file.fileno()))
        with pytest.raises(NotConfigured, match="no socket"):
            systemd.inherited_sockets()


def test_the_address_that_others_reach_counts(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as own,
        socket.create_server(("0.0.0.0", 0)) as public,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind(str(tmp_path / "socket"))
        assert systemd.address_of_sockets([own, public]) == ("0.0.0.0", public.getsockname()[1])
        assert systemd.address_of_sockets([local, own]) == (f"unix:{tmp_path / 'socket'}", 0)


@pytest.mark.parametrize(
    ("variables", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_is_answered_twice_in_its_time(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], interval_s: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval_s() == interval_s


async def test_the_watchdog_hears_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        task = asyncio.create_task(systemd.keep_watchdog_quiet(0.01))
        received = [await asyncio.to_thread(manager.recv, 100) for _ in range(3)]
        task.cancel()
    assert received == [b"WATCHDOG=1"] * 3
