"""Mounts the pages on a FastAPI application."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from nicegui import ui
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import ErrorResponses
from wireside.api.policy import (
    FILE,
    PAGE_SOCKET,
    STATIC,
    RoutePolicy,
    route_policy,
    with_policy,
)
from wireside.assets import folder
from wireside.auth.auth import Auth
from wireside.chat.service import ChatService
from wireside.transfer.sharing import Sharing
from wireside_ui.html_pages.account import AccountPages
from wireside_ui.html_pages.errors import ErrorPages, register_unknown_paths
from wireside_ui.html_pages.render import PlainPages
from wireside_ui.pages.chat import ChatPages
from wireside_ui.pages.dashboard import DashboardPage, Figures
from wireside_ui.theme import BACKGROUNDS, Branding

RECONNECT_S = 60.0
"""Seconds that a page may be disconnected without a reload; more than the longest back-off."""

MESSAGES_KEPT = 2000
"""Maximum number of messages sent again to a page that reconnects."""

KEPT = "public, max-age=31536000, immutable"
"""``Cache-Control`` of assets with a version in their address."""

ASSETS: Final = replace(STATIC, is_cross_origin=True)

POLICIES: Final[Mapping[str, RoutePolicy]] = {
    "/_nicegui/{path:path}": STATIC,
    "/_nicegui_ws/{path:path}": PAGE_SOCKET,
    "/favicon.ico": FILE,
}
"""Policies of NiceGUI's own routes, which can't declare theirs."""

_VERSIONED = ("css/", "fonts/", "icons/", "katex/", "account.js", "doctor.js", "math.js")


def mount(
    app: FastAPI,
    chat: ChatService,
    look: Branding,
    *,
    storage_secret: str,
    auth: Auth,
    sharing: Sharing,
    board: Figures,
    base_url: str = "",
    count_error: Callable[[str], None],
) -> None:
    """Register the pages at ``/`` and ``/c/{id}`` and everything they need.

    Must be called after all other routes are registered, because the error pages match every
    remaining path.

    Args:
        app: the application.
        chat: the chat service.
        look: the branding.
        storage_secret: key that signs NiceGUI's session cookie.
        auth: the authentication.
        sharing: the links to shared conversations.
        board: source of the dashboard's metrics.
        base_url: public address of the server, "" to derive it from each request.
        count_error: called with the code of each error that a route raises.
    """
    assets = folder()
    version = _version_of(assets, _logo(look, assets))
    files = route_policy(ASSETS)(_Packed(_Assets(directory=assets)))
    app.mount("/assets", files)
    app.include_router(_extras(look, assets, version))
    plain = PlainPages(look, version)
    app.include_router(
        AccountPages(auth=auth, sharing=sharing, look=look, plain=plain, base_url=base_url).router()
    )
    errors = ErrorResponses(count=count_error, page=ErrorPages(plain).render)
    errors.register(app)
    register_unknown_paths(app, errors)
    ChatPages(chat, look, version, sharing.audience).register()
    DashboardPage(board, look, version, time.time).register()
    ui.run_with(
        app,
        title=look.name,
        favicon=_logo(look, assets),
        viewport="width=device-width, initial-scale=1, viewport-fit=cover,"
        " interactive-widget=resizes-content",
        reconnect_timeout=RECONNECT_S,
        message_history_length=MESSAGES_KEPT,
        tailwind=False,
        storage_secret=storage_secret,
        session_middleware_kwargs={"same_site": "lax"},
        show_welcome_message=False,
        dark=None,
    )


class _Packed:
    """Compresses text assets with gzip; fonts and images are already compressed."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packed = GZipMiddleware(app, minimum_size=1_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the file."""
        is_text = scope["path"].endswith((".css", ".js", ".svg", ".json"))
        await (self._packed if is_text else self._plain)(scope, receive, send)


class _Assets(StaticFiles):
    """Static files with cache headers.

    Assets that only our own pages load have a version in their address and are cached permanently;
    the others (the client library that other sites load) are revalidated at each use.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve the file."""
        if path == "client/wireside.mjs":
            # The same module under a name that Node treats as an ES module regardless of
            # `package.json`.
            path = "client/wireside.js"
        response = await super().get_response(path, scope)
        is_ours = path.startswith(_VERSIONED)
        response.headers["Cache-Control"] = KEPT if is_ours else "no-cache"
        return response


def _extras(look: Branding, assets: Path, version: str) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    logo = _logo(look, assets)

    @router.get("/logo")
    async def show_logo() -> FileResponse:
        kind = mimetypes.guess_type(logo.name)[0]
        return FileResponse(logo, media_type=kind, headers={"Cache-Control": KEPT})

    @router.get("/manifest.webmanifest")
    async def manifest(request: Request) -> JSONResponse:
        base = request.scope.get("root_path", "")
        icons = [
            {"src": f"{base}/assets/icons/icon-{size}.png?v={version}", "sizes": f"{size}x{size}",
             "type": "image/png", "purpose": "any maskable"}
            for size in (192, 512)
        ]  # fmt: skip
        return JSONResponse(
            {
                "name": look.name,
                "short_name": look.name,
                "start_url": f"{base}/",
                "display": "standalone",
                "background_color": BACKGROUNDS["light"],
                "theme_color": BACKGROUNDS["light"],
                "icons": icons,
            },
            media_type="application/manifest+json",
        )

    return with_policy(router, FILE)


def _logo(look: Branding, assets: Path) -> Path:
    return look.logo or assets / "logo.svg"


def _version_of(assets: Path, logo: Path) -> str:
    """Return a hash of all assets, so that browsers reload changed files."""
    digest = hashlib.sha256()
    for file in (*sorted(assets.rglob("*")), logo):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]
