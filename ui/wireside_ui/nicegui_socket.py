"""The connection behind a page: NiceGUI's own socket, kept honest."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from functools import partial, wraps
from inspect import isawaitable
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from nicegui import Client, background_tasks, core, ui
from nicegui import app as nicegui_app
from socketio.exceptions import ConnectionRefusedError as Refused

from wireside.auth.connections import LiveConnections
from wireside.identity import Caller
from wireside.limits.windows import SlidingWindow

PING_S = 10
"""Seconds between two looks whether a page is still there."""

PONG_S = 5
"""Seconds that its answer may take."""

STRANGER_S = 4.0
"""How long a connection may be open without saying which page it belongs to; pages say so at once.
What closing takes comes on top: all is over in the 10 s of a handshake."""

UNCLAIMED = 40
"""Pages that wait for their browser to come back for them, at 200 KB each. Past that the address
that asked for the most loses its oldest; its browser loads it anew."""

LOOK_S = 1.0


ABOUT_A_PAGE = ("handshake", "event", "ack")
"""Messages of a browser that name a page. With a connection's begin and end they are all that is
listened to: others of NiceGUI's are for what no page here does, such as lines for the log.
"""

MAX_NAME_CHARS = 64
"""Of what a browser calls a tab or a document of its own; NiceGUI keeps it."""

TAB_S = 300.0
"""Seconds that NiceGUI keeps its notes of a tab, of which ours have none, after a page is made."""

EVENTS = 300
EVENTS_S = 10.0
"""So many events in so many seconds are heard from a page: more than a person can make. A few bytes
ask for a page of the conversation.
"""

MAX_UNTAKEN = 100
"""Messages on their way to a page from which on it is not heard: it asks for more than it reads."""

MAKING_S = 3.0
"""Seconds that a page may take to be made."""


def watch(presence: LiveConnections) -> None:
    """Notice a page that is gone soon, and let pages measure how far away the server is; a page is
    for whoever it was made for, as ``presence`` knows them.

    NiceGUI derives its own times from the time that a page may be away: a cut would be noticed
    after a minute only.
    """
    nicegui_app.on_startup(partial(_set_up, presence))


def open_pages() -> int:
    """Return how many pages are connected."""
    return sum(client.has_socket_connection for client in Client.instances.values())


def untaken(client: Client) -> int:
    """Return how many messages the connection of ``client`` has not taken yet."""
    sockets = core.sio.eio.sockets
    on_their_way: int = sum(
        sockets[engine_id].queue.qsize()
        for _, engine_id in core.sio.manager.get_participants("/", client.id)
        if engine_id in sockets
    )
    return len(client.outbox.messages) + on_their_way


@contextlib.asynccontextmanager
async def making(client: Client) -> AsyncIterator[None]:
    """Stand around the making of a page: others that are too many are given up before, so that a
    flood holds no more than a moment's worth, and this one is not while it is being made. One that
    fails is given up at once. Raises ``TimeoutError`` after ``MAKING_S``.
    """
    _being_made.add(client.id)
    try:
        _make_room()
        async with asyncio.timeout(MAKING_S):
            yield
    except Exception:
        client.delete()
        raise
    finally:
        _being_made.discard(client.id)


def page_at(path: str) -> ui.page:
    """Return what makes a function a page, as ``ui.page`` does. How long the page may take is said
    by ``making``: what NiceGUI says of it would be a page of its own.
    """
    return ui.page(path, response_timeout=2 * MAKING_S)


_being_made: set[str] = set()


def _make_room() -> None:
    ready = (c for c in Client.instances.values() if c.id not in _being_made)
    for client in surplus(ready):
        client.delete()


def _set_up(presence: LiveConnections) -> None:
    core.sio.eio.ping_interval, core.sio.eio.ping_timeout = PING_S, PONG_S
    nicegui_app.storage.max_tab_storage_age = TAB_S
    handlers = core.sio.handlers["/"]
    for name in handlers.keys() - {"connect", "disconnect", *ABOUT_A_PAGE}:
        del handlers[name]
    core.sio.on("wireside_ping", _pong)
    held: dict[str, Callable[[], None]] = {}
    handlers["connect"] = _only_to_theirs(_original(handlers["connect"]), presence, held)
    handlers["disconnect"] = _letting_go(_original(handlers["disconnect"]), held)
    for name in ABOUT_A_PAGE:
        handlers[name] = _only_theirs(_original(handlers[name]), is_paced=name == "event")
    background_tasks.create(_keep_watch(), name="page sockets")


def _original(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return NiceGUI's own handler, at a second start too."""
    original: Callable[..., Any] = getattr(handler, "__wrapped__", handler)
    return original


def _only_theirs(handler: Callable[..., Any], *, is_paced: bool) -> Callable[..., Any]:
    """Let a connection speak of pages only that were made for the same caller: NiceGUI itself takes
    whoever knows a page's id for that page. ``is_paced``: no more than a person can.
    """
    pace = Pace()

    @wraps(handler)
    async def guarded(sid: str, *args: Any) -> Any:
        data: dict[str, Any] = args[0] if args and isinstance(args[0], dict) else {}
        client_id = data.get("client_id")
        environ = core.sio.get_environ(sid) or {}
        if not _is_theirs(client_id, environ) or not _are_names(data):
            return False
        if is_paced and not pace.allows(Client.instances[str(client_id)], time.monotonic()):
            return False
        result = handler(sid, *args)
        return await result if isawaitable(result) else result

    return guarded


class Pace:
    """How much is heard from each page."""

    def __init__(self) -> None:
        self._windows: WeakKeyDictionary[Client, SlidingWindow] = WeakKeyDictionary()

    def allows(self, page: Client, now: float) -> bool:
        """Count an event; return whether it is heard."""
        window = self._windows.get(page) or SlidingWindow(EVENTS, EVENTS_S)
        self._windows[page] = window
        return window.allow(now) and untaken(page) <= MAX_UNTAKEN


def _only_to_theirs(
    handler: Callable[..., Any], presence: LiveConnections, held: dict[str, Callable[[], None]]
) -> Callable[..., Any]:
    """The same for a connection that names its page with its address. It ends when its caller may
    be here no more; ``held`` keeps what forgets that.
    """

    @wraps(handler)
    async def guarded(sid: str, environ: dict[str, Any], *args: Any) -> Any:
        said = {k: v[0] for k, v in parse_qs(environ.get("QUERY_STRING", "")).items()}
        named = said.get("client_id")
        if named and not (_is_theirs(named, environ) and _are_names(said)):
            raise Refused("Implicit handshake failed")  # at these words a page loads itself anew
        result = await handler(sid, environ, *args)
        scope = environ.get("asgi.scope") or {}
        caller = _caller(scope)
        # the guard before all pages holds WebSockets itself; of what polls it sees single requests,
        # which somebody with another role may send as well
        if caller is not None and scope.get("type") == "http":
            held[sid] = presence.enter(caller, partial(_end, core.sio.manager, sid))
        return result

    return guarded


def _letting_go(
    handler: Callable[..., Any], held: dict[str, Callable[[], None]]
) -> Callable[..., Any]:
    @wraps(handler)
    async def ended(sid: str, *args: Any) -> Any:
        held.pop(sid, lambda: None)()
        return handler(sid)

    return ended


def _end(manager: Any, sid: str) -> None:
    background_tasks.create(_turn_away(manager.eio_sid_from_sid(sid, "/")), name="turn away")


def _are_names(said: dict[str, Any]) -> bool:
    """Whether what a browser calls its tab and its document are names, where it names them."""
    names = [said[key] for key in ("tab_id", "old_tab_id", "document_id") if said.get(key)]
    return all(isinstance(name, str) and len(name) <= MAX_NAME_CHARS for name in names)


def _is_theirs(client_id: Any, environ: dict[str, Any]) -> bool:
    """Whether a page was made for whoever the connection of ``environ`` belongs to."""
    page = Client.instances.get(client_id) if isinstance(client_id, str) else None
    if page is None:
        return False
    try:
        made_for = page.request.scope
    except RuntimeError:  # made by a program, for nobody
        made_for = {}
    return _caller(environ.get("asgi.scope") or {}) == _caller(made_for)


def _caller(scope: Any) -> Caller | None:
    """Return whose request it was, as the guard before all pages has found out: with role, scopes
    and credential, because a page goes on doing what its caller could do when it was made. Where
    they are may change.
    """
    caller: Caller | None = (scope.get("state") or {}).get("caller")
    return caller and replace(caller, address="")


async def _pong(_: str, *__: object) -> bool:
    return True


async def _keep_watch() -> None:
    strangers = Strangers()
    while True:
        await asyncio.sleep(LOOK_S)
        pages = set(_engine_ids_of_pages())
        for engine_id in strangers.overdue(core.sio.eio.sockets, pages, time.monotonic()):
            background_tasks.create(_turn_away(engine_id), name="turn away")
        _make_room()


class Strangers:
    """Since when connections are open that belong to no page."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def overdue(self, open_ids: Iterable[str], pages: set[str], now: float) -> list[str]:
        """Return those of ``open_ids`` that have belonged to none of ``pages`` for too long."""
        self._since = {name: self._since.get(name, now) for name in open_ids if name not in pages}
        return [name for name, since in self._since.items() if now - since >= STRANGER_S - LOOK_S]


def surplus(clients: Iterable[Client]) -> list[Client]:
    """Return the pages that are too many of those which no browser has come back for."""
    unclaimed = [c for c in clients if not c.has_socket_connection and not c._delete_tasks]
    counts = Counter(client.ip for client in unclaimed)
    found: list[Client] = []
    for _ in range(len(unclaimed) - UNCLAIMED):
        greedy, _ = counts.most_common(1)[0]
        oldest = next(c for c in unclaimed if c.ip == greedy)  # they are in the order of their age
        counts[greedy] -= 1
        unclaimed.remove(oldest)
        found.append(oldest)
    return found


def _engine_ids_of_pages() -> Iterable[str]:
    for room, members in core.sio.manager.rooms.get("/", {}).items():
        for socket_id, engine_id in members.items():
            if room not in (None, socket_id):  # rooms of its own; others are named after a page
                yield engine_id


async def _turn_away(engine_id: str) -> None:
    socket = core.sio.eio.sockets.get(engine_id)
    if socket is None:
        return
    environ = core.sio.environ.get(engine_id, {})
    await socket.close(wait=False)
    core.sio.eio.sockets.pop(engine_id, None)  # what still polls is told that there is none
    if environ.get("asgi.scope", {}).get("type") == "websocket":
        # engine.io would wait for the other end to close
        await environ["asgi.send"]({"type": "websocket.close", "code": 1008})
