"""The sidebar: lists, searches, opens, renames, pins, archives and deletes conversations.

The component holds the loaded conversations and groups them; the server sends pages of the list by
cursor, single changes and search results.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from inspect import isawaitable
from typing import Any, TypeGuard

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.invisible_text import seen
from wireside.records import ConversationInfo, Hit
from wireside_ui.components.kit import KIT

MAX_ID_CHARS = 64
MAX_TITLE_CHARS = 200
MAX_QUERY_CHARS = 200
MAX_CURSOR_CHARS = 200
MAX_AT_ONCE = 500
"""Maximum number of conversations changed by one action."""

MAX_HIT_CURSOR = 2**62

Done = Awaitable[None] | None
"""Return type of a callback, which may be a coroutine function or a plain function."""


class Sidebar(Element, component="wireside_sidebar.js", esm=KIT | {"wireside-sidebar": "modules"}):
    """The sidebar element. Validates all events from the browser and ignores malformed ones."""

    def __init__(
        self,
        *,
        base: str,
        words: Mapping[str, str],
        current: str,
        items: Sequence[ConversationInfo],
        cursor: str | None,
        live: Collection[str],
        asking: Collection[str],
        on_need: Callable[[str | None, bool], Done],
        on_search: Callable[[str, int | None], Done],
        on_rename: Callable[[str, str], Done],
        on_pin: Callable[[Sequence[str], bool], Done],
        on_archive: Callable[[Sequence[str], bool], Done],
        on_delete: Callable[[Sequence[str]], Done],
        on_restore: Callable[[Sequence[str]], Done],
        account: str = "",
        has_account_pages: bool = True,
        sharing: str = "off",
        is_reader: bool = False,
        pages: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Create the sidebar.

        ``current`` is the id of the conversation that the page shows, "" for a new one; ``items``
        is the first page of the list, ``live`` the ids of conversations with an answer in progress,
        ``asking`` those of conversations that wait for an answer of the user.
        ``on_need(cursor, archived)`` must be answered by ``show`` and ``on_search(query, cursor)``
        by ``show_hits``, or either by ``fail``. ``account`` is the name of the signed-in user, if
        any; ``has_account_pages`` links it to the settings. ``sharing`` is the setting for who may
        open links to a conversation. ``is_reader`` hides every action that would change a
        conversation. ``pages`` are titles and addresses of pages next to the chat.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["begin"] = {
            "items": [_item(info) for info in items],
            "cursor": cursor,
            "current": current,
            "live": list(live),
            "asking": list(asking),
        }
        href = f"{base}/settings" if has_account_pages else None
        self._props["account"] = {"name": account, "href": href} if account else None
        self._props["sharing"] = "" if sharing == "off" else sharing
        self._props["is-reader"] = is_reader
        self._props["pages"] = [list(page) for page in pages]
        self._on_need = on_need
        self._on_search = on_search
        self._on_rename = on_rename
        self._on_pin = on_pin
        self._on_archive = on_archive
        self._on_delete = on_delete
        self._on_restore = on_restore
        self.on("need", self._need)
        self.on("search", self._search)
        self.on("rename", self._rename)
        self.on("pin", self._pin)
        self.on("archive", self._archive)
        self.on("delete", self._delete)
        self.on("restore", self._restore)

    def show(
        self,
        items: Sequence[ConversationInfo],
        cursor: str | None,
        *,
        archived: bool,
        fresh: bool,
    ) -> None:
        """Show a page of the list or of the archive; ``fresh`` marks the first page."""
        self.run_method("show", [_item(info) for info in items], cursor, archived, fresh)

    def show_hits(self, query: str, hits: Sequence[Hit], *, fresh: bool) -> None:
        """Show a page of search results for ``query``; an empty page ends the list."""
        self.run_method("showHits", query, [_hit(hit) for hit in hits], fresh)

    def fail(self, sentence: str) -> None:
        """Show why the list or the search results can't be read, with a way to retry."""
        self.run_method("fail", sentence)

    def put(self, info: ConversationInfo) -> None:
        """Insert or update a conversation at its place in the list."""
        self.run_method("put", _item(info))

    def take_out(self, conversation_ids: Sequence[str]) -> None:
        """Remove conversations from the list."""
        self.run_method("takeOut", list(conversation_ids))

    def set_live(self, conversation_ids: Collection[str]) -> None:
        """Mark the conversations that have an answer in progress."""
        self.run_method("setLive", list(conversation_ids))

    def set_asking(self, conversation_ids: Collection[str]) -> None:
        """Mark the conversations that wait for an answer of the user."""
        self.run_method("setAsking", list(conversation_ids))

    def set_current(self, conversation_id: str) -> None:
        """Mark the conversation that the page shows."""
        self.run_method("setCurrent", conversation_id)

    # ---- browser events ----------------------------------------------------------------------

    async def _need(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        cursor, archived = args.get("cursor"), args.get("archived")
        if (cursor is None or _is_text(cursor, MAX_CURSOR_CHARS)) and isinstance(archived, bool):
            await _settled(self._on_need(cursor, archived))

    async def _search(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        query, cursor = args.get("query"), args.get("cursor")
        if _is_text(query, MAX_QUERY_CHARS) and (cursor is None or _is_hit_cursor(cursor)):
            await _settled(self._on_search(query, cursor))

    async def _rename(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        conversation_id, title = args.get("id"), args.get("title")
        if _is_text(conversation_id, MAX_ID_CHARS) and _is_text(title, MAX_TITLE_CHARS):
            await _settled(self._on_rename(conversation_id, title))

    async def _pin(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        if (ids := _ids(args)) and isinstance(args.get("on"), bool):
            await _settled(self._on_pin(ids, args["on"]))

    async def _archive(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        if (ids := _ids(args)) and isinstance(args.get("on"), bool):
            await _settled(self._on_archive(ids, args["on"]))

    async def _delete(self, event: GenericEventArguments) -> None:
        if ids := _ids(_dict(event.args)):
            await _settled(self._on_delete(ids))

    async def _restore(self, event: GenericEventArguments) -> None:
        if ids := _ids(_dict(event.args)):
            await _settled(self._on_restore(ids))


async def _settled(result: Done) -> None:
    if isawaitable(result):
        await result


def _item(info: ConversationInfo) -> dict[str, Any]:
    """Return the JSON of a list entry.

    ``at`` is the time of the last update, ``pin`` the time of pinning or 0 if it is not pinned;
    both in seconds since 1970.
    """
    return {
        "id": info.id,
        "title": seen(info.title),
        "at": info.updated_at,
        "pin": info.pinned_at or 0,
        "archived": info.archived_at is not None,
    }


def _hit(hit: Hit) -> dict[str, Any]:
    """Return the JSON of a search result; ``snippet`` is a list of pieces, as in ``Hit``."""
    return {
        "id": hit.conversation_id,
        "title": seen(hit.title),
        "turn": hit.turn_id,
        "kind": hit.kind,
        "snippet": [seen(piece) for piece in hit.snippet],
        "cursor": hit.cursor,
    }


def _dict(args: Any) -> dict[str, Any]:
    return args if isinstance(args, dict) else {}


def _is_text(value: Any, max_chars: int) -> TypeGuard[str]:
    """Return whether a value is text that the store accepts: no NUL, no lone surrogates."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= max_chars
        and not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)
    )


def _is_hit_cursor(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MAX_HIT_CURSOR


def _ids(args: dict[str, Any]) -> list[str]:
    ids = args.get("ids")
    if not isinstance(ids, list) or len(ids) > MAX_AT_ONCE:
        return []
    return ids if all(_is_text(name, MAX_ID_CHARS) for name in ids) else []
