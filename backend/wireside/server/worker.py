"""What a process gets from the supervisor that has started it as one of several workers."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

MODEL_VARIABLE: Final = "_WIRESIDE_MODEL"
"""Environment variable of a worker: port and key of the embedded model, which all share."""

VARIABLE: Final = "_WIRESIDE_WORKER"
"""Environment variable of a worker: descriptors and a folder."""

SUPERVISOR: Final = "supervisor"
"""Name of the supervisor's socket in the folder of the workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The listening sockets that all workers share, and how they find each other.

    ``lifeline`` is the reading end of a pipe that ends with the supervisor. ``folder`` has the
    sockets of the workers; see ``handover.py``.
    """

    listeners: tuple[socket.socket, ...]
    lifeline: int
    folder: Path

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self | None:
        """Return what the supervisor passes, and remove it from there; None without one."""
        given = environment.pop(VARIABLE, None)
        if given is None:
            return None
        passed, lifeline, folder = given.split(":", 2)
        descriptors = [int(one) for one in passed.split(",")]
        for descriptor in (*descriptors, int(lifeline)):
            os.set_inheritable(descriptor, False)
        listeners = tuple(socket.socket(fileno=one) for one in descriptors)
        for listener in listeners:
            # `dup` sets what the object has, and that is a flag of the socket of all workers: one
            # of them could otherwise block in `accept`
            listener.setblocking(False)
        return cls(
            listeners=listeners,
            lifeline=int(lifeline),
            folder=Path(folder),
        )

    def report_ready(self, name: str, address: str, secret: str | None) -> None:
        """Tell the supervisor that this worker serves, and the secret of the first link, if any."""
        said = {"ready": name, "address": address, "secret": secret}
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(json.dumps(said).encode(), str(self.folder / SUPERVISOR))

    def report_beat(self, name: str, replica_id: str | None) -> None:
        """Tell the supervisor that this worker's event loop runs, and its id as a replica.

        A supervisor that does not read must not stop the worker: the report is dropped then.
        """
        said = {"beat": name, "pid": os.getpid(), "replica": replica_id}
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(json.dumps(said).encode(), str(self.folder / SUPERVISOR))

    @staticmethod
    def variable(listeners: Sequence[int], lifeline: int, folder: Path) -> str:
        """Return the value of ``VARIABLE`` for a worker."""
        return f"{','.join(map(str, listeners))}:{lifeline}:{folder}"
