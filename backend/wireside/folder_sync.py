"""Syncs folders to disk, so that the names of the files in them survive a power failure."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Sync a folder after a file in it was created, renamed or removed."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows can't open a folder
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # not every file system supports it
            os.fsync(handle)
    finally:
        os.close(handle)
