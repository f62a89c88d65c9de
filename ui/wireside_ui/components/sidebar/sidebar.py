"""The sidebar: lists, searches, opens, renames, pins, archives and deletes conversations.

The component holds the loaded conversations and groups them; the server sends pages of the list by
cursor, single changes and search results.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from inspect import isawaitable
from typing import Any, TypeGuard, get_args

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.invisible_text import seen
from wireside.messages import Options
from wireside.records import MAX_TAG_CHARS, ConversationInfo, Folder, Hit, HitKind, SearchFilter
from wireside_ui.components.composer.composer import plain_options
from wireside_ui.components.kit import KIT
from wireside_ui.i18n.catalogue import NAMES
from wireside_ui.presenters.views import ListScope, Search

MAX_ID_CHARS = 64
MAX_TITLE_CHARS = 200
MAX_QUERY_CHARS = 200
MAX_CURSOR_CHARS = 200
MAX_AT_ONCE = 500
"""Maximum number of conversations changed by one action."""

MAX_HIT_CURSOR = 2**62
MAX_MODEL_CHARS = 200
MAX_TIME_S = 253_402_300_799
"""The last second of the year 9999, since 1970."""

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
        folders: Sequence[Folder] = (),
        has_shared: bool = False,
        on_need: Callable[[str | None, ListScope], Done],
        on_search: Callable[[Search, int | None], Done],
        on_rename: Callable[[str, str], Done],
        on_pin: Callable[[Sequence[str], bool], Done],
        on_archive: Callable[[Sequence[str], bool], Done],
        on_move: Callable[[Sequence[str], str | None], Done],
        on_tag: Callable[[Sequence[str], str, bool], Done],
        on_delete: Callable[[Sequence[str]], Done],
        on_restore: Callable[[Sequence[str]], Done],
        on_duplicate: Callable[[str], Done],
        on_preset: Callable[[str], Done],
        name: str = "",
        logo: str = "",
        account: str = "",
        has_account_pages: bool = True,
        can_sign_out: bool = False,
        is_admin: bool = False,
        sharing: str = "off",
        is_reader: bool = False,
        pages: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Create the sidebar.

        ``current`` is the id of the conversation that the page shows, "" for a new one; ``items``
        is the first page of the list, ``live`` the ids of conversations with an answer in progress,
        ``asking`` those of conversations that wait for an answer of the user, ``folders`` the
        folders of the user, ``has_shared`` whether others share conversations with the user.
        ``on_need(cursor, scope)`` must be answered by ``show`` and
        ``on_search(search, cursor)`` by ``show_hits``, or either by ``fail``. ``name`` and ``logo``
        are those of the product. ``account`` is the name of the signed-in user, if any. The menu at
        the bottom has a link to the account (``has_account_pages``), to the dashboard
        (``is_admin``) and a way to sign out (``can_sign_out``). ``sharing`` is the setting for who
        may open links to a conversation. ``is_reader`` hides every action that would change a
        conversation. ``pages`` are titles and addresses of pages next to the chat.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["begin"] = {
            "items": [item_json(info) for info in items],
            "cursor": cursor,
            "current": current,
            "live": list(live),
            "asking": list(asking),
            "folders": [_folder(folder) for folder in folders],
            "hasShared": has_shared,
        }
        self._props["name"] = name
        self._props["logo"] = logo
        self._props["account"] = account
        self._props["ways"] = {
            "account": f"{base}/settings" if account and has_account_pages else "",
            "administration": f"{base}/admin/providers" if is_admin else "",
            "dashboard": f"{base}/dashboard" if is_admin else "",
            "doctor": f"{base}/doctor",
            "signOut": f"{base}/logout" if can_sign_out else "",
        }
        self._props["languages"] = list(NAMES.items())
        self._props["sharing"] = "" if sharing == "off" else sharing
        self._props["is-reader"] = is_reader
        self._props["pages"] = [list(page) for page in pages]
        self._on_need = on_need
        self._on_search = on_search
        self._on_rename = on_rename
        self._on_pin = on_pin
        self._on_archive = on_archive
        self._on_move = on_move
        self._on_tag = on_tag
        self._on_delete = on_delete
        self._on_restore = on_restore
        self._on_duplicate = on_duplicate
        self._on_preset = on_preset
        self.on("need", self._need)
        self.on("search", self._search)
        self.on("rename", self._rename)
        self.on("pin", self._pin)
        self.on("archive", self._archive)
        self.on("move", self._move)
        self.on("tag", self._tag)
        self.on("delete", self._delete)
        self.on("restore", self._restore)
        self.on("duplicate", self._duplicate)
        self.on("preset", self._preset)

    def show(
        self,
        items: Sequence[ConversationInfo],
        cursor: str | None,
        *,
        scope: ListScope,
        fresh: bool,
        owners: Mapping[str, str] = {},
    ) -> None:
        """Show a page of the list; ``fresh`` marks the first page.

        ``owners`` has the names of other owners by account id.
        """
        sent = [item_json(info, owner=owners.get(info.owner, "")) for info in items]
        if scope.kind == "shared":  # an owner may have been removed meanwhile
            sent = [{**item, "owner": item["owner"] or "?"} for item in sent]
        self.run_method("show", sent, cursor, asdict(scope), fresh)

    def show_hits(
        self,
        search: Search,
        hits: Sequence[Hit],
        *,
        fresh: bool,
        owners: Mapping[str, str] = {},
    ) -> None:
        """Show a page of results of ``search``; an empty page ends the list.

        ``owners`` has the names of other owners by account id.
        """
        shown = [_hit(hit, owners.get(hit.owner, "")) for hit in hits]
        self.run_method("showHits", asdict(search), shown, fresh)

    def fail(self, sentence: str) -> None:
        """Show why the list or the search results can't be read, with a way to retry."""
        self.run_method("fail", sentence)

    def put(self, info: ConversationInfo) -> None:
        """Insert or update a conversation at its place in the list."""
        self.run_method("put", item_json(info))

    def take_out(self, conversation_ids: Sequence[str]) -> None:
        """Remove conversations from the list."""
        self.run_method("takeOut", list(conversation_ids))

    def set_live(self, conversation_ids: Collection[str]) -> None:
        """Mark the conversations that have an answer in progress."""
        self.run_method("setLive", list(conversation_ids))

    def set_folders(self, folders: Sequence[Folder]) -> None:
        """Show the folders."""
        self.run_method("setFolders", [_folder(folder) for folder in folders])

    def set_shared(self, has_shared: bool) -> None:
        """Show whether others share conversations with the user, which may have changed."""
        self.run_method("setShared", has_shared)

    def set_asking(self, conversation_ids: Collection[str]) -> None:
        """Mark the conversations that wait for an answer of the user."""
        self.run_method("setAsking", list(conversation_ids))

    def set_current(self, conversation_id: str) -> None:
        """Mark the conversation that the page shows."""
        self.run_method("setCurrent", conversation_id)

    def offer_preset(self, options: Options) -> None:
        """Open the form of a new preset with these options."""
        self.run_method("offerPreset", plain_options(options))

    # ---- browser events ----------------------------------------------------------------------

    async def _need(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        cursor, scope = args.get("cursor"), _scope(args.get("scope"))
        if (cursor is None or _is_text(cursor, MAX_CURSOR_CHARS)) and scope is not None:
            await _settled(self._on_need(cursor, scope))

    async def _search(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        search, cursor = _search(args), args.get("cursor")
        if search is not None and (cursor is None or _is_hit_cursor(cursor)):
            await _settled(self._on_search(search, cursor))

    async def _rename(self, event: GenericEventArguments) -> None:
        if (renamed := rename_from(event.args)) is not None:
            await _settled(self._on_rename(*renamed))

    async def _pin(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        if (ids := _ids(args)) and isinstance(args.get("on"), bool):
            await _settled(self._on_pin(ids, args["on"]))

    async def _archive(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        if (ids := _ids(args)) and isinstance(args.get("on"), bool):
            await _settled(self._on_archive(ids, args["on"]))

    async def _move(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        folder = args.get("folder", "")
        if (ids := _ids(args)) and (folder is None or _is_text(folder, MAX_ID_CHARS)):
            await _settled(self._on_move(ids, folder))

    async def _tag(self, event: GenericEventArguments) -> None:
        args = _dict(event.args)
        tag, is_set = args.get("tag"), args.get("on")
        if (ids := _ids(args)) and _is_text(tag, MAX_TAG_CHARS) and isinstance(is_set, bool):
            await _settled(self._on_tag(ids, tag, is_set))

    async def _delete(self, event: GenericEventArguments) -> None:
        if ids := _ids(_dict(event.args)):
            await _settled(self._on_delete(ids))

    async def _restore(self, event: GenericEventArguments) -> None:
        if ids := _ids(_dict(event.args)):
            await _settled(self._on_restore(ids))

    async def _duplicate(self, event: GenericEventArguments) -> None:
        if (conversation_id := _id(event.args)) is not None:
            await _settled(self._on_duplicate(conversation_id))

    async def _preset(self, event: GenericEventArguments) -> None:
        if (conversation_id := _id(event.args)) is not None:
            await _settled(self._on_preset(conversation_id))


async def _settled(result: Done) -> None:
    if isawaitable(result):
        await result


def rename_from(args: Any) -> tuple[str, str] | None:
    """Return the id and the new title of a browser's event, None if it is malformed."""
    sent = _dict(args)
    conversation_id, title = sent.get("id"), sent.get("title")
    if _is_text(conversation_id, MAX_ID_CHARS) and _is_text(title, MAX_TITLE_CHARS):
        return conversation_id, title
    return None


def item_json(info: ConversationInfo, *, owner: str = "") -> dict[str, Any]:
    """Return the JSON of a list entry; ``owner`` is the name of another user who shares it.

    ``at`` is the time of the last update, ``pin`` the time of pinning or 0 if it is not pinned;
    both in seconds since 1970. ``folder`` is the id of its folder, which may be gone.
    """
    return {
        "id": info.id,
        "title": seen(info.title),
        "at": info.updated_at,
        "pin": info.pinned_at or 0,
        "archived": info.archived_at is not None,
        "folder": info.folder_id,
        "tags": [seen(tag) for tag in info.tags],
        "owner": seen(owner),
    }


def _folder(folder: Folder) -> dict[str, str]:
    return {"id": folder.id, "name": seen(folder.name)}


def _scope(value: Any) -> ListScope | None:
    """Return the scope that a browser asks for, None if it is malformed."""
    args = _dict(value)
    kind, of = args.get("kind"), args.get("of")
    if kind in ("list", "archive", "shared"):
        return ListScope(kind)
    if kind == "folder" and _is_text(of, MAX_ID_CHARS):
        return ListScope(kind, of)
    return None


def _search(args: dict[str, Any]) -> Search | None:
    """Return the search that a browser asks for, None if it is malformed or empty."""
    query, given = args.get("query"), _dict(args.get("filters"))
    filters: dict[str, Any] = {}
    for name, is_right in _FILTERS.items():
        value = given.get(name)
        if value is None:
            continue
        if not is_right(value):
            return None
        filters[name] = value
    search = Search(query if isinstance(query, str) else "", SearchFilter(**filters))
    if not (query == "" or _is_text(query, MAX_QUERY_CHARS)):
        return None
    return None if not search.query.strip() and search.filters.is_empty else search


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= MAX_TIME_S


_FILTERS: Mapping[str, Callable[[Any], bool]] = {
    "kind": lambda value: value in get_args(HitKind),
    "model": lambda value: _is_text(value, MAX_MODEL_CHARS),
    "folder_id": lambda value: _is_text(value, MAX_ID_CHARS),
    "tag": lambda value: _is_text(value, MAX_TAG_CHARS),
    "since": _is_time,
    "until": _is_time,
}
"""The filters of a search, and what is a value of each."""


def _hit(hit: Hit, owner: str = "") -> dict[str, Any]:
    """Return the JSON of a search result; ``snippet`` is a list of pieces, as in ``Hit``."""
    return {
        "id": hit.conversation_id,
        "title": seen(hit.title),
        "turn": hit.turn_id,
        "kind": hit.kind,
        "snippet": [seen(piece) for piece in hit.snippet],
        "cursor": hit.cursor,
        "at": hit.created_at,
        "archived": hit.is_archived,
        "owner": seen(owner),
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


def _id(args: Any) -> str | None:
    conversation_id = _dict(args).get("id")
    return conversation_id if _is_text(conversation_id, MAX_ID_CHARS) else None


def _ids(args: dict[str, Any]) -> list[str]:
    ids = args.get("ids")
    if not isinstance(ids, list) or len(ids) > MAX_AT_ONCE:
        return []
    return ids if all(_is_text(name, MAX_ID_CHARS) for name in ids) else []
