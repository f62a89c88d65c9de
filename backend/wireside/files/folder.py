"""Keeps contents in a folder, each in a file that is named by its hash.

A content is written to a file in ``incoming/``, synced to disk and renamed: a file with the name of
a hash is always complete, whatever ends the process.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from wireside.errors import NotFound, StoreError
from wireside.folder_sync import sync_folder
from wireside.tokens import new_record_id

PIECE_BYTES = 256 * 1024
"""Number of bytes read at a time."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_INCOMING = "incoming"


class FolderContents:
    """Implements ``ContentStore``, which documents the methods."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is created with the first content, readable by the server's user only."""
        self._folder = folder
        self._process = new_record_id()

    def new_writer(self) -> FolderWriter:
        """See ``ContentStore``."""
        with _as_store_errors():
            incoming = self._folder / _INCOMING
            incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            return FolderWriter(self._folder, incoming / f"{self._process}-{new_record_id()}")

    def size_bytes(self, sha256: str) -> int | None:
        """See ``ContentStore``."""
        with _as_store_errors():
            try:
                return content_path(self._folder, sha256).stat().st_size
            except FileNotFoundError:
                return None

    def read_content(self, sha256: str) -> Iterator[bytes]:
        """See ``ContentStore``."""
        with _as_store_errors():
            try:
                file = content_path(self._folder, sha256).open("rb")
            except FileNotFoundError:
                raise NotFound("The content of this file is not there any longer.") from None
        return _file_pieces(file)

    def remove_content(self, sha256: str) -> None:
        """See ``ContentStore``."""
        with _as_store_errors():
            content_path(self._folder, sha256).unlink(missing_ok=True)

    def all_hashes(self) -> Iterator[str]:
        """See ``ContentStore``."""
        with _as_store_errors():
            for file in self._folder.glob("??/*"):
                if _SHA256.fullmatch(file.name):
                    yield file.name

    def remove_unfinished(self) -> None:
        """See ``ContentStore``."""
        for file in (self._folder / _INCOMING).glob("*"):
            if not file.name.startswith(self._process):
                with suppress(OSError):
                    file.unlink()


class FolderWriter:
    """Implements ``ContentWriter``, which documents the methods."""

    def __init__(self, folder: Path, incoming: Path) -> None:
        self._folder = folder
        self._incoming = incoming
        self._hash = hashlib.sha256()
        self._file: BinaryIO = os.fdopen(
            os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        )

    def write(self, data: bytes) -> None:
        """See ``ContentWriter``."""
        with _as_store_errors():
            self._file.write(data)
        self._hash.update(data)

    def commit(self) -> str:
        """See ``ContentWriter``."""
        sha256 = self._hash.hexdigest()
        path = content_path(self._folder, sha256)
        with _as_store_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._incoming.replace(path)
            for folder in (path.parent, self._folder):
                sync_folder(folder)
        return sha256

    def discard(self) -> None:
        """See ``ContentWriter``."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._incoming.unlink(missing_ok=True)


def content_path(folder: Path, sha256: str) -> Path:
    """Return the file of a content. Raises ``NotFound`` for what is not a hash."""
    if not _SHA256.fullmatch(sha256):
        raise NotFound("There is no such file.")
    return folder / sha256[:2] / sha256


def _file_pieces(file: BinaryIO) -> Iterator[bytes]:
    with file, _as_store_errors():
        while piece := file.read(PIECE_BYTES):
            yield piece


@contextmanager
def _as_store_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError("Files can't be kept at the moment. Please try again.") from error
