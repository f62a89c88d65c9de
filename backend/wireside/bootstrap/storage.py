"""Builds the store, the files and the group commit, and keeps the key that signs cookies."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from wireside.auth.cookies import CookieKey
from wireside.errors import NotConfigured
from wireside.files.bucket import BucketAddress, BucketContents
from wireside.files.folder import FolderContents
from wireside.files.service import MB, FileRules, Files
from wireside.generation.commits import CommitTimes, GroupCommit
from wireside.ports.files import ContentStore
from wireside.ports.observer import Observer
from wireside.ports.transcription import Transcriber
from wireside.records import Write, WriteResult
from wireside.replicas.membership import Membership
from wireside.settings.model import Settings
from wireside.store.store import SqlStore


def build_store(settings: Settings) -> SqlStore:
    """Return the store of conversations, accounts and figures; it is not open yet.

    Raises:
        NotConfigured: the settings can't be used.
    """
    if settings.replicas and settings.replica_times is not None:
        raise NotConfigured(settings.replica_times)
    return SqlStore(
        database_url(settings),
        ballast_bytes=settings.ballast_mb * 1024 * 1024,
        is_shared=settings.replicas,
        replica_name=settings.effective_replica_name if settings.replicas else None,
        migration_copies=settings.migration_copies,
    )


def build_saving(
    settings: Settings, store: SqlStore, observer: Observer, membership: Membership | None = None
) -> GroupCommit:
    """Return the group commit of running answers; it is strict for one of several servers."""
    times = CommitTimes(max_delay_s=settings.save_delay_s)
    if membership is None:
        return GroupCommit(store.commit_writes, time.monotonic, observer, times=times)

    async def commit_as_replica(writes: Sequence[Write]) -> Sequence[WriteResult]:
        return await store.commit_writes(writes, replica=membership.replica_id)

    return GroupCommit(
        commit_as_replica,
        time.monotonic,
        observer,
        times=times,
        is_strict=True,
        on_fenced=membership.fence,
    )


def build_files(
    settings: Settings, store: SqlStore, transcriber: Transcriber | None = None
) -> Files:
    """Return the files of accounts. ``transcriber`` transcribes audio files, None: nothing does."""
    owner_mb = settings.user_files_mb
    rules = FileRules(
        max_bytes=settings.max_file_mb * MB,
        per_message=settings.files_per_message,
        owner_bytes=None if owner_mb is None else owner_mb * MB,
        upload_s=settings.upload_hours * 3600,
        max_chars=settings.file_chars,
        recording_s=settings.recording_s,
    )
    return Files(store.files, contents_of(settings), rules, time.time, transcriber=transcriber)


def contents_of(settings: Settings) -> ContentStore:
    """Return the storage of the contents of files. Raises ``NotConfigured``."""
    if settings.files_url is None:
        return FolderContents(settings.data_dir / "files")
    access, secret = settings.s3_access_key, settings.s3_secret_key
    return BucketContents(
        BucketAddress(
            url=settings.files_url,
            endpoint=settings.s3_endpoint,
            region=settings.s3_region,
            access_key=access.get_secret_value() if access else None,
            secret_key=secret.get_secret_value() if secret else None,
        )
    )


def database_url(settings: Settings) -> str:
    """Return the URL of the database with the conversations."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{settings.data_dir / 'wireside.db'}"


def build_cookie_key(settings: Settings) -> CookieKey:
    """Return the key that signs cookies; that of several servers is read from their database.

    Raises:
        NotConfigured: the key's file can't be written.
    """
    if settings.cookie_key is not None:
        return CookieKey(settings.cookie_key.get_secret_value())
    return CookieKey() if settings.replicas else CookieKey(cookie_secret(settings.data_dir))


def cookie_secret(data_dir: Path) -> str:
    """Return the key that signs the cookies of a single server.

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
