"""Mounts a chat in an application of a host: its pages, socket, REST API and assets at a path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.routing import Match, Mount
from starlette.types import Receive, Scope, Send

from wireside.api.host_user import HOST_SCOPE, FindUser, HostRules
from wireside.api.middleware.refusals import send_refusal
from wireside.api.middleware.root_path import route_path
from wireside.app import Application
from wireside.auth.host import subject_of
from wireside.bootstrap.parts import build_parts
from wireside.bootstrap.providers import settings_of
from wireside.bootstrap.storage import database_url
from wireside.errors import Overloaded
from wireside.extension.chat import Chat
from wireside.ports.provider import Provider
from wireside.root_path import parse_root_path
from wireside.settings.model import Settings
from wireside_ui.theme import Branding

_OF_SERVER: Final = (
    "type",
    "asgi",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "query_string",
    "root_path",
    "headers",
    "client",
    "server",
    "subprotocols",
    "extensions",
)
"""What a chat gets of the host's scope; the rest, such as its state, belongs to the host."""


def mount(
    app: Starlette,
    path: str,
    *,
    settings: Settings | None = None,
    provider: Provider | None = None,
    chat: Chat | None = None,
    user: FindUser | None = None,
    login_url: str = "",
    look: Branding | None = None,
) -> MountedChat:
    """Mount a chat in a FastAPI or Starlette application, before it starts.

    The chat starts and ends with the application, within its lifespan. Several chats can be
    mounted, each with its own settings, data and look.

    Args:
        app: the host application.
        path: path of the chat, such as ``/chat``.
        settings: the settings; by default those that ``wireside serve`` reads.
        provider: the source of answers, instead of the one that the settings select.
        chat: handlers that answer, as in ``create_app``.
        user: returns the user of a request or handshake (a ``starlette.requests.HTTPConnection``):
            None, or an object with ``id`` and ``name``, and optionally ``role`` and ``groups``,
            such as a ``HostUser``. It may be asynchronous; otherwise it must not block. Without it,
            ``WIRESIDE_AUTH`` applies.
        login_url: where the host signs users in: a URL, or a path of the host application.
            ``{next}`` in it is replaced by the address of the requested page. "" shows a page that
            asks the user to sign in.
        look: name, logo and colours, instead of those of the settings.

    Raises:
        NotConfigured: the settings can't be used; the text is a sentence.
        ValueError: the path is invalid or taken, or another chat of the application uses the same
            database; the text is a sentence.
    """
    settings = Settings() if settings is None else settings
    if chat is not None:
        settings = settings_of(chat, settings)
    mount_path = parse_root_path(path)
    host = HostRules(find_user=user, mount_path=mount_path, login_url=login_url) if user else None

    def build() -> Application:
        parts = build_parts(
            settings, provider=provider, chat=chat, look=look, has_host=host is not None
        )
        return Application(settings, parts, host=host)

    mounted = MountedChat(mount_path, settings, build)
    _add_route(app, mounted)
    _add_lifespan(app, mounted.running)
    return mounted


class MountedChat:
    """A chat in an application of a host: an ASGI application."""

    def __init__(self, path: str, settings: Settings, build: Callable[[], Application]) -> None:
        self.path = path
        self.settings = settings
        self.application = build()
        """The chat; a new one each time the host starts."""
        self._build = build
        self._has_run = False
        self._is_running = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection of the host."""
        if not self._is_running:
            error = Overloaded("The chat is not running: the host's lifespan has not started it.")
            return await send_refusal(scope, receive, send, error)
        await self.application(self._own(scope), receive, send)

    async def end_connections(self, user_id: str) -> None:
        """Close the open pages and sockets of a user; call it when the host signs a user out.

        A connection is authenticated when it is opened, and not again while it is open.

        Args:
            user_id: the id of the host's user.

        Raises:
            StoreError: the store is unavailable.
        """
        parts = self.application.parts
        user = await parts.store.accounts.find_user_by_subject(subject_of(user_id))
        if user is not None:
            parts.auth.gate.presence.close_of_user(user.id)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the chat."""
        if self._has_run:
            self.application = self._build()
        self._has_run = True
        app = self.application.app
        async with app.router.lifespan_context(app):
            self._is_running = True
            try:
                yield
            finally:
                self._is_running = False

    def _own(self, scope: Scope) -> Scope:
        """Return the chat's scope, which has the host's in ``HOST_SCOPE``."""
        own: dict[str, Any] = {name: scope[name] for name in _OF_SERVER if name in scope}
        root, path = scope["root_path"], scope["path"]
        if path != root and not path.startswith(f"{root}/"):
            # a host that is told its own root path serves paths without it
            removed = root.removesuffix(self.path)
            own["path"] = removed + path
            if scope.get("raw_path") is not None:
                own["raw_path"] = removed.encode() + scope["raw_path"]
        return {**own, "state": {}, HOST_SCOPE: scope}


class _MountRoute(Mount):
    """The route of a mounted chat, which also matches its path without a slash at the end."""

    def __init__(self, mounted: MountedChat) -> None:
        super().__init__(mounted.path, mounted)
        self.mounted = mounted

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See ``BaseRoute``."""
        match, child = super().matches(scope)
        if match is Match.NONE and scope["type"] == "http" and route_path(scope) == self.path:
            root = scope.get("root_path", "")
            return Match.FULL, {"root_path": root + self.path, "endpoint": self.app}
        return match, child


def _add_route(app: Starlette, mounted: MountedChat) -> None:
    """Add the route before all routes of the host, after those of longer paths."""
    if not mounted.path:
        raise ValueError("A chat is mounted below a path; at / it is `create_app`.")
    routes = app.router.routes
    others = [route for route in routes if isinstance(route, _MountRoute)]
    for other in others:
        if other.path == mounted.path:
            raise ValueError(f"There is a chat at {mounted.path} already.")
        if database_url(other.mounted.settings) == database_url(mounted.settings):
            raise ValueError(
                f"The chats at {other.path} and {mounted.path} have the same database: give one of"
                " them another data_dir or database_url."
            )
    longer = [route for route in others if len(route.path) > len(mounted.path)]
    position = max((routes.index(route) + 1 for route in longer), default=0)
    routes.insert(position, _MountRoute(mounted))


def _add_lifespan(app: Starlette, running: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    """Run the chat within the host's lifespan: started after it, ended before it."""
    of_host = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with of_host(app) as state, running():
            yield state

    app.router.lifespan_context = lifespan
