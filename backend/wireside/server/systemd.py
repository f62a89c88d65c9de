"""Notifies systemd of the server's state if the unit requests it (``Type=notify``)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


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
