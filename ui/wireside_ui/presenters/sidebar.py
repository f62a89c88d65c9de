"""Presenter of the sidebar: keeps the list of conversations up to date and changes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from wireside.chat.library import Library
from wireside.chat.watchers import (
    Answering,
    AskingChanged,
    FoldersChanged,
    Gone,
    ListChange,
    Listed,
    SharedChanged,
)
from wireside.errors import BadMessage, NotFound, StoreError, WiresideError
from wireside.records import ConversationInfo, Folder, Listing
from wireside_ui.i18n.catalogue import sentence_in
from wireside_ui.presenters.views import ListScope, Search, SidebarView

_FOLDERS: dict[str, str | None] = {"list": "", "archive": None}
"""Which folder a list shows, by its kind; that of a folder shows its own."""


class SidebarPresenter:
    """Keeps the sidebar of one page in sync with the library. Set ``view`` first.

    The arguments of all methods for actions are untrusted.
    """

    view: SidebarView

    def __init__(
        self,
        library: Library,
        language: str,
        *,
        wake: Callable[[], None],
        tell: Callable[[WiresideError], None],
        on_listed: Callable[[str], None] = lambda _: None,
        on_undone: Callable[[str], None] = lambda _: None,
        on_copied: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create the presenter.

        Args:
            library: the caller's conversations.
            language: language of the interface.
            wake: called when the page should call ``update``.
            tell: shows an error to the user.
            on_listed: called with the id of each conversation that was added to the list or changed
                in it.
            on_undone: called with the id of each conversation whose deletion was undone here.
            on_copied: called with the id of each copy that was made here.
        """
        self._on_copied = on_copied
        self._on_listed = on_listed
        self._on_undone = on_undone
        self._library = library
        self._tell = tell
        self._language = language
        self._wake = wake
        self._changed: dict[str, ConversationInfo | None] = {}
        self._is_live_new = False
        self._is_asking_new = False
        self._are_folders_new = False
        self._is_shared_new = False
        self.asking: frozenset[str] = frozenset()
        """Ids of the conversations that wait for an answer of the user."""
        self._unwatch: Callable[[], object] = lambda: None

    async def first_page(self) -> Listing:
        """Return the first page of the list; an empty one if the store can't be read."""
        try:
            return await self._library.list_page(folder="")
        except StoreError:
            return Listing((), None)

    async def read_folders(self) -> list[Folder]:
        """Read the folders; none if the store can't be read."""
        try:
            return await self._library.folders.list_folders()
        except StoreError:
            return []

    async def read_shared(self) -> bool:
        """Return whether others share conversations; False if the store can't be read."""
        try:
            return bool((await self._library.list_shared(limit=1)).conversations)
        except StoreError:
            return False

    async def read_asking(self) -> frozenset[str]:
        """Read ``asking``, which stays as it is if the store can't be read."""
        with suppress(StoreError):
            self.asking = await self._library.asking()
        return self.asking

    def begin(self) -> None:
        """Start watching the library."""
        self._unwatch = self._library.watch(self._on_change)

    def close(self) -> None:
        """Stop watching the library."""
        self._unwatch()

    def set_current(self, conversation_id: str) -> None:
        """Mark the conversation that the page shows, "" for a new one."""
        self.view.set_current(conversation_id)

    async def update(self) -> bool:
        """Show the changes since the last call; return whether ``asking`` is one of them."""
        changed, self._changed = self._changed, {}
        for conversation_id, info in changed.items():
            if info is None:
                self.view.take_out([conversation_id])
            else:
                self.view.put(info)
                self._on_listed(conversation_id)
        if self._is_live_new:
            self._is_live_new = False
            self.view.set_live(self._library.answering)
        if self._are_folders_new:
            self._are_folders_new = False
            with suppress(StoreError):
                self.view.set_folders(await self._library.folders.list_folders())
        if self._is_shared_new:
            self._is_shared_new = False
            with suppress(StoreError):
                self.view.set_shared(bool((await self._library.list_shared(limit=1)).conversations))
        if not self._is_asking_new:
            return False
        self._is_asking_new = False
        before = self.asking
        if await self.read_asking() == before:
            return False
        self.view.set_asking(self.asking)
        return True

    def _on_change(self, change: ListChange) -> None:
        match change:
            case Listed():
                self._changed[change.info.id] = change.info
            case Gone():
                self._changed.update(dict.fromkeys(change.ids))
                self._is_asking_new |= not self.asking.isdisjoint(change.ids)
            case Answering():
                self._is_live_new = True
            case AskingChanged():
                self._is_asking_new = True
            case FoldersChanged():
                self._are_folders_new = True
            case SharedChanged():
                self._is_shared_new = True
        self._wake()

    # ---- user actions ------------------------------------------------------------------------

    async def give_page(self, cursor: str | None, scope: ListScope) -> None:
        """Show a page of the list."""
        if scope.kind == "shared":
            return await self._give_shared(cursor)
        try:
            listing = await self._library.list_page(
                archived=scope.kind == "archive",
                folder=_FOLDERS.get(scope.kind, scope.of),
                cursor=cursor,
            )
        except WiresideError as error:
            self.view.fail(sentence_in(self._language, error))
        else:
            self.view.show(listing.conversations, listing.cursor, scope=scope, fresh=cursor is None)

    async def _give_shared(self, cursor: str | None) -> None:
        """Show a page of the conversations that others share with the user."""
        try:
            listing = await self._library.list_shared(cursor=cursor)
            owners = await self._library.members.names_of_owners(listing.conversations)
        except WiresideError as error:
            self.view.fail(sentence_in(self._language, error))
        else:
            self.view.show(
                listing.conversations,
                listing.cursor,
                scope=ListScope("shared"),
                fresh=cursor is None,
                owners=owners,
            )

    async def search(self, search: Search, cursor: int | None) -> None:
        """Show a page of search results."""
        try:
            hits = await self._library.search(search.query, filters=search.filters, cursor=cursor)
            owners = await self._library.members.names_of_owners(hits)
        except WiresideError as error:
            self.view.fail(sentence_in(self._language, error))
        else:
            self.view.show_hits(search, hits, fresh=cursor is None, owners=owners)

    async def rename(self, conversation_id: str, title: str) -> None:
        """Change the title of a conversation."""
        await self._do([conversation_id], lambda: self._library.rename(conversation_id, title))

    async def duplicate(self, conversation_id: str) -> None:
        """Copy a conversation and open the copy."""

        async def copy() -> None:
            self._on_copied((await self._library.duplicate(conversation_id)).id)

        await self._do((), copy)

    async def pin(self, ids: Sequence[str], is_pinned: bool) -> None:
        """Pin or unpin conversations."""
        for one in ids:
            await self._do([one], partial(self._library.pin, one, is_pinned))

    async def move(self, ids: Sequence[str], folder_id: str | None) -> None:
        """Put conversations into a folder; None: into none."""
        for one in ids:
            await self._do([one], partial(self._library.move, one, folder_id))

    async def tag(self, ids: Sequence[str], tag: str, is_set: bool) -> None:
        """Add a tag to conversations, or remove it."""
        for one in ids:
            await self._do([one], partial(self._library.set_tag, one, tag, is_set))

    async def archive(self, ids: Sequence[str], is_archived: bool) -> None:
        """Archive conversations or restore them from the archive."""
        for one in ids:
            await self._do([one], partial(self._library.archive, one, is_archived))

    async def delete(self, ids: Sequence[str]) -> None:
        """Delete conversations."""
        await self._do(ids, lambda: self._library.delete(ids))

    async def restore(self, ids: Sequence[str]) -> None:
        """Undo the deletion of conversations."""
        await self._do((), lambda: self._library.restore(ids))
        for conversation_id in ids:
            self._on_undone(conversation_id)

    async def _do(self, ids: Sequence[str], work: Callable[[], Awaitable[object]]) -> None:
        """Run an action that the browser already shows as done; revert the display if it fails."""
        try:
            await work()
        except (NotFound, BadMessage):
            pass  # another page was faster, or the event was forged
        except WiresideError as error:
            self._tell(error)
            with suppress(StoreError):
                for one in ids:
                    if conversation := await self._library.open_conversation(one):
                        self.view.put(conversation.info)
