"""A server with two workers on one port, for tests of pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.server_process import ServerProcess

NAMES = ("here-w1", "here-w2")
"""The names of the workers."""


@contextmanager
def two_workers(
    folder: Path, lab_url: str, *, database: str, **settings: Any
) -> Iterator[ServerProcess]:
    """Run two workers on a PostgreSQL database."""
    command = (sys.executable, "-m", "wireside", "serve", "--port", "0", "--workers", "2")
    server = ServerProcess(
        folder, lab_url, command=command, database_url=database, replica_name="here", **settings
    )
    with server:
        yield server
