"""The NiceGUI pages of one application, as routes of that application.

NiceGUI exists once per process: one application object with its routes, one configuration, one
Socket.IO server. ``ui.page`` registers a page there, below one path, and gives it the looks of the
configuration. Here, a page is a route of its own application instead. Therefore several
applications, and a host's own NiceGUI pages, can be served by one process, each below a path of its
own and with its own looks; what they share is NiceGUI's Socket.IO server, which
``nicegui_socket.py`` guards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache
from typing import Any, Final

from fastapi import Request, Response
from nicegui import Client, core, ui
from nicegui import __version__ as nicegui_version
from nicegui.app.app_config import AppConfig
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.policy import PAGE_SOCKET, STATIC, RoutePolicy, route_policy
from wireside.auth.connections import LiveConnections
from wireside.errors import NotFound
from wireside_ui.static_files import KEPT

RECONNECT_S: Final = 60.0
"""Seconds that a page may be disconnected without a reload; more than the longest back-off."""

FRAME_RECONNECT_S: Final = 10.0
"""The same for a page in a frame: one that was scrolled away is freed after this time."""

MESSAGES_KEPT: Final = 2000
"""Maximum number of messages sent again to a page that reconnects."""

NICEGUI_PATH: Final = "/wireside"
"""Path of all pages as NiceGUI sees it: their icon is at ``/wireside/favicon.ico``."""

_SCOPE_KEY: Final = "wireside.pages"
_FILES: Final = f"/_nicegui/{nicegui_version}/"

_DYNAMIC_FILES: Final = f"{_FILES}dynamic_resources/"

BuildPage = Callable[[Request, Client], Awaitable[Response | None]]
"""Creates the elements of a page in the client; a response is sent instead of the page."""


class PageClient(Client):
    """A page of one application. What a host adds to all of its own pages is not in it."""

    shared_head_html = ""
    shared_body_html = ""

    def __init__(self, page: ui.page, *, request: Request, pages: ApplicationPages) -> None:
        self.pages = pages
        super().__init__(page, request=request)


class ApplicationPages:
    """The pages of one application.

    Args:
        title: the title of pages that set none.
        presence: the open connections of the application's callers.
    """

    def __init__(self, title: str, presence: LiveConnections) -> None:
        self.presence = presence
        self._page = ui.page(
            NICEGUI_PATH,
            title=title,
            viewport="width=device-width, initial-scale=1, viewport-fit=cover,"
            " interactive-widget=resizes-content",
            dark=None,
            language=None,
            reconnect_timeout=RECONNECT_S,
            markdown=False,
        )
        self._page.favicon = NICEGUI_PATH  # ``ui.page`` itself would register a route for it
        self._framed_page = copy(self._page)
        self._framed_page.reconnect_timeout = FRAME_RECONNECT_S
        self._routes: list[BaseRoute] = [
            Mount("/_nicegui", route_policy(STATIC)(_Files(self))),
            Mount("/_nicegui_ws", route_policy(PAGE_SOCKET)(_ToNiceGUI(self))),
        ]

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the pages, and of NiceGUI's files and socket behind them."""
        return list(self._routes)

    @property
    def clients(self) -> list[PageClient]:
        """The pages in memory."""
        return [client for client in page_clients() if client.pages is self]

    def count_connected(self) -> int:
        """Return the number of pages with an open connection."""
        return sum(client.has_socket_connection for client in self.clients)

    def add(self, path: str, policy: RoutePolicy, build: BuildPage) -> None:
        """Add a page. Path parameters are in ``request.path_params``."""

        async def serve(request: Request) -> Response:
            return await self._serve(request, build, is_framed=policy.is_framed)

        self._routes.append(Route(path, route_policy(policy)(serve), methods=["GET"]))

    def close(self) -> None:
        """Delete all pages, which ends their tasks; their browsers reconnect or reload."""
        for client in self.clients:
            client.delete()

    async def _serve(self, request: Request, build: BuildPage, *, is_framed: bool) -> Response:
        # where a host uses NiceGUI's storage, NiceGUI looks for the session of each page
        request.scope["session"] = {"id": ""}
        page = self._framed_page if is_framed else self._page
        client = PageClient(page, request=request, pages=self)
        with client:
            response = await build(request, client)
        if response is not None:
            client.delete()
            return response
        with _page_config():
            return client.build_response(request, client.status_code)


def page_clients() -> list[PageClient]:
    """Return the pages of all applications in memory, the oldest first."""
    return [client for client in Client.instances.values() if isinstance(client, PageClient)]


def pages_of(scope: Any) -> ApplicationPages | None:
    """Return the application's pages that a connection belongs to; None for a host's own."""
    pages: ApplicationPages | None = (scope or {}).get(_SCOPE_KEY)
    return pages


def nicegui_config() -> AppConfig:
    """Return NiceGUI's configuration for pages of Wireside."""
    config = AppConfig()
    config.add_run_config(
        reload=False,
        title="",
        viewport="",
        favicon=None,
        dark=None,
        language=None,
        binding_refresh_interval=0.1,
        reconnect_timeout=RECONNECT_S,
        message_history_length=MESSAGES_KEPT,
        tailwind=False,
        unocss=None,
        prod_js=True,
        show_welcome_message=False,
        markdown=False,
    )
    config.quasar_config["brand"].update(_QUASAR_COLOURS)
    return config


_QUASAR_COLOURS: Final = {
    "primary": "#5898d4",
    "secondary": "#26a69a",
    "accent": "#9c27b0",
    "dark": "#1d1d1d",
    "dark-page": "#121212",
    "positive": "#21ba45",
    "negative": "#c10015",
    "info": "#31ccec",
    "warning": "#f2c037",
}
"""Quasar's colours of elements that no style sheet of ours styles, as NiceGUI sets them."""


@contextmanager
def _page_config() -> Iterator[None]:
    """Let NiceGUI render a page by our configuration instead of the process's.

    Rendering does not await, so nothing else sees it.
    """
    theirs, core.app.config = core.app.config, _rendering_config()
    try:
        yield
    finally:
        core.app.config = theirs


_rendering_config = cache(nicegui_config)
"""The configuration of all pages; rendering only reads it."""


class _ToNiceGUI:
    """Passes requests below one of NiceGUI's own paths to NiceGUI's routes.

    NiceGUI's middlewares are left out: a host's session, authentication and compression are for its
    own pages.
    """

    def __init__(self, pages: ApplicationPages) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call NiceGUI."""
        root = scope["app_root_path"]
        theirs = {**scope, "root_path": root, _SCOPE_KEY: self._pages}
        is_poll = scope["type"] == "http"
        await core.app.router(theirs, receive, _closing_refused(send) if is_poll else send)


def _closing_refused(send: Send) -> Send:
    """Return a ``send`` that closes the connection after a refusal by engine.io.

    A client that polls a session which was ended gets a refusal for each request; it must not keep
    its connection by them.
    """

    async def send_closing(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 400:
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return send_closing


class _Files:
    """Serves NiceGUI's own files, compressed and cached; no other file that a host registers."""

    def __init__(self, pages: ApplicationPages) -> None:
        self._app: ASGIApp = GZipMiddleware(_ToNiceGUI(pages), minimum_size=1_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file; without one, raise ``NotFound``."""
        path = scope["path"].removeprefix(scope["app_root_path"])
        if not path.startswith(_FILES):
            raise NotFound(f"There is no {scope['path']}.")

        is_fixed = not path.startswith(_DYNAMIC_FILES)

        async def send_kept(message: Message) -> None:
            if is_fixed and message["type"] == "http.response.start" and message["status"] == 200:
                others = [one for one in message["headers"] if one[0].lower() != b"cache-control"]
                headers = [*others, (b"cache-control", KEPT.encode())]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_kept)
