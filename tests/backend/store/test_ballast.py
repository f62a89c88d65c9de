"""The ballast file, deleted when the disk is full; its effect is tested in ``tests/faults``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from wireside.errors import NotConfigured
from wireside.store.ballast import MARGIN_BYTES, Ballast, is_disk_full
from wireside.store.database import create_database
from wireside.store.store import SqlStore

SIZE = 256 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ballast"


def test_it_takes_room_and_is_its_users_alone(file: Path) -> None:
    ballast = Ballast(file, SIZE)
    assert not ballast.is_present
    assert ballast.create_file()
    assert ballast.is_present
    status = file.stat()
    assert status.st_size == SIZE
    assert status.st_blocks * 512 >= SIZE  # a sparse file would free nothing
    assert status.st_mode & 0o077 == 0


def test_without_the_systems_help_it_takes_room_too(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    assert Ballast(file, SIZE + 1).create_file()
    assert file.stat().st_size == SIZE + 1
    assert file.stat().st_blocks * 512 >= SIZE


def test_it_is_given_up_once_and_made_again(file: Path) -> None:
    ballast = Ballast(file, SIZE)
    ballast.create_file()
    assert ballast.delete_file()
    assert not file.exists()
    assert not ballast.delete_file()
    assert ballast.create_file()
    assert ballast.is_present


def test_another_size_replaces_it_and_none_removes_it(file: Path) -> None:
    Ballast(file, SIZE).create_file()
    assert Ballast(file, 2 * SIZE).create_file()
    assert file.stat().st_size == 2 * SIZE
    none = Ballast(file, 0)
    assert none.create_file()
    assert not file.exists()
    assert not none.is_present


def test_it_is_not_made_where_it_would_fill_the_disk(file: Path) -> None:
    free = shutil.disk_usage(file.parent).free
    ballast = Ballast(file, free + MARGIN_BYTES)
    assert not ballast.has_space_left()
    assert not ballast.create_file()
    assert not file.exists()


def test_nowhere_is_no_room(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "none" / "ballast", SIZE)
    assert not ballast.has_space_left()
    assert not ballast.create_file()
    assert not ballast.delete_file()


def test_a_disk_with_room_is_not_full(tmp_path: Path) -> None:
    assert not is_disk_full(tmp_path)
    assert not is_disk_full(tmp_path / "none")  # a missing folder does not count as a full disk


async def test_a_server_has_one_and_a_command_beside_it_leaves_it_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    store = SqlStore(url, ballast_bytes=SIZE)
    await store.open()
    beside = SqlStore(url)
    await beside.open_beside()
    await beside.aclose()
    opened = create_database(url)
    with pytest.raises(NotConfigured):
        await opened.open()
    await opened.aclose()
    assert (tmp_path / "x.db.ballast").stat().st_size == SIZE
    await store.look_after()
    assert store.problem is None
    await store.aclose()


async def test_a_file_that_was_removed_is_told(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'x.db'}")
    await store.open()
    (tmp_path / "x.db").rename(tmp_path / "away")
    await store.look_after()
    assert "not where it was" in (store.problem or "")
    (tmp_path / "away").rename(tmp_path / "x.db")
    await store.look_after()
    assert store.problem is None
    await store.aclose()
