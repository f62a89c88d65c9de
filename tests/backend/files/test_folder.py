"""Contents in a folder: each once, complete, and never under a name that a client chose."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from wireside.errors import NotFound, StoreError
from wireside.files.folder import PIECE_BYTES, FolderContents

CONTENT = b"0123456789" * 60_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def contents(tmp_path: Path) -> FolderContents:
    return FolderContents(tmp_path / "files")


def keep(contents: FolderContents, content: bytes) -> str:
    writer = contents.new_writer()
    for at in range(0, len(content), 100_000):
        writer.write(content[at : at + 100_000])
    try:
        return writer.commit()
    finally:
        writer.discard()


def test_a_content_is_read_as_it_was_written(contents: FolderContents) -> None:
    assert keep(contents, CONTENT) == SHA256
    pieces = list(contents.read_content(SHA256))
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert contents.size_bytes(SHA256) == len(CONTENT)


def test_the_same_content_is_kept_once(contents: FolderContents, tmp_path: Path) -> None:
    assert keep(contents, CONTENT) == keep(contents, CONTENT)
    files = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert [file.name for file in files] == [SHA256]
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert list(contents.all_hashes()) == [SHA256]


def test_an_unfinished_content_is_not_there(contents: FolderContents, tmp_path: Path) -> None:
    writer = contents.new_writer()
    writer.write(CONTENT)
    assert list(contents.all_hashes()) == []
    writer.discard()
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


def test_what_a_killed_process_left_is_removed(contents: FolderContents, tmp_path: Path) -> None:
    left = contents.new_writer()
    left.write(b"left")
    running = FolderContents(tmp_path / "files")
    writer = running.new_writer()
    writer.write(b"mine")
    running.remove_unfinished()
    assert len(list((tmp_path / "files" / "incoming").iterdir())) == 1
    assert running.size_bytes(writer.commit()) == 4
    left.discard()


def test_a_removed_content_is_gone(contents: FolderContents) -> None:
    keep(contents, CONTENT)
    contents.remove_content(SHA256)
    contents.remove_content(SHA256)
    assert contents.size_bytes(SHA256) is None
    with pytest.raises(NotFound):
        contents.read_content(SHA256)


@pytest.mark.parametrize("name", ["", "../../cookie.key", "/etc/passwd", SHA256.upper(), "a" * 63])
def test_only_hashes_are_names(contents: FolderContents, name: str) -> None:
    with pytest.raises(NotFound):
        contents.read_content(name)
    with pytest.raises(NotFound):
        contents.remove_content(name)


def test_a_folder_that_cannot_be_written_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file in its place")
    with pytest.raises(StoreError):
        FolderContents(tmp_path / "files").new_writer()
