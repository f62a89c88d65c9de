"""The command line of several workers."""

from __future__ import annotations

import pytest

from wireside.cli.workers import (
    MAX_WORKERS,
    NO_SHARED_DATABASE,
    machine_name,
    why_not,
    without_workers,
)
from wireside.settings.model import Settings


def test_a_worker_gets_the_arguments_without_the_number() -> None:
    given = ["serve", "--workers", "3", "app:chat", "--port", "3", "--workers=2", "--wait", "1"]
    assert without_workers(given) == ["serve", "app:chat", "--port", "3", "--wait", "1"]


@pytest.mark.parametrize("url", [None, "sqlite:///x.db"])
def test_sqlite_serves_one_server(url: str | None) -> None:
    assert why_not(Settings(database_url=url)) == NO_SHARED_DATABASE


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgres://h/d"])
def test_postgresql_serves_several(url: str) -> None:
    assert why_not(Settings(database_url=url)) is None


def test_workers_of_a_machine_with_a_long_name_have_valid_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "h" * 80)
    for settings in (Settings(), Settings(replica_name="n" * 64)):
        name = f"{machine_name(settings)}-w{MAX_WORKERS}"
        assert Settings(replica_name=name).effective_replica_name == name
    assert machine_name(Settings(replica_name="here")) == "here"
