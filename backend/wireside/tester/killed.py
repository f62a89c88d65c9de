"""The data that a server leaves which is killed."""

from __future__ import annotations

import shutil
from pathlib import Path

from wireside.store.database import copy_file

DATABASE = "wireside.db"


def copy_as_killed(data: Path, target: Path) -> None:
    """Copy a data directory as a kill of its server at this moment would leave it.

    The copy has what is committed. The server goes on and does not notice.

    Args:
        data: the directory.
        target: the directory to create.
    """
    shutil.copytree(data, target, ignore=shutil.ignore_patterns(f"{DATABASE}*"))
    copy_file(data / DATABASE, target / DATABASE)
