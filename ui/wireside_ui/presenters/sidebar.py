"""Presenter of the sidebar: connects the library of conversations with the component."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from wireside.chat.library import Library
from wireside.chat.watchers import Answering, Gone, ListChange, Listed
from wireside.errors import BadMessage, NotFound, StoreError, WiresideError
from wireside.records import ConversationInfo, Listing
from wireside_ui.components.sidebar import Sidebar
from wireside_ui.i18n.catalogue import sentence_in, words_in


class SidebarPresenter:
    """Keeps the sidebar of one page in sync with the library."""

    def __init__(
        self,
        library: Library,
        base: str,
        language: str,
        *,
        wake: Callable[[], None],
        tell: Callable[[str], None],
        on_listed: Callable[[str], None] = lambda _: None,
        on_undone: Callable[[str], None] = lambda _: None,
        sharing: str = "off",
    ) -> None:
        """Create the presenter.

        Args:
            library: the caller's conversations.
            base: path that the application is mounted at, without a trailing slash.
            language: language of the interface.
            wake: called when the page should call ``update``.
            tell: shows an error message to the user.
            on_listed: called with the id of each conversation that was added to the list or changed
                in it.
            on_undone: called with the id of each conversation whose deletion was undone here.
            sharing: the setting for who may open links to a conversation.
        """
        self._on_listed = on_listed
        self._on_undone = on_undone
        self._library = library
        self._tell = tell
        self._sharing = sharing
        self._base = base
        self._language = language
        self._wake = wake
        self._changed: dict[str, ConversationInfo | None] = {}
        self._is_live_new = False
        self._unwatch: Callable[[], object] = lambda: None

    async def first_page(self) -> Listing:
        """Return the first page of the list; an empty one if the store can't be read."""
        try:
            return await self._library.page()
        except StoreError:
            return Listing((), None)

    def build(self, listing: Listing, *, current: str) -> None:
        """Create the sidebar element in the current NiceGUI slot."""
        is_reader = not self._library.caller.may("chat")
        self._sidebar = Sidebar(
            base=self._base,
            words=words_in(self._language),
            current=current,
            items=listing.conversations,
            cursor=listing.cursor,
            live=self._library.answering,
            on_need=self._give,
            on_search=self._search,
            on_rename=self._rename,
            on_pin=self._pin,
            on_archive=self._archive,
            on_delete=self._delete,
            on_restore=self._restore,
            account=self._library.caller.name,
            sharing="off" if is_reader else self._sharing,
            is_reader=is_reader,
        )

    def begin(self) -> None:
        """Start watching the library."""
        self._unwatch = self._library.watch(self._on_change)

    def close(self) -> None:
        """Stop watching the library."""
        self._unwatch()

    def set_current(self, conversation_id: str) -> None:
        """Mark the conversation that the page shows, "" for a new one."""
        self._sidebar.set_current(conversation_id)

    def update(self) -> None:
        """Show the changes since the last call."""
        changed, self._changed = self._changed, {}
        for conversation_id, info in changed.items():
            if info is None:
                self._sidebar.take_out([conversation_id])
            else:
                self._sidebar.put(info)
                self._on_listed(conversation_id)
        if self._is_live_new:
            self._is_live_new = False
            self._sidebar.set_live(self._library.answering)

    def _on_change(self, change: ListChange) -> None:
        match change:
            case Listed():
                self._changed[change.info.id] = change.info
            case Gone():
                self._changed.update(dict.fromkeys(change.ids))
            case Answering():
                self._is_live_new = True
        self._wake()

    # ---- user actions ------------------------------------------------------------------------

    async def _give(self, cursor: str | None, archived: bool) -> None:
        try:
            listing = await self._library.page(archived=archived, cursor=cursor)
        except WiresideError as error:
            self._sidebar.fail(sentence_in(self._language, error))
        else:
            self._sidebar.show(
                listing.conversations, listing.cursor, archived=archived, fresh=cursor is None
            )

    async def _search(self, query: str, cursor: int | None) -> None:
        try:
            hits = await self._library.search(query, cursor=cursor)
        except WiresideError as error:
            self._sidebar.fail(sentence_in(self._language, error))
        else:
            self._sidebar.show_hits(query, hits, fresh=cursor is None)

    async def _rename(self, conversation_id: str, title: str) -> None:
        await self._do([conversation_id], lambda: self._library.rename(conversation_id, title))

    async def _pin(self, ids: Sequence[str], is_pinned: bool) -> None:
        for one in ids:
            await self._do([one], partial(self._library.pin, one, is_pinned))

    async def _archive(self, ids: Sequence[str], is_archived: bool) -> None:
        for one in ids:
            await self._do([one], partial(self._library.archive, one, is_archived))

    async def _delete(self, ids: Sequence[str]) -> None:
        await self._do(ids, lambda: self._library.delete(ids))

    async def _restore(self, ids: Sequence[str]) -> None:
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
            self._tell(sentence_in(self._language, error))
            with suppress(StoreError):
                for one in ids:
                    if conversation := await self._library.open(one):
                        self._sidebar.put(conversation.info)
