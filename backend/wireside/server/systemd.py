"""Speaks with systemd: takes over listening sockets, reports the state, answers its watchdog.

Each part does nothing where systemd does not ask for it in the environment.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from wireside.errors import NotConfigured
from wireside.protocol.handshake import is_loopback

FIRST_DESCRIPTOR: Final = 3
"""File descriptor of the first socket that systemd passes to a service."""


def notify_systemd(state: str) -> None:
    """Send a state such as ``READY=1`` to the service manager, in the format of sd_notify(3).

    Does nothing if ``NOTIFY_SOCKET`` is not set. An unreachable service manager is ignored.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # abstract socket
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
        notifying.connect(address)
        notifying.sendall(state.encode())


def inherited_sockets() -> list[socket.socket]:
    """Return the listening sockets that systemd passes to this process (sd_listen_fds(3)).

    Their variables are removed from the environment, so that child processes look for none.

    Raises:
        NotConfigured: one of them is no stream socket that listens.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return [_take_over(FIRST_DESCRIPTOR + number) for number in range(count)]


def _take_over(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        listener = socket.socket(fileno=descriptor)
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise NotConfigured(
            f"systemd has passed file descriptor {descriptor}, which is no socket"
            f" ({error.strerror}): check ListenStream= of the socket unit."
        ) from error
    if listener.type != socket.SOCK_STREAM or not is_listening:
        listener.close()
        raise NotConfigured(
            "systemd has passed a socket that does not listen for connections: the socket unit"
            " needs ListenStream= and Accept=no."
        )
    return listener


def address_of_sockets(listeners: Sequence[socket.socket]) -> tuple[str, int]:
    """Return host and port of listening sockets, as in the settings.

    Of several, it is the first one that other machines reach, if there is one: the rules for
    servers that others reach apply then.
    """
    addresses = [_address(listener) for listener in listeners]
    return next((one for one in addresses if _is_for_others(one[0])), addresses[0])


def _address(listener: socket.socket) -> tuple[str, int]:
    if listener.family == getattr(socket, "AF_UNIX", None):
        return f"unix:{listener.getsockname()}", 0
    host, port = listener.getsockname()[:2]
    return str(host), int(port)


def _is_for_others(host: str) -> bool:
    return not (host.startswith("unix:") or is_loopback(host))


def watchdog_interval_s() -> float | None:
    """Return the seconds between two messages to systemd's watchdog; None if there is none.

    It is half of ``WatchdogSec=`` of the unit, after which systemd ends a silent service.
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    timeout_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    return timeout_us / 2_000_000 if timeout_us > 0 else None


async def keep_watchdog_quiet(interval_s: float) -> None:
    """Tell systemd's watchdog that the event loop runs, every ``interval_s`` seconds."""
    while True:
        notify_systemd("WATCHDOG=1")
        await asyncio.sleep(interval_s)
