"""Hardening of NiceGUI's Socket.IO connections.

Detects closed connections early, binds connections to the caller that a page was created for,
limits the rate of events, and bounds the number of pages and connections that are not in use.

A host's own NiceGUI pages share the Socket.IO server: their connections are passed on unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial, wraps
from inspect import isawaitable
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from nicegui import Client, background_tasks, core
from socketio.exceptions import ConnectionRefusedError as Refused

from wireside.identity import Caller
from wireside.limits.windows import SlidingWindow
from wireside.session.departure import RESTART_CODE, call_spread
from wireside_ui.application_pages import ApplicationPages, page_clients, pages_of

PING_S = 10
"""Seconds between two pings to a page."""

PONG_S = 5
"""Seconds within which a page must answer a ping."""

STRANGER_S = 4.0
"""Seconds that a connection may be open without naming its page; pages do so immediately.

Closing the connection takes extra time: all of it fits into the 10 s of a handshake.
"""

UNCLAIMED = 40
"""Maximum number of pages whose browser has not connected yet, at 200 KB each.

Above it, the oldest page of the address with the most such pages is deleted; its browser reloads
it.
"""

LOOK_S = 1.0
"""Seconds between two checks for overdue connections and surplus pages."""


ABOUT_A_PAGE = ("handshake", "event", "ack")
"""Socket.IO events that name a page.

Besides ``connect`` and ``disconnect`` these are the only handled events; NiceGUI's others serve
features that no page here uses, such as log messages.
"""

MAX_NAME_CHARS = 64
"""Maximum length of the ids of tabs and documents, which the browser chooses and NiceGUI stores."""

TAB_S = 300.0
"""Seconds that NiceGUI keeps a tab's storage, which is unused here, after a page is created."""

EVENTS = 300
EVENTS_S = 10.0
"""``EVENTS`` events per ``EVENTS_S`` seconds are accepted from a page; a user can't exceed this.

The limit is needed because an event of a few bytes can request a whole page of the conversation.
"""

MAX_UNTAKEN = 100
"""Queued messages to a page above which its events are ignored: it requests more than it reads."""

TYPING_S = 4.0
"""Seconds that a page in which the user types may stay on a server that stops."""

MOVED_POLL_S = 0.1
"""Seconds between two checks whether all pages have moved."""

MAKING_S = 3.0
"""Timeout in seconds for creating a page."""


@contextlib.contextmanager
def guarded_sockets() -> Iterator[None]:
    """Guard the connections of our pages while NiceGUI runs.

    A page accepts only connections of the caller that it was created for, through the application
    that created it. Connections are registered with the application's ``LiveConnections``, so that
    they are closed when the caller loses access.
    """
    handlers: dict[str, Callable[..., Any]] = core.sio.handlers["/"]
    before = dict(handlers)
    _wrap(handlers)
    watching = background_tasks.create(_keep_watch(), name="page sockets")
    try:
        yield
    finally:
        watching.cancel()
        handlers.clear()
        handlers.update(before)


@contextlib.contextmanager
def early_detection() -> Iterator[None]:
    """Detect closed connections within ``PING_S + PONG_S``, and keep the storage of tabs briefly.

    This is for all NiceGUI pages of the process. NiceGUI derives its own ping interval from the
    reconnect timeout: a lost connection would be detected only after a minute.
    """
    storage, engine = core.app.storage, core.sio.eio
    before = storage.max_tab_storage_age
    engine.ping_interval, engine.ping_timeout = PING_S, PONG_S
    storage.max_tab_storage_age = TAB_S
    try:
        yield
    finally:
        storage.max_tab_storage_age = before


def untaken(client: Client) -> int:
    """Return the number of messages queued for the connection of ``client``."""
    sockets = core.sio.eio.sockets
    on_their_way: int = sum(
        sockets[engine_id].queue.qsize()
        for _, engine_id in core.sio.manager.get_participants("/", client.id)
        if engine_id in sockets
    )
    return len(client.outbox.messages) + on_their_way


@contextlib.asynccontextmanager
async def making(client: Client) -> AsyncIterator[None]:
    """Context manager in which a page is created.

    Surplus pages are deleted first, so that a flood of requests occupies a bounded amount of
    memory; this page is exempt while it is being created. If creation fails, the page is deleted.

    Raises:
        TimeoutError: creation took longer than ``MAKING_S``.
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


_being_made: set[str] = set()


def _make_room() -> None:
    ready = (c for c in page_clients() if c.id not in _being_made)
    for client in surplus(ready):
        client.delete()


def _wrap(handlers: dict[str, Callable[..., Any]]) -> None:
    held: dict[str, Callable[[], None]] = {}
    for name, handler in list(handlers.items()):
        if name == "connect":
            handlers[name] = _only_to_theirs(handler, held)
        elif name == "disconnect":
            handlers[name] = _letting_go(handler, held)
        elif name in ABOUT_A_PAGE:
            handlers[name] = _only_theirs(handler, is_paced=name == "event")
        else:
            handlers[name] = _not_from_ours(handler)
    handlers["wireside_ping"] = _pong


def _only_theirs(handler: Callable[..., Any], *, is_paced: bool) -> Callable[..., Any]:
    """Wrap an event handler to accept only pages created for the connection's caller.

    NiceGUI itself accepts any connection that knows the id of a page. ``is_paced`` applies the rate
    limit of ``Pace``.
    """
    pace = Pace()

    @wraps(handler)
    async def guarded(sid: str, *args: Any) -> Any:
        data: dict[str, Any] = args[0] if args and isinstance(args[0], dict) else {}
        client_id = data.get("client_id")
        scope = _scope(sid)
        if _concerns_ours(client_id, scope):
            if not _is_theirs(client_id, scope) or not _are_names(data):
                return False
            if is_paced and not pace.allows(Client.instances[str(client_id)], time.monotonic()):
                return False
        result = handler(sid, *args)
        return await result if isawaitable(result) else result

    return guarded


def _not_from_ours(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the handler of an event that our pages don't send, such as log messages."""

    @wraps(handler)
    async def guarded(sid: str, *args: Any) -> Any:
        if pages_of(_scope(sid)) is not None:
            return None
        result = handler(sid, *args)
        return await result if isawaitable(result) else result

    return guarded


class Pace:
    """Limits the rate of events of each page."""

    def __init__(self) -> None:
        self._windows: WeakKeyDictionary[Client, SlidingWindow] = WeakKeyDictionary()

    def allows(self, page: Client, now: float) -> bool:
        """Count an event; return whether it is accepted."""
        window = self._windows.get(page) or SlidingWindow(EVENTS, EVENTS_S)
        self._windows[page] = window
        return window.count_if_allowed(now) and untaken(page) <= MAX_UNTAKEN


def _only_to_theirs(
    handler: Callable[..., Any], held: dict[str, Callable[[], None]]
) -> Callable[..., Any]:
    """Wrap the ``connect`` handler likewise, for connections that name their page in the URL.

    The connection is closed when its caller loses access; ``held`` maps the connection's id to the
    function that cancels this.
    """

    @wraps(handler)
    async def guarded(sid: str, environ: dict[str, Any], *args: Any) -> Any:
        said = {k: v[0] for k, v in parse_qs(environ.get("QUERY_STRING", "")).items()}
        named, scope = said.get("client_id"), environ.get("asgi.scope") or {}
        if (
            named
            and _concerns_ours(named, scope)
            and not (_is_theirs(named, scope) and _are_names(said))
        ):
            raise Refused("Implicit handshake failed")  # this message makes the page reload
        result = await handler(sid, environ, *args)
        pages, caller = pages_of(scope), _caller(scope)
        # The authentication middleware registers WebSockets itself. With long polling it sees
        # separate requests, which a caller with another role may send as well.
        if pages is not None and caller is not None and scope.get("type") == "http":
            held[sid] = pages.presence.register_connection(
                caller, partial(_end, core.sio.manager, sid)
            )
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
    """Return whether the ids of tab and document, if given, are strings of valid length."""
    names = [said[key] for key in ("tab_id", "old_tab_id", "document_id") if said.get(key)]
    return all(isinstance(name, str) and len(name) <= MAX_NAME_CHARS for name in names)


def _scope(sid: str) -> Mapping[str, Any]:
    """Return the ASGI scope of the request that opened a connection."""
    environ = core.sio.get_environ(sid) or {}
    return environ.get("asgi.scope") or {}


def _concerns_ours(client_id: Any, scope: Mapping[str, Any]) -> bool:
    """Return whether a connection came through an application of ours, or names a page of one."""
    return pages_of(scope) is not None or _made_by(client_id) is not None


def _made_by(client_id: Any) -> ApplicationPages | None:
    """Return the application's pages that a page belongs to; None for a host's own page."""
    page = Client.instances.get(client_id) if isinstance(client_id, str) else None
    return getattr(page, "pages", None)


def _is_theirs(client_id: Any, scope: Mapping[str, Any]) -> bool:
    """Return whether a page was created by the connection's application, for its caller."""
    pages = _made_by(client_id)
    if pages is None or pages is not pages_of(scope):
        return False
    return _caller(scope) == _caller(Client.instances[client_id].request.scope)


def _caller(scope: Any) -> Caller | None:
    """Return the caller of a request, as set by the authentication middleware.

    Role, scopes and credential are included, because a page keeps the permissions that its caller
    had when it was created. The address is omitted, because it may change.
    """
    caller: Caller | None = (scope.get("state") or {}).get("caller")
    return caller and replace(caller, address="")


async def _pong(_: str, *__: object) -> bool:
    return True


async def _keep_watch() -> None:
    strangers = Strangers()
    while True:
        await asyncio.sleep(LOOK_S)
        named = set(_engine_ids_of_pages())
        for engine_id in strangers.overdue(_our_engine_ids(), named, time.monotonic()):
            background_tasks.create(_turn_away(engine_id), name="turn away")
        _make_room()


class Strangers:
    """Tracks how long connections that belong to no page have been open."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def overdue(self, open_ids: Iterable[str], pages: set[str], now: float) -> list[str]:
        """Return those of ``open_ids`` that have not been in ``pages`` for ``STRANGER_S``."""
        self._since = {name: self._since.get(name, now) for name in open_ids if name not in pages}
        return [name for name, since in self._since.items() if now - since >= STRANGER_S - LOOK_S]


def surplus(clients: Iterable[Client]) -> list[Client]:
    """Return the pages to delete of those without a connection, as ``UNCLAIMED`` describes."""
    unclaimed = [c for c in clients if not c.has_socket_connection and not c._delete_tasks]
    counts = Counter(client.ip for client in unclaimed)
    found: list[Client] = []
    for _ in range(len(unclaimed) - UNCLAIMED):
        greedy, _ = counts.most_common(1)[0]
        oldest = next(c for c in unclaimed if c.ip == greedy)  # ordered by age
        counts[greedy] -= 1
        unclaimed.remove(oldest)
        found.append(oldest)
    return found


def _our_engine_ids() -> list[str]:
    environs = core.sio.environ
    return [
        engine_id
        for engine_id in core.sio.eio.sockets
        if pages_of(environs.get(engine_id, {}).get("asgi.scope")) is not None
    ]


def _engine_ids_of_pages() -> Iterable[str]:
    for room, members in core.sio.manager.rooms.get("/", {}).items():
        for socket_id, engine_id in members.items():
            if room not in (None, socket_id):  # all other rooms are named after a page
                yield engine_id


async def _turn_away(engine_id: str, code: int = 1008) -> None:
    socket = core.sio.eio.sockets.get(engine_id)
    if socket is None:
        return
    environ = core.sio.environ.get(engine_id, {})
    await socket.close(wait=False)
    core.sio.eio.sockets.pop(engine_id, None)  # later polls get an error
    if environ.get("asgi.scope", {}).get("type") == "websocket":
        # engine.io would wait for the client to close
        await environ["asgi.send"]({"type": "websocket.close", "code": code})


async def move_pages(pages: ApplicationPages, within_s: float) -> None:
    """Ask pages to load from another server, one after another over ``within_s`` seconds.

    A page in which the user types waits, for ``TYPING_S`` more at most. Then the connections that
    are left are closed: NiceGUI's script loads the page again when another server refuses it.
    """
    until = time.monotonic() + within_s + TYPING_S

    def ask(client_id: str) -> None:
        left_ms = max(0.0, until - time.monotonic()) * 1000
        asking = core.sio.emit("wireside_move", {"within_ms": left_ms}, room=client_id)
        background_tasks.create(asking, name="ask a page to move")

    connected = [client.id for client in pages.clients if client.has_socket_connection]
    await call_spread([partial(ask, client_id) for client_id in connected], within_s)
    while pages.count_connected() and time.monotonic() < until:  # noqa: ASYNC110  # they do not tell
        await asyncio.sleep(MOVED_POLL_S)
    for engine_id in _our_engine_ids():
        if pages_of(core.sio.environ[engine_id]["asgi.scope"]) is pages:
            await _turn_away(engine_id, RESTART_CODE)
