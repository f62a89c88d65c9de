"""The interface of storage for folders of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wireside.records import Folder


class FolderStore(Protocol):
    """Storage of folders.

    Unknown ids, and those of another owner, are not an error: nothing is returned or changed. Every
    method raises ``StoreError`` when the store is unavailable; nothing is changed then.
    """

    async def list_folders(self, owner: str) -> Sequence[Folder]:
        """Return the folders of ``owner``, in any order."""
        ...

    async def add_folder(self, folder: Folder, *, max_count: int) -> bool:
        """Add a folder; False and no change if its owner would have more than ``max_count``."""
        ...

    async def rename_folder(self, folder_id: str, name: str, *, owner: str) -> bool:
        """Change the name of a folder; False if there is none."""
        ...

    async def remove_folder(self, folder_id: str, *, owner: str) -> bool:
        """Remove a folder and take its conversations out of it; False if there is none.

        The version of each of these conversations is raised.
        """
        ...
