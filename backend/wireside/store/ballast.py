"""A reserve file that is deleted when the disk is full, so that space can be freed.

SQLite needs room for its log even to delete rows.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

MARGIN_BYTES = 4 * 1024 * 1024
"""Free space required besides the ballast before it is recreated, in bytes.

It keeps the ballast from being given up again right away.
"""

PROBE_BYTES = 64 * 1024

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Ballast:
    """A reserve file of ``size`` bytes; 0 disables it."""

    def __init__(self, file: Path, size: int) -> None:
        self._file = file
        self._size = size

    @property
    def is_present(self) -> bool:
        """Whether there is a reserve to give up."""
        return self._size > 0 and self._file.exists()

    def create_file(self) -> bool:
        """Create the file if it is missing; returns whether it is as it should be.

        A file of another size is replaced; it is removed if ``size`` is 0.
        """
        try:
            if self._file.exists() and self._file.stat().st_size != self._size:
                self._file.unlink()
            if self._size == 0 or self._file.exists():
                return True
            if not self.has_space_left():
                return False
            self._write_file()
        except OSError:
            self.delete_file()
            return False
        return True

    def delete_file(self) -> bool:
        """Delete the file; returns whether that freed space."""
        try:
            self._file.unlink()
        except OSError:
            return False
        return True

    def has_space_left(self) -> bool:
        """Return whether there is room for the ballast, if it is missing, plus ``MARGIN_BYTES``."""
        needed = MARGIN_BYTES + (0 if self._file.exists() else self._size)
        try:
            return shutil.disk_usage(self._file.parent).free >= needed
        except OSError:
            return False

    def _write_file(self) -> None:
        with self._file.open("xb", buffering=0) as file:
            self._file.chmod(0o600)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, self._size)
            else:  # random, because some file systems do not allocate other data
                for begin in range(0, self._size, PROBE_BYTES):
                    file.write(os.urandom(min(PROBE_BYTES, self._size - begin)))


def is_disk_full(folder: Path) -> bool:
    """Return whether the disk is full, by writing a small file: SQLite does not always say so."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in _NO_ROOM
    return False
