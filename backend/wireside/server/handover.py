"""Passes connections between the workers of one machine, which share a listening socket.

Any worker may accept a connection, but a page lives in the worker that has made it, which the
cookie ``wireside_replica`` names. A worker that has read the head of a request for a page, or for a
page's socket, of another worker passes the connection to it: the descriptor and the bytes read, by
a datagram. Nothing is proxied afterwards. A scraper names the worker whose metrics it asks for in
the same way.
"""

from __future__ import annotations

import array
import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import structlog

from wireside.server.worker import SUPERVISOR

MAX_HEAD_BYTES: Final = 60_000
"""Largest head of a request that is passed on; a datagram has about 200 KB."""

QUEUED_BYTES: Final = 1024 * 1024
"""Size of a worker's queue of connections that are passed to it."""

_COOKIE = re.compile(rb"[;\s]wireside_replica=([A-Za-z0-9._-]+)", re.IGNORECASE)
_HTML = re.compile(rb"\r\naccept:[^\r\n]*text/html", re.IGNORECASE)
_PAGE_SOCKET: Final = b"/_nicegui_ws/"
_METRICS = re.compile(rb"GET [^ ?]*/metrics[ ?]")

_log = structlog.get_logger(__name__)

Take = Callable[[socket.socket, bytes], Awaitable[None]]
"""Serves a connection, and the bytes that were read from it."""


class HandOver:
    """One worker's door for connections, and its way to those of the others.

    Args:
        name: the name of this worker as a replica, which the cookie has.
        folder: a folder that only the server's user can enter, with a socket of each worker.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name.encode()
        self._folder = folder
        self._path = folder / name
        self._door: socket.socket | None = None
        self._out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._out.setblocking(False)
        self._taking: set[asyncio.Task[None]] = set()

    def open(self, take: Take, on_ended: Callable[[str], None]) -> None:
        """Accept connections from other workers.

        Args:
            take: serves a connection.
            on_ended: called with the replica id of a worker that has died, as the supervisor
                reports.
        """
        self._path.unlink(missing_ok=True)
        door = self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUED_BYTES)
        door.bind(str(self._path))
        door.setblocking(False)
        asyncio.get_running_loop().add_reader(door.fileno(), self._receive, take, on_ended)

    def close(self) -> None:
        """Stop accepting connections: others serve them; those on their way are still served."""
        self._path.unlink(missing_ok=True)

    def aclose(self) -> None:
        """Close the sockets."""
        self.close()
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door.fileno())
            self._door.close()
        self._out.close()

    def pass_on(self, data: bytes, transport: asyncio.Transport) -> bool:
        """Pass a connection to the worker that its request is for; return whether that was done.

        The caller then closes its own descriptor, and nothing else.
        """
        owner = self._owner_of(data)
        if owner is None:
            return False
        descriptors = array.array("i", [transport.get_extra_info("socket").fileno()])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        try:
            # not `socket.send_fds`, which leaves the address out in Python 3.11
            self._out.sendmsg([data], ancillary, 0, str(self._folder / owner))
        except OSError:  # it is gone, or its queue is full: the page is made again here
            return False
        return True

    def _owner_of(self, data: bytes) -> str | None:
        """Return the other worker that a request is for; None if this one can serve it."""
        if len(data) > MAX_HEAD_BYTES or not data.startswith((b"GET ", b"POST ")):
            return None
        head, end, _ = data.partition(b"\r\n\r\n")
        if not end:
            return None
        line = head.partition(b"\r\n")[0]
        is_page = line.startswith(b"GET ") and _HTML.search(head) is not None
        if not is_page and _PAGE_SOCKET not in line and not _METRICS.match(line):
            return None
        found = _COOKIE.search(head)
        if found is None or found[1] == self._name:
            return None
        name = found[1].decode()
        return name if name != SUPERVISOR and (self._folder / name).is_socket() else None

    def _receive(self, take: Take, on_ended: Callable[[str], None]) -> None:
        assert self._door is not None
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._door, 2 * MAX_HEAD_BYTES, 4)
            except BlockingIOError:
                return
            if not descriptors:
                self._handle_report(data, on_ended)
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                task = asyncio.ensure_future(take(connection, data))
                self._taking.add(task)
                task.add_done_callback(self._taking.discard)

    @staticmethod
    def _handle_report(data: bytes, on_ended: Callable[[str], None]) -> None:
        try:
            said: dict[str, Any] = json.loads(data)
            on_ended(str(said["ended"]))
        except (ValueError, KeyError, TypeError):
            _log.warning("report_not_understood")
