"""Copies a SQLite database before a migration, so that the version before it can be used again."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from wireside.folder_sync import sync_folder
from wireside.store.database import copy_file

_log = structlog.get_logger(__name__)

SPARE = 1.1
"""Free space that a copy needs, as a multiple of the size of the database."""


def copy_before_migration(file: Path, version: str, *, kept: int) -> Path | None:
    """Copy a database of schema ``version`` next to itself, and remove the oldest copies.

    The copy is named by version and time (``wireside.db.0009-20261130-142233``) and readable by its
    user only. A copy that is impossible is logged, and does not prevent the migration, which is one
    transaction.

    Args:
        file: the database; what is committed in it is copied.
        version: the revision of its schema.
        kept: number of copies that remain, newest first; with 0, none is made.

    Returns:
        The copy; None if there is none.
    """
    if kept == 0:
        return None
    needed = int(_size(file) * SPARE)
    if (free := shutil.disk_usage(file.parent).free) < needed:
        _log.warning(
            "migration_not_copied",
            reason="there is too little free space",
            free_mb=free // 2**20,
            needed_mb=needed // 2**20 + 1,
        )
        return None
    copy = file.with_name(f"{file.name}.{version}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    part = copy.with_name(f"{copy.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        copy_file(file, part)
        part.replace(copy)
        sync_folder(copy.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        _log.warning("migration_not_copied", reason=str(error))
        return None
    _log.info("migration_copied", file=str(copy))
    _remove_old_copies(file, kept)
    return copy


def copies_of(file: Path) -> list[Path]:
    """Return the copies of a database that were made before migrations, oldest first."""
    pattern = f"{file.name}.[0-9][0-9][0-9][0-9]-[0-9]*-[0-9]*"
    found = [copy for copy in file.parent.glob(pattern) if copy.suffix != ".part"]
    return sorted(found, key=lambda copy: copy.name.removeprefix(file.name).partition("-")[2])


def _remove_old_copies(file: Path, kept: int) -> None:
    for copy in copies_of(file)[:-kept]:
        with suppress(OSError):
            copy.unlink()
            _log.info("migration_copy_removed", file=str(copy))


def _size(file: Path) -> int:
    """Return the bytes of a database with its write-ahead log."""
    log = file.with_name(f"{file.name}-wal")
    return file.stat().st_size + (log.stat().st_size if log.exists() else 0)
