"""The backup file format: rows as lines of JSON, compressed by gzip, sealed by a hash.

::

    {"format": "wireside-backup", "version": 1, "revision": …, "tables": […], …}   the header
    ["…", 3, null, …]                     a row; columns are in the order of the header
    {"table": "…", "rows": …, "sha256": …}      after the rows of each table
    {"end": "wireside-backup"}
    {"sha256": …}                         the seal: hash of all bytes of the file before it

The seal is a gzip member of its own with a fixed encoding, so any changed bit in the file is
detected. Anything else is detected by the row counts and hashes of the tables. A file is never held
in memory as a whole. This module does not access a database.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from wireside.errors import StoreError
from wireside.file_lock import lock_file
from wireside.folder_sync import sync_folder

FORMAT = "wireside-backup"
VERSION = 1

BATCH_ROWS = 500
BATCH_BYTES = 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024 * 1024

# fast rather than small: twice as fast as gzip's default level, for 10 % more bytes
_LEVEL = 3
_BLOCK_BYTES = 1024 * 1024

Progress = Callable[[int, int], None]
"""Called with the number of steps done and the total."""


class BackupError(StoreError):
    """A backup can't be created, read or restored; the message says why and what to do."""

    retryable = False
    sentence = "The backup could not be made or put back."


class TableHead(msgspec.Struct, frozen=True):
    """The header's entry for a table."""

    name: str
    columns: tuple[str, ...]
    rows: int


class BackupHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a backup. ``numbers`` are the last autoincrement values of tables."""

    format: str = FORMAT
    version: int = VERSION
    revision: str
    wireside: str
    made_at: str
    tables: tuple[TableHead, ...]
    numbers: dict[str, int]

    @property
    def total_rows(self) -> int:
        """Total number of rows."""
        return sum(table.rows for table in self.tables)


class Fingerprint:
    """An order-independent fingerprint of a table's rows.

    Consists of their number and the sum of their hashes; databases return rows in any order.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add_line(self, line: bytes) -> None:
        """Add a row, encoded by ``line_of``."""
        self.rows += 1
        self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")

    @property
    def sha256(self) -> str:
        """The sum modulo 2**256, in hexadecimal digits."""
        return f"{self._sum % 2**256:064x}"


class _Closing(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    rows: int
    sha256: str


line_of = msgspec.json.Encoder().encode
"""Encodes a row, or another line, without the line end."""

_row = msgspec.json.Decoder(list[Any]).decode


class BackupWriter:
    """Writes a backup sequentially. Raises ``BackupError``."""

    def __init__(self, file: BinaryIO, header: BackupHeader) -> None:
        self._file = _Hashing(file)
        self._packed = gzip.GzipFile("", "wb", _LEVEL, self._file, mtime=0)
        self._write_bytes(line_of(header) + b"\n")

    def write_rows(self, lines: list[bytes]) -> None:
        """Write rows of the current table."""
        self._write_bytes(b"".join([line + b"\n" for line in lines]))

    def close_table(self, name: str, rows: Fingerprint) -> None:
        """Finish the current table."""
        self._write_bytes(line_of(_Closing(name, rows.rows, rows.sha256)) + b"\n")

    def finish_backup(self) -> None:
        """Finish the backup and write the seal."""
        self._write_bytes(_END)
        try:
            self._packed.close()
            self._file.write(_seal_member(self._file.hash.hexdigest()))
        except OSError as error:
            raise _not_written(error) from error

    def _write_bytes(self, data: bytes) -> None:
        try:
            self._packed.write(data)
        except OSError as error:
            raise _not_written(error) from error


class BackupReader:
    """Reads a backup after checking its seal. Raises ``BackupError``."""

    def __init__(self, file: BinaryIO) -> None:
        check_seal(file)
        self.sha256: dict[str, str] = {}
        """The hash of each table that was read completely."""
        self._closing: _Closing | None = None
        self._lines = io.BufferedReader(gzip.GzipFile("", "rb", fileobj=file), _BLOCK_BYTES)
        try:
            self.header = msgspec.json.decode(self._read_line(), type=BackupHeader)
        except msgspec.MsgspecError as error:
            raise BackupError(NO_BACKUP) from error
        if self.header.format != FORMAT:
            raise BackupError(NO_BACKUP)
        if self.header.version != VERSION:
            raise BackupError(
                f"This backup is of version {self.header.version}, which a newer Wireside has"
                " made. Update this one."
            )

    def row_batches(self) -> Iterator[tuple[TableHead, list[list[Any]]]]:
        """Iterate over all rows in batches of one table, checking counts and hashes on the way."""
        for table in self.header.tables:
            found = Fingerprint()
            for some in self._read_batches(found):
                is_like_this = all(len(row) == len(table.columns) for row in some)
                if not is_like_this or found.rows > table.rows:
                    raise BackupError(DAMAGED)
                yield table, some
            if self._closing != _Closing(table.name, table.rows, found.sha256):
                raise BackupError(DAMAGED)
            self.sha256[table.name] = found.sha256
        if self._read_line() != _END:
            raise BackupError(DAMAGED)

    def _read_batches(self, found: Fingerprint) -> Iterator[list[list[Any]]]:
        some: list[list[Any]] = []
        size = 0
        try:
            while (line := self._read_line()).startswith(b"["):
                found.add_line(line[:-1])
                some.append(_row(line))
                size += len(line)
                if len(some) >= BATCH_ROWS or size >= BATCH_BYTES:
                    yield some
                    some, size = [], 0
            self._closing = msgspec.json.decode(line, type=_Closing)
        except msgspec.MsgspecError as error:
            raise BackupError(DAMAGED) from error
        if some:
            yield some

    def _read_line(self) -> bytes:
        try:
            return self._lines.readline(MAX_LINE_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BackupError(DAMAGED) from error
        except OSError as error:
            raise _read_failure(error) from error


def check_seal(file: BinaryIO) -> None:
    """Raise ``BackupError`` unless the seal matches every byte of the file."""
    try:
        length = file.seek(0, io.SEEK_END) - SEAL_BYTES
        file.seek(0)
        if file.read(2) != b"\x1f\x8b":
            raise BackupError(NO_BACKUP)
        file.seek(0)
        if length <= 0:
            raise BackupError(DAMAGED)
        found = hashlib.sha256()
        while length:
            block = file.read(min(length, _BLOCK_BYTES))
            if not block:
                raise BackupError(DAMAGED)
            found.update(block)
            length -= len(block)
        if file.read() != _seal_member(found.hexdigest()):
            raise BackupError(DAMAGED)
        file.seek(0)
    except OSError as error:
        raise _read_failure(error) from error


def verify_backup(file: BinaryIO, on_progress: Progress) -> BackupHeader:
    """Read a whole backup and return its header. Raises ``BackupError``."""
    reader = BackupReader(file)
    done = 0
    for _, rows in reader.row_batches():
        done += len(rows)
        on_progress(done, reader.header.total_rows)
    return reader.header


def batch_lines(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Group lines into batches, so that the cost of a write is per batch."""
    some: list[bytes] = []
    size = 0
    for line in rows:
        some.append(line)
        size += len(line)
        if len(some) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


@contextmanager
def create_file(file: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Create a file with permissions for its user alone; it gets its name once it is complete.

    The file is renamed after it was synced to disk; until then, and after an error, ``file`` is
    unchanged and no partial file remains. Raises ``BackupError``.
    """
    _must_not_be(file, force)
    try:
        _remove_abandoned(file)
        # readable by its user alone, under an unguessable name at which no link can be planted
        handle, name = tempfile.mkstemp(".part", f".{file.name[:100]}.", file.parent)
    except OSError as error:
        raise _not_written(error) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as opened:
            lock_file(opened.fileno(), wait=False)
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
            _must_not_be(file, force)
            part.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise _not_written(error) from error
    finally:
        part.unlink(missing_ok=True)


def _must_not_be(file: Path, force: bool) -> None:
    if file.is_dir():
        raise BackupError(f"{file} is a folder: name a file in it.")
    if file.exists() and not force:
        raise BackupError(f"{file} is there already. Take another name, or add `--force`.")


def _remove_abandoned(file: Path) -> None:
    """Remove partial files left by killed backups of this name; a running one holds a lock."""
    for part in file.parent.glob(f".{glob.escape(file.name[:100])}.*.part"):
        with suppress(OSError):
            with part.open("rb+") as opened:
                is_abandoned = lock_file(opened.fileno(), wait=False)
            if is_abandoned:
                part.unlink()


class _Hashing(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self.hash = hashlib.sha256()
        self._file = file

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self._file.write(data)


def _seal_member(sha256: str) -> bytes:
    """Return a gzip member with one stored block, which has the same bytes on every platform."""
    line = line_of({"sha256": sha256}) + b"\n"
    head = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 0, 0, 0, 255)
    block = struct.pack("<BHH", 1, len(line), len(line) ^ 0xFFFF)
    return head + block + line + struct.pack("<II", zlib.crc32(line), len(line))


def _not_written(error: OSError) -> BackupError:
    return BackupError(
        f"The backup can't be written: {error.strerror or error}."
        " Give it a place with enough room that can be written."
    )


def _read_failure(error: OSError) -> BackupError:
    return BackupError(f"The backup can't be read: {error.strerror or error}.")


SEAL_BYTES = len(_seal_member("0" * 64))

_END = line_of({"end": FORMAT}) + b"\n"

NO_BACKUP = "This file is no backup of Wireside. `wireside backup FILE` makes one."
DAMAGED = (
    "This backup is damaged or not complete: its hash is not the one that was written."
    " Take another copy of it, or another backup."
)
