"""What a supervisor passes to a worker."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from wireside.server.worker import VARIABLE, Worker


def is_blocking(descriptor: int) -> bool:
    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK


def test_no_duplicate_of_the_shared_socket_blocks_the_other_workers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        lifeline, life = os.pipe()
        environment = {VARIABLE: Worker.variable([os.dup(listener.fileno())], lifeline, tmp_path)}
        worker = Worker.from_environment(environment)
        assert worker is not None
        assert (environment, worker.folder) == ({}, tmp_path)
        (mine,) = worker.listeners
        with mine, mine.dup() as duplicate:
            assert duplicate.getsockname() == listener.getsockname()
            assert not is_blocking(listener.fileno())
        os.close(lifeline)
        os.close(life)


def test_a_server_without_a_supervisor_is_no_worker() -> None:
    assert Worker.from_environment({}) is None
