"""The contents of files in backups: all of them, verified, and none that is not complete."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from wireside.files.folder import FolderContents
from wireside.records import StoredFile
from wireside.store.backup import restore_backup, write_backup
from wireside.store.backup_contents import (
    CONTENTS,
    PIECE_BYTES,
    FileContents,
    RestoredContents,
)
from wireside.store.backup_file import BackupError, verify_backup
from wireside.store.store import SqlStore

CONTENT = [b"a", b"b" * PIECE_BYTES, b"0123456789" * 60_000]


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def keep(contents: FolderContents, content: bytes) -> str:
    writer = contents.new_writer()
    writer.write(content)
    sha256 = writer.commit()
    writer.discard()
    return sha256


async def filled(url: str, contents: FolderContents) -> list[str]:
    """Store a file for each content, and one whose content is lost."""
    hashes = [keep(contents, content) for content in CONTENT]
    store = SqlStore(url)
    await store.open()
    for number, sha256 in enumerate([*hashes, hashes[0], "f" * 64]):
        file = StoredFile(
            id=str(number),
            owner="",
            name="a",
            media_type="text/plain",
            size_bytes=1,
            sha256=sha256,
            created_at=1.0,
        )
        await store.files.add_file_record(file, max_owner_bytes=None)
    await store.aclose()
    return hashes


async def test_contents_are_found_again(url: str, tmp_path: Path) -> None:
    here, there = FolderContents(tmp_path / "here"), FolderContents(tmp_path / "there")
    hashes = await filled(url, here)
    keep(here, b"of no file")
    file = io.BytesIO()
    header = await write_backup(url, file, quiet, contents=here)
    assert (header.tables[-1].name, header.tables[-1].rows) == (CONTENTS, 1 + 1 + 4)
    assert verify_backup(file, quiet) == header
    await restore_backup(url, file, quiet, replace=True, contents=there)
    assert sorted(there.all_hashes()) == sorted(hashes)
    assert [b"".join(there.read_content(sha256)) for sha256 in hashes] == CONTENT


async def test_a_restore_may_pass_over_contents(url: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    await filled(url, here := FolderContents(tmp_path / "here"))
    await write_backup(url, file, quiet, contents=here)
    await restore_backup(url, file, quiet, replace=True)


def test_a_content_that_is_removed_meanwhile_is_passed_over(tmp_path: Path) -> None:
    here, there = FolderContents(tmp_path / "here"), FolderContents(tmp_path / "there")
    hashes = [keep(here, content) for content in CONTENT]
    found = FileContents.find_contents(here, hashes)
    here.remove_content(hashes[1])
    rows = [line.decode() for line in found.row_lines()]
    assert len(rows) == found.table_head.rows
    restored = RestoredContents(there)
    restored.write_rows([json.loads(row) for row in rows])
    restored.finish_last()
    assert sorted(there.all_hashes()) == sorted([hashes[0], hashes[2]])


@pytest.mark.parametrize("piece", ["YQ==", "?", 1, "YQ"])
def test_a_content_that_is_not_of_its_hash_is_damage(tmp_path: Path, piece: object) -> None:
    restored = RestoredContents(FolderContents(tmp_path))
    with pytest.raises(BackupError, match="damaged"):
        restored.write_rows([["e" * 64, 0, piece]])
        restored.finish_last()
    restored.finish_last()
