"""A file that is given up when the disk is full, so that what frees space can be done: SQLite needs
room even to delete, for its log.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

MARGIN_BYTES = 4 * 1024 * 1024
"""What must be free beside the ballast before it is made again: some time shall pass until then."""

PROBE_BYTES = 64 * 1024

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Ballast:
    """``size`` bytes in ``file``; 0 is none."""

    def __init__(self, file: Path, size: int) -> None:
        self._file = file
        self._size = size

    @property
    def is_there(self) -> bool:
        """Whether there is what can be given up."""
        return self._size > 0 and self._file.exists()

    def make(self) -> bool:
        """Make it where it is missing; returns whether it is as it should be. An old one of another
        size is replaced, one that is wanted no more removed.
        """
        try:
            if self._file.exists() and self._file.stat().st_size != self._size:
                self._file.unlink()
            if self._size == 0 or self._file.exists():
                return True
            if not self.has_room():
                return False
            self._write()
        except OSError:
            self.give_up()
            return False
        return True

    def give_up(self) -> bool:
        """Remove it; returns whether that has freed something."""
        try:
            self._file.unlink()
        except OSError:
            return False
        return True

    def has_room(self) -> bool:
        """Whether there is room for it, if it is missing, and some more."""
        needed = MARGIN_BYTES + (0 if self._file.exists() else self._size)
        try:
            return shutil.disk_usage(self._file.parent).free >= needed
        except OSError:
            return False

    def _write(self) -> None:
        with self._file.open("xb", buffering=0) as file:
            self._file.chmod(0o600)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, self._size)
            else:  # what is not random some file systems would not store
                for begin in range(0, self._size, PROBE_BYTES):
                    file.write(os.urandom(min(PROBE_BYTES, self._size - begin)))


def is_full(folder: Path) -> bool:
    """Try whether a file of some size can be written: not every full disk says so to SQLite."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in _NO_ROOM
    return False
