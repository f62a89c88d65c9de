"""Keeps contents in a bucket of an S3-compatible service, each as an object named by its hash.

A content is collected in a temporary file without a name, which ends with the process, and sent
when its hash is known: an object with the name of a hash is always complete.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

import structlog

from wireside.errors import NotConfigured, NotFound, StoreError, missing_extra
from wireside.files.folder import PIECE_BYTES

if TYPE_CHECKING:
    from obstore.store import S3Store

_log = structlog.get_logger(__name__)

WHOLE_BYTES: Final = 64 * 1024 * 1024
"""Maximum size of a content that is sent in one request; a larger one is sent in parts."""

MEMORY_BYTES: Final = 1024 * 1024
"""Number of bytes of a content that are collected in memory."""

RETRIES: Final = 3
RETRY_S: Final = 20.0
"""Time in seconds for which a failed request is repeated."""

CONNECT_S: Final = 5.0
REQUEST_S: Final = 60.0
"""Time limit of a request in seconds."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENDPOINT = re.compile(r"https?://[^\s/?#@]+/?")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketAddress:
    """Where a bucket is. Without keys, those of the environment (``AWS_…``) or machine are used.

    Attributes:
        url: ``s3://bucket/prefix``.
        endpoint: address of the service, "" for that of AWS.
        region: its region.
    """

    url: str
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = None


class BucketContents:
    """Implements ``ContentStore``, which documents the methods."""

    def __init__(self, address: BucketAddress) -> None:
        """Prepare the access; nothing is requested yet.

        Raises:
            NotConfigured: the address is none, or the extra ``s3`` is not installed.
        """
        self._store = _new_store(address)

    def new_writer(self) -> BucketWriter:
        """See ``ContentStore``."""
        return BucketWriter(self._store)

    def size_bytes(self, sha256: str) -> int | None:
        """See ``ContentStore``."""
        import obstore

        with _as_store_errors():
            try:
                return int(obstore.head(self._store, _key_of(sha256))["size"])
            except FileNotFoundError:
                return None

    def read_content(self, sha256: str) -> Iterator[bytes]:
        """See ``ContentStore``."""
        import obstore

        with _as_store_errors():
            try:
                found = obstore.get(self._store, _key_of(sha256))
            except FileNotFoundError:
                raise NotFound("The content of this file is not there any longer.") from None
        return _pieces_of(found.stream(min_chunk_size=PIECE_BYTES))

    def remove_content(self, sha256: str) -> None:
        """See ``ContentStore``."""
        import obstore

        with _as_store_errors(), suppress(FileNotFoundError):
            obstore.delete(self._store, _key_of(sha256))

    def all_hashes(self) -> Iterator[str]:
        """See ``ContentStore``."""
        import obstore

        with _as_store_errors():
            for objects in obstore.list(self._store):
                for one in objects:
                    name = one["path"].rpartition("/")[2]
                    if _SHA256.fullmatch(name) and one["path"] == _key_of(name):
                        yield name

    def remove_unfinished(self) -> None:
        """See ``ContentStore``. The operating system has removed unfinished contents."""


class BucketWriter:
    """Implements ``ContentWriter``, which documents the methods."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._hash = hashlib.sha256()
        self._size = 0
        file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 (`discard` closes it)
        self._file = cast("BinaryIO", file)

    def write(self, data: bytes) -> None:
        """See ``ContentWriter``."""
        with _as_store_errors():
            self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def commit(self) -> str:
        """See ``ContentWriter``."""
        import obstore

        sha256 = self._hash.hexdigest()
        with _as_store_errors():
            self._file.seek(0)
            in_parts = self._size > WHOLE_BYTES
            content = self._file if in_parts else self._file.read()
            obstore.put(self._store, _key_of(sha256), content, use_multipart=in_parts)
        return sha256

    def discard(self) -> None:
        """See ``ContentWriter``."""
        with suppress(OSError):
            self._file.close()


def _new_store(address: BucketAddress) -> S3Store:
    """Return the access to a bucket. Raises ``NotConfigured``."""
    bucket, prefix = _bucket_and_prefix(address.url)
    if address.endpoint and not _ENDPOINT.fullmatch(address.endpoint):
        raise NotConfigured(
            "WIRESIDE_S3_ENDPOINT is not the address of a service, such as https://s3.example.org."
        )
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise missing_extra("WIRESIDE_FILES_URL", "s3") from error
    options: dict[str, Any] = {
        "endpoint": address.endpoint,
        "access_key_id": address.access_key,
        "secret_access_key": address.secret_key,
    }
    return S3Store(
        bucket,
        prefix=prefix or None,
        region=address.region,
        client_options={
            "allow_http": address.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=REQUEST_S),
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)},
        **{name: value for name, value in options.items() if value},
    )


def _bucket_and_prefix(address: str) -> tuple[str, str]:
    """Return the parts of ``s3://bucket/prefix``. Raises ``NotConfigured``."""
    url = urlsplit(address)
    if url.scheme != "s3" or not _BUCKET.fullmatch(url.netloc) or url.query or url.fragment:
        raise NotConfigured(
            "WIRESIDE_FILES_URL is not the address of a bucket, such as s3://bucket/prefix."
        )
    return url.netloc, url.path.strip("/")


def _key_of(sha256: str) -> str:
    """Return the name of a content's object. Raises ``NotFound`` for what is not a hash."""
    if not _SHA256.fullmatch(sha256):
        raise NotFound("There is no such file.")
    return f"{sha256[:2]}/{sha256}"


def _pieces_of(chunks: Any) -> Iterator[bytes]:
    with _as_store_errors():
        for chunk in chunks:
            data = bytes(chunk)
            for at in range(0, len(data), PIECE_BYTES):
                yield data[at : at + PIECE_BYTES]


@contextmanager
def _as_store_errors() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        # the first line: the others repeat it, and the request
        _log.warning("bucket_unavailable", error=str(error).partition("\n")[0][:300])
        raise StoreError("Files can't be kept at the moment. Please try again.") from error
