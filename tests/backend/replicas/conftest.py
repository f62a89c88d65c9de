"""Fixtures: a real PostgreSQL and a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backend.replicas.engines import RedisServer
from tests.postgresql import PostgresServer


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server, started at its first use."""
    server = PostgresServer(lambda: tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()
