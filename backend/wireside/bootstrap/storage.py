"""Builds the store, the files and the group commit, and keeps the key that signs cookies."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from wireside.errors import NotConfigured
from wireside.files.folder import FolderContents
from wireside.files.service import MB, FileRules, Files
from wireside.generation.commits import CommitTimes, GroupCommit
from wireside.ports.files import ContentStore
from wireside.ports.observer import Observer
from wireside.settings.model import Settings
from wireside.store.store import SqlStore


def build_store(settings: Settings) -> SqlStore:
    """Return the store of conversations, accounts and figures; it is not open yet."""
    return SqlStore(database_url(settings), ballast_bytes=settings.ballast_mb * 1024 * 1024)


def build_saving(settings: Settings, store: SqlStore, observer: Observer) -> GroupCommit:
    """Return the group commit of running answers."""
    return GroupCommit(
        store.commit_writes,
        time.monotonic,
        observer,
        times=CommitTimes(max_delay_s=settings.save_delay_s),
    )


def build_files(settings: Settings, store: SqlStore) -> Files:
    """Return the files of accounts, whose contents are in a folder of the data directory."""
    owner_mb = settings.user_files_mb
    rules = FileRules(
        max_bytes=settings.max_file_mb * MB,
        per_message=settings.files_per_message,
        owner_bytes=None if owner_mb is None else owner_mb * MB,
        upload_s=settings.upload_hours * 3600,
        max_chars=settings.file_chars,
    )
    return Files(store.files, contents_of(settings), rules, time.time)


def contents_of(settings: Settings) -> ContentStore:
    """Return the storage of the contents of files."""
    return FolderContents(settings.data_dir / "files")


def database_url(settings: Settings) -> str:
    """Return the URL of the database with the conversations."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{settings.data_dir / 'wireside.db'}"


def cookie_secret(data_dir: Path) -> str:
    """Return the key that signs cookies.

    The key is created at the first start, in a file that only the server's user can read.

    Raises:
        NotConfigured: the file can't be written.
    """
    file = data_dir / "cookie.key"
    try:
        if file.exists() and (key := file.read_text()):  # a full disk may have left an empty file
            return key
        data_dir.mkdir(parents=True, exist_ok=True)
        key, new = secrets.token_urlsafe(32), file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(key)
        new.replace(file)
    except OSError as error:
        raise NotConfigured(
            f"The key that signs cookies can't be kept in {data_dir}: {error.strerror}."
            " Set WIRESIDE_DATA_DIR to a folder that can be written, with some room."
        ) from error
    return key
