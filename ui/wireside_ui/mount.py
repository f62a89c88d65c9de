"""Puts the chat page on a FastAPI application."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from nicegui import app as nicegui_app
from nicegui import core, ui

from wireside.assets import folder
from wireside.chat.service import ChatService
from wireside_ui.pages.chat import ChatPages
from wireside_ui.theme import Look

RECONNECT_S = 60.0
"""Seconds that a page may be cut off and go on without a reload; above the longest back-off."""

MESSAGES_KEPT = 2000
"""Messages that a page which was cut off is sent again."""


def mount(app: FastAPI, chat: ChatService, look: Look, *, storage_secret: str) -> None:
    """Register the page at ``/`` and ``/c/{id}`` and all it needs. Comes after all other routes,
    because the mount at ``/`` takes every path that is left.
    """
    assets = folder()
    version = _version_of(assets)
    app.mount("/assets", _Assets(directory=assets))
    app.include_router(_extras(look, assets))
    ChatPages(chat, look, version).register()
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
    nicegui_app.on_startup(_ping_often)


def _ping_often() -> None:
    # NiceGUI derives these from the time above: a page would notice a cut after a minute only
    core.sio.eio.ping_interval, core.sio.eio.ping_timeout = 10, 5
    core.sio.on("wireside_ping", _pong)


async def _pong(_: str, *__: object) -> bool:
    return True


class _Assets(StaticFiles):
    """Files that are asked for under a version of theirs, so they may be kept for ever."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """Answer with the file."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _extras(look: Look, assets: Path) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    logo = _logo(look, assets)

    @router.get("/logo")
    async def show_logo() -> FileResponse:
        return FileResponse(logo, media_type=mimetypes.guess_type(logo.name)[0])

    @router.get("/manifest.webmanifest")
    async def manifest(request: Request) -> JSONResponse:
        base = request.scope.get("root_path", "")
        icons = [
            {"src": f"{base}/assets/icons/icon-{size}.png", "sizes": f"{size}x{size}",
             "type": "image/png", "purpose": "any maskable"}
            for size in (192, 512)
        ]  # fmt: skip
        return JSONResponse(
            {
                "name": look.name,
                "short_name": look.name,
                "start_url": f"{base}/",
                "display": "standalone",
                "background_color": "#fbfaf8",
                "theme_color": "#fbfaf8",
                "icons": icons,
            },
            media_type="application/manifest+json",
        )

    @router.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def unknown(path: str) -> JSONResponse:
        # the page's mount would answer with a page, and hold a client's memory for it
        return JSONResponse({"message": f"There is no /api/{path}.", "code": "not_found"}, 404)

    return router


def _logo(look: Look, assets: Path) -> Path:
    return look.logo or assets / "logo.svg"


def _version_of(assets: Path) -> str:
    """Name the state of all assets, so that a browser fetches anew what has changed."""
    digest = hashlib.sha256()
    for file in sorted(assets.rglob("*")):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]
