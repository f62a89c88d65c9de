"""The interfaces of storage for files: their contents, and what is known about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from wireside.records import StoredFile


class ContentWriter(Protocol):
    """Writes one content. Every method raises ``StoreError`` when the storage is unavailable."""

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        ...

    def commit(self) -> str:
        """Keep the content, safe from a power failure, and return its SHA-256 in hexadecimal."""
        ...

    def discard(self) -> None:
        """Drop what was written, unless it was kept by ``commit``. Never raises."""
        ...


class ContentStore(Protocol):
    """Storage of contents under their SHA-256, each kept once.

    The methods block: async code calls them in a worker thread. Every method raises ``StoreError``
    when the storage is unavailable.
    """

    def new_writer(self) -> ContentWriter:
        """Begin a content."""
        ...

    def size_bytes(self, sha256: str) -> int | None:
        """Return the size of a content in bytes; None if there is none of that hash."""
        ...

    def read_content(self, sha256: str) -> Iterator[bytes]:
        """Iterate over a content in pieces of at most 256 KiB.

        Raises:
            NotFound: there is no content of that hash.
        """
        ...

    def remove_content(self, sha256: str) -> None:
        """Remove a content; does nothing if there is none of that hash."""
        ...

    def all_hashes(self) -> Iterator[str]:
        """Iterate over the hashes of all contents, in any order."""
        ...

    def remove_unfinished(self) -> None:
        """Remove unfinished contents that another process has left."""
        ...


class FileStore(Protocol):
    """Storage of what is known about files.

    Unknown ids are not an error. Every method raises ``StoreError`` when the store is unavailable.
    Times are seconds since 1970.
    """

    async def add_file_record(self, file: StoredFile, *, max_owner_bytes: int | None) -> bool:
        """Add a file. Returns False if its owner's files would take more than that together."""
        ...

    async def find_files(
        self, owner: str, file_ids: Sequence[str], *, conversation_id: str | None = None
    ) -> Sequence[StoredFile]:
        """Return those of the files that exist and belong to ``owner``, in any order.

        With ``conversation_id``, also those to which turns of that conversation refer.
        """
        ...

    async def conversations_using(self, file_id: str) -> Sequence[str]:
        """Return the ids of the conversations whose turns refer to a file."""
        ...

    async def keep_text(self, file_id: str, text: str) -> None:
        """Store the text that was extracted from a file."""
        ...

    async def size_of_all(self, owner: str) -> int:
        """Return the number of bytes that the files of ``owner`` take together."""
        ...

    async def remove_file(self, owner: str, file_id: str) -> bool:
        """Remove a file of ``owner`` that no turn refers to. Returns False if a turn does."""
        ...

    async def remove_unused(self, uploaded_before: float) -> Sequence[str]:
        """Remove up to 500 files that no turn refers to, and return their hashes.

        Files that a turn has referred to are removed at once, others if they were uploaded before
        that time.
        """
        ...

    async def unknown_hashes(self, hashes: Sequence[str]) -> Sequence[str]:
        """Return those of the hashes that no file has."""
        ...
