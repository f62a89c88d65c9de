"""All conversations at the left: found, opened, renamed, pinned, put away, deleted.

The component keeps what is loaded and shows it in its groups; the server gives pages of the list by
key, single changes, and what a search finds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from inspect import isawaitable
from typing import Any, TypeGuard

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.invisible_text import seen
from wireside.records import ConversationInfo, Hit

MAX_ID_CHARS = 64
MAX_TITLE_CHARS = 200
MAX_QUERY_CHARS = 200
MAX_CURSOR_CHARS = 200
MAX_AT_ONCE = 500
"""Conversations that are changed by one action."""

MAX_HIT_CURSOR = 2**62

Done = Awaitable[None] | None
"""What a callback returns, which may be a coroutine function or a plain one."""


class Sidebar(Element, component="wireside_sidebar.js", esm={"wireside-kit": "kit"}):
    """Whatever comes from the browser is looked at first; what makes no sense is passed over."""

    def __init__(
        self,
        *,
        base: str,
        words: Mapping[str, str],
        current: str,
        items: Sequence[ConversationInfo],
        cursor: str | None,
        live: Collection[str],
        on_need: Callable[[str | None, bool], Done],
        on_search: Callable[[str, int | None], Done],
        on_rename: Callable[[str, str], Done],
        on_pin: Callable[[Sequence[str], bool], Done],
        on_archive: Callable[[Sequence[str], bool], Done],
        on_delete: Callable[[Sequence[str]], Done],
        on_restore: Callable[[Sequence[str]], Done],
        account: str = "",
        sharing: str = "off",
        is_reader: bool = False,
    ) -> None:
        """``current`` is the conversation that the page shows, "" for a new one; ``items`` is the
        first page of the list. ``on_need(cursor, archived)`` is answered by ``show``,
        ``on_search(query, cursor)`` by ``show_hits``; ``fail`` answers both. ``account`` is who is
        signed in, if anybody is; ``sharing`` who may open links to a conversation (settings);
        ``is_reader`` is offered nothing that would change one.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["begin"] = {
            "items": [_item(info) for info in items],
            "cursor": cursor,
            "current": current,
            "live": list(live),
        }
        self._props["account"] = {"name": account, "href": f"{base}/settings"} if account else None
        self._props["sharing"] = "" if sharing == "off" else sharing
        self._props["is-reader"] = is_reader
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
        """Show a page of the list, or of those that are archived; ``fresh``: the first one."""
        self.run_method("show", [_item(info) for info in items], cursor, archived, fresh)

    def show_hits(self, query: str, hits: Sequence[Hit], *, fresh: bool) -> None:
        """Show what was found for ``query``; nothing more when there are no more."""
        self.run_method("showHits", query, [_hit(hit) for hit in hits], fresh)

    def fail(self, sentence: str) -> None:
        """Say why the list, or what was searched for, can't be read; a person can ask again."""
        self.run_method("fail", sentence)

    def put(self, info: ConversationInfo) -> None:
        """Show a conversation that is new, or has changed, at its place."""
        self.run_method("put", _item(info))

    def take_out(self, conversation_ids: Sequence[str]) -> None:
        """Show them no more."""
        self.run_method("takeOut", list(conversation_ids))

    def set_live(self, conversation_ids: Collection[str]) -> None:
        """Mark those in which an answer is being made."""
        self.run_method("setLive", list(conversation_ids))

    def set_current(self, conversation_id: str) -> None:
        """Mark the one that the page shows."""
        self.run_method("setCurrent", conversation_id)

    # ---- what a person does ------------------------------------------------------------------

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
    """Return what the browser keeps of a conversation: ``at`` is when it was gone on with, ``pin``
    when it was pinned, 0 if it is not; both in seconds since 1970.
    """
    return {
        "id": info.id,
        "title": seen(info.title),
        "at": info.updated_at,
        "pin": info.pinned_at or 0,
        "archived": info.archived_at is not None,
    }


def _hit(hit: Hit) -> dict[str, Any]:
    """Return what the browser keeps of a hit: ``snippet`` is in pieces, as in ``Hit``."""
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
    """Whether it is text that a store can hold: half a surrogate pair, or NUL, is none."""
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
