"""Fixtures: a store on SQLite and one on a real PostgreSQL; every test runs on both."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from tests.postgresql import COPIED, PostgresServer
from wireside.store.store import SqlStore

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group all PostgreSQL tests into one worker process of a parallel run.

    The process starts one server; the package's set-up can fail if two create a server at the same
    time.
    """
    for item in items:
        if "postgresql" in item.name or "postgresql" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("postgresql"))


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The server of this test run, started by the first test that needs it."""
    server = PostgresServer(lambda: tmp_path_factory.mktemp("pg"))
    yield server
    server.stop()


@pytest.fixture
def postgresql(postgresql_server: PostgresServer) -> str:
    """The address of the server's database ``postgres``."""
    return postgresql_server.uri()


@pytest.fixture
async def create(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[..., Coroutine[Any, Any, str]]]:
    """Return a function that creates a database of a kind and returns its address.

    The database is empty, or, if ``is_migrated``, has the newest schema.
    The database is deleted after its test: deleting those of all tests at the end could take longer
    than a test's time limit.
    """
    made: list[str] = []

    async def on_server(statement: str) -> None:
        server: PostgresServer = request.getfixturevalue("postgresql_server")
        address = server.uri().replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(address, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                await connection.execute(text(statement))
        finally:
            await engine.dispose()

    async def make(kind: str, *, is_migrated: bool = False) -> str:
        name = f"test_{next(_numbers)}"
        if kind == "sqlite":
            file = tmp_path / f"{name}.db"
            if is_migrated:
                shutil.copy(request.getfixturevalue("migrated"), file)
            return f"sqlite:///{file}"
        server: PostgresServer = request.getfixturevalue("postgresql_server")
        template = f" TEMPLATE {server.template()} {COPIED}" if is_migrated else ""
        await on_server(f"CREATE DATABASE {name}{template}")
        made.append(name)
        return server.address(name)

    yield make
    for name in made:
        for attempts_left in (2, 1, 0):  # a busy machine loses a connection now and then
            try:
                await on_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                break
            except DBAPIError:
                if not attempts_left:
                    raise


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(
    request: pytest.FixtureRequest, create: Callable[..., Coroutine[Any, Any, str]]
) -> str:
    """The address of an empty database; ``store`` has opened it if the test uses that."""
    return await create(request.param, is_migrated="store" in request.fixturenames)


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(url)
    await store.open()
    yield store
    await store.aclose()
