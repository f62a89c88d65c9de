"""Folders of conversations. A conversation is in one folder or in none; folders are flat."""

from __future__ import annotations

from typing import Final

from wireside.chat.core import ChatCore
from wireside.chat.saved import clean_name
from wireside.errors import BadMessage, NameTaken, NotFound
from wireside.generation.runner import new_stream_name
from wireside.generation.tasks import runs_to_completion
from wireside.identity import Caller
from wireside.records import Folder

MAX_FOLDERS: Final = 200
"""For each user: the page shows all of them."""

NO_FOLDER: Final = "There is no such folder."


class Folders:
    """The folders of ``caller``.

    All methods raise ``StoreError`` when the store can't be read or written, and ``Forbidden`` when
    the caller lacks permission.
    """

    def __init__(self, core: ChatCore, caller: Caller) -> None:
        self.caller = caller
        self._store = core.parts.folders
        self._conversations = core.conversations
        self._tasks = core.parts.tasks
        self._now = core.parts.wall_clock

    async def list_folders(self) -> list[Folder]:
        """Return the caller's folders, ordered by name."""
        self.caller.require("read")
        return await self._all()

    async def find_folder(self, folder_id: str) -> Folder:
        """Return a folder of the caller. Raises ``NotFound``."""
        for folder in await self._all():
            if folder.id == folder_id:
                return folder
        raise NotFound(NO_FOLDER)

    @runs_to_completion
    async def create(self, name: str) -> Folder:
        """Create a folder, or return the one of that name, in any case.

        Raises:
            BadMessage: the name can't be used, or there are ``MAX_FOLDERS``.
        """
        self.caller.require("chat")
        clean = clean_name(name)
        return await self._named(clean) or await self._add(clean)

    async def find_or_create(self, name: str) -> Folder | None:
        """Return the folder of a name, which is created if needed; None if it can't be."""
        try:
            return await self.create(name)
        except BadMessage:
            return None

    @runs_to_completion
    async def rename(self, folder_id: str, name: str) -> Folder:
        """Rename a folder.

        Raises:
            NotFound: there is no such folder.
            BadMessage: the name can't be used.
            NameTaken: another folder has it.
        """
        self.caller.require("chat")
        folder = await self.find_folder(folder_id)
        clean = clean_name(name)
        known = await self._named(clean)
        if known is not None and known.id != folder_id:
            raise NameTaken("There is a folder of this name already.")
        owner = self.caller.user_id
        if not await self._store.rename_folder(folder_id, clean, owner=owner):
            raise NotFound(NO_FOLDER)
        self._conversations.announce_folders(owner)
        return Folder(id=folder.id, owner=owner, name=clean, created_at=folder.created_at)

    @runs_to_completion
    async def delete(self, folder_id: str) -> None:
        """Delete a folder; its conversations are in none then. Raises ``NotFound``."""
        self.caller.require("chat")
        owner = self.caller.user_id
        if not await self._store.remove_folder(folder_id, owner=owner):
            raise NotFound(NO_FOLDER)
        await self._conversations.forget_folder(owner, folder_id)
        self._conversations.announce_folders(owner)

    async def _add(self, name: str) -> Folder:
        folder = Folder(
            id=new_stream_name(),
            owner=self.caller.user_id,
            name=name,
            created_at=self._now(),
        )
        if not await self._store.add_folder(folder, max_count=MAX_FOLDERS):
            raise BadMessage(f"At most {MAX_FOLDERS} folders are possible.")
        self._conversations.announce_folders(folder.owner)
        return folder

    async def _named(self, name: str) -> Folder | None:
        wanted = name.casefold()
        return next((one for one in await self._all() if one.name.casefold() == wanted), None)

    async def _all(self) -> list[Folder]:
        found = await self._store.list_folders(self.caller.user_id)
        return sorted(found, key=lambda folder: (folder.name.casefold(), folder.id))
