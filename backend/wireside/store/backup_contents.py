"""The contents of files as rows of a backup: hash, position, and a piece in base64.

A server may remove a content while a backup is written. The rows that were announced then have no
piece, and a restore passes them over: its files went with their conversation.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wireside.errors import NotFound
from wireside.ports.files import ContentStore, ContentWriter
from wireside.store.backup_file import DAMAGED, BackupError, TableHead, line_of

CONTENTS: Final = "file_contents"
"""Name of the table in a backup; no database has it."""

PIECE_BYTES = 192 * 1024
"""Bytes of a row; a multiple of three, so that base64 adds nothing between pieces."""


@dataclass(frozen=True, slots=True)
class FileContents:
    """Contents that are being backed up, with their sizes."""

    store: ContentStore
    sizes: dict[str, int]

    @classmethod
    def find_contents(cls, store: ContentStore, hashes: Sequence[str]) -> FileContents:
        """Find the contents of these hashes."""
        sizes = ((sha256, store.size_bytes(sha256)) for sha256 in hashes)
        return cls(store, {sha256: size for sha256, size in sizes if size})

    @property
    def table_head(self) -> TableHead:
        """The header's entry."""
        rows = sum(_row_count(size) for size in self.sizes.values())
        return TableHead(CONTENTS, ("sha256", "position", "piece"), rows)

    def row_lines(self) -> Iterator[bytes]:
        """Iterate over the rows of all contents."""
        for sha256, size in self.sizes.items():
            pieces = self._piece_lines(sha256)
            for position in range(_row_count(size)):
                piece = next(pieces, None)
                encoded = None if piece is None else b64encode(piece).decode()
                yield line_of([sha256, position, encoded])

    def _piece_lines(self, sha256: str) -> Iterator[bytes]:
        held = bytearray()
        try:
            for data in self.store.read_content(sha256):
                held += data
                while len(held) >= PIECE_BYTES:
                    yield bytes(held[:PIECE_BYTES])
                    del held[:PIECE_BYTES]
        except NotFound:
            return
        if held:
            yield bytes(held)


class RestoredContents:
    """Contents that are being restored, one after another. Raises ``BackupError``."""

    def __init__(self, store: ContentStore | None) -> None:
        """With None, all contents are passed over."""
        self._store = store
        self._sha256 = ""
        self._writer: ContentWriter | None = None

    def write_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows, in the order of the backup."""
        for sha256, _, piece in rows:
            if sha256 != self._sha256:
                self.finish_last()
                self._sha256 = sha256
                self._writer = None if self._store is None else self._store.new_writer()
            if self._writer is None:
                continue
            if piece is None:  # it was removed while the backup was written
                self._writer.discard()
                self._writer = None
                continue
            try:
                self._writer.write(b64decode(piece, validate=True))
            except (NotBase64, TypeError, ValueError) as error:
                self._writer.discard()
                self._writer = None
                raise BackupError(DAMAGED) from error

    def finish_last(self) -> None:
        """Finish the last content."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            if writer.commit() != self._sha256:
                raise BackupError(DAMAGED)
        finally:
            writer.discard()


def _row_count(size: int) -> int:
    return -(-size // PIECE_BYTES)
