"""Checks whether a port can be used, before a server starts."""

from __future__ import annotations

import socket
import sys


def bind_problem(host: str, port: int) -> str | None:
    """Return why the server could not listen on an address; None if it could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if sys.platform != "win32":  # on Windows it would let two programs share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
