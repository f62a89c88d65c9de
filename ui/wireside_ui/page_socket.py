"""The connection behind a page: NiceGUI's own socket, kept honest."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isawaitable
from typing import Any
from urllib.parse import parse_qs

from nicegui import Client, core
from nicegui import app as nicegui_app
from socketio.exceptions import ConnectionRefusedError as Refused

PING_S = 10
"""Seconds between two looks whether a page is still there."""

PONG_S = 5
"""Seconds that its answer may take."""


ABOUT_A_PAGE = ("handshake", "event", "javascript_response", "ack", "log")
"""Messages of a browser that name a page."""


def watch() -> None:
    """Notice a page that is gone soon, and let pages measure how far away the server is.

    NiceGUI derives its own times from the time that a page may be away: a cut would be noticed
    after a minute only.
    """
    nicegui_app.on_startup(_set_up)


def untaken(client: Client) -> int:
    """Return how many messages the connection of ``client`` has not taken yet."""
    sockets = core.sio.eio.sockets
    on_their_way: int = sum(
        sockets[engine_id].queue.qsize()
        for _, engine_id in core.sio.manager.get_participants("/", client.id)
        if engine_id in sockets
    )
    return len(client.outbox.messages) + on_their_way


def _set_up() -> None:
    core.sio.eio.ping_interval, core.sio.eio.ping_timeout = PING_S, PONG_S
    core.sio.on("wireside_ping", _pong)
    handlers = core.sio.handlers["/"]
    handlers["connect"] = _only_to_theirs(handlers["connect"])
    for name in ABOUT_A_PAGE:
        handlers[name] = _only_theirs(handlers[name])


def _only_theirs(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Let a connection speak of pages only that were made for the same person: NiceGUI itself takes
    whoever knows a page's id for that page.
    """
    if hasattr(handler, "is_for_their_pages"):
        return handler

    @wraps(handler)
    async def guarded(sid: str, *args: Any) -> Any:
        data = args[0] if args else None
        client_id = data.get("client_id") if isinstance(data, dict) else None
        environ = core.sio.get_environ(sid) or {}
        if not _is_theirs(client_id, environ):
            return False
        result = handler(sid, *args)
        return await result if isawaitable(result) else result

    guarded.is_for_their_pages = True  # type: ignore[attr-defined]  # a note for a second start
    return guarded


def _only_to_theirs(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a connection that names its page with its address."""
    if hasattr(handler, "is_for_their_pages"):
        return handler

    @wraps(handler)
    async def guarded(sid: str, environ: dict[str, Any], *args: Any) -> Any:
        named = parse_qs(environ.get("QUERY_STRING", "")).get("client_id")
        if named and not _is_theirs(named[0], environ):
            raise Refused("This page is not yours.")
        return await handler(sid, environ, *args)

    guarded.is_for_their_pages = True  # type: ignore[attr-defined]  # a note for a second start
    return guarded


def _is_theirs(client_id: Any, environ: dict[str, Any]) -> bool:
    """Whether a page was made for whoever the connection of ``environ`` belongs to."""
    page = Client.instances.get(client_id) if isinstance(client_id, str) else None
    if page is None:
        return False
    try:
        made_for = page.request.scope
    except RuntimeError:  # made by a program, for nobody
        made_for = {}
    return _person(environ.get("asgi.scope") or {}) == _person(made_for)


def _person(scope: Any) -> str | None:
    """Return whose request it was, as the guard before all pages has found out."""
    caller = (scope.get("state") or {}).get("caller")
    user_id: str | None = getattr(caller, "user_id", None)
    return user_id


async def _pong(_: str, *__: object) -> bool:
    return True
