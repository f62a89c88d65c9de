"""The connection behind a page: NiceGUI's own socket, kept honest."""

from __future__ import annotations

from nicegui import Client, core
from nicegui import app as nicegui_app

PING_S = 10
"""Seconds between two looks whether a page is still there."""

PONG_S = 5
"""Seconds that its answer may take."""


def watch() -> None:
    """Notice a page that is gone soon, and let pages measure how far away the server is.

    NiceGUI derives its own times from the time that a page may be away: a cut would be noticed
    after a minute only.
    """
    nicegui_app.on_startup(_set_up)


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


def _set_up() -> None:
    core.sio.eio.ping_interval, core.sio.eio.ping_timeout = PING_S, PONG_S
    core.sio.on("wireside_ping", _pong)


async def _pong(_: str, *__: object) -> bool:
    return True
