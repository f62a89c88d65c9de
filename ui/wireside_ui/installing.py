"""What browsers need to install the pages as an application: manifest, icons, service worker.

All of it needs no sign-in, so that a user can install the application before signing in.
"""

from __future__ import annotations

import base64
import mimetypes
import struct
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from wireside.api.policy import FILE, with_policy
from wireside_ui.application_pages import NICEGUI_PATH
from wireside_ui.i18n.catalogue import direction_of, words_in
from wireside_ui.offline import WORKER_PATH, WORKER_POLICY, ServiceWorker
from wireside_ui.request_language import language_of_request
from wireside_ui.static_files import KEPT, made_response
from wireside_ui.theme import Branding, accented

ICON_SIZES: Final = (192, 512)
"""Pixels of the icons in ``assets/icons``, whose margin is wide enough for any mask."""

SAFE_SHARE: Final = 0.62
"""Part of an icon's width that a logo takes: any mask shows a circle of 0.8 of the width."""

ICON_POLICY: Final = "default-src 'none'; img-src data:; sandbox"
"""Content-Security-Policy of the icon, which has the logo in it."""


def installing_router(
    look: Branding, logo: Path, version: str, *, frame_ancestors: Iterable[str] = ()
) -> APIRouter:
    """Return the routes of logo, icons, manifest and service worker.

    Args:
        look: the branding.
        logo: file of the logo.
        version: version of the assets, which is appended to their addresses.
        frame_ancestors: sources of pages that may embed the chat.
    """
    router = APIRouter(include_in_schema=False)
    worker = ServiceWorker(look, version, frame_ancestors=frame_ancestors)
    own_logo = None
    if look.accent and look.logo is None:
        own_logo = accented(logo.read_text("utf-8"), look.accent)

    @router.get("/logo")
    @router.get("/favicon.ico")
    @router.get(f"{NICEGUI_PATH}/favicon.ico")
    async def show_logo() -> Response:
        headers = {"Cache-Control": KEPT}
        if own_logo is not None:
            return Response(own_logo, media_type="image/svg+xml", headers=headers)
        kind = mimetypes.guess_type(logo.name)[0]
        return FileResponse(logo, media_type=kind, headers=headers)

    @router.get("/icon.svg")
    async def show_icon() -> Response:
        headers = {"Cache-Control": KEPT, "Content-Security-Policy": ICON_POLICY}
        maskable = masked_icon(logo, look.backgrounds["light"])
        return Response(maskable, media_type="image/svg+xml", headers=headers)

    @router.get("/manifest.webmanifest")
    async def manifest(request: Request) -> JSONResponse:
        return JSONResponse(
            manifest_of(look, logo, version, language=language_of_request(request)),
            media_type="application/manifest+json",
            headers={"Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"},
        )

    @router.get(WORKER_PATH)
    async def service_worker(request: Request) -> Response:
        script = worker.script(request.scope.get("root_path", ""))
        response = made_response(script.encode(), "text/javascript", request.scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = WORKER_POLICY
        return response

    return with_policy(router, FILE)


def manifest_of(look: Branding, logo: Path, version: str, *, language: str) -> dict[str, Any]:
    """Return the web app manifest; its addresses are relative to its own.

    Args:
        look: the branding.
        logo: file of the logo.
        version: version of the assets, which is appended to their addresses.
        language: language of the texts.
    """
    words = words_in(language)
    background = look.backgrounds["light"]
    return {
        "name": look.name,
        "short_name": look.name,
        "description": look.tagline or words["tagline"],
        "lang": language,
        "dir": direction_of(language),
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": background,
        "theme_color": background,
        "icons": _own_icons(logo, version) if look.logo else _icons(version),
        "shortcuts": [
            {"name": words["new_chat"], "url": "./"},
            {"name": words["temporary_chat"], "url": "./?temporary=1"},
        ],
        "share_target": {
            "action": "./",
            "method": "GET",
            "params": {"title": "title", "text": "text", "url": "url"},
        },
    }


def masked_icon(logo: Path, background: str) -> bytes:
    """Return an SVG with a logo in its middle, which any mask leaves whole."""
    kind = mimetypes.guess_type(logo.name)[0] or "image/png"
    data = base64.b64encode(logo.read_bytes()).decode()
    margin, width = (1 - SAFE_SHARE) / 2 * 512, SAFE_SHARE * 512
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512">'
        f'<rect width="512" height="512" fill="{background}"/>'
        f'<image x="{margin:.0f}" y="{margin:.0f}" width="{width:.0f}" height="{width:.0f}"'
        f' href="data:{kind};base64,{data}"/></svg>'
    ).encode()


def _icons(version: str) -> list[dict[str, str]]:
    icon = partial(_icon, version=version)
    return [
        icon("logo", "any", "image/svg+xml", "any"),
        *(
            icon(f"assets/icons/icon-{size}.png", f"{size}x{size}", "image/png", purpose)
            for purpose in ("any", "maskable")
            for size in ICON_SIZES
        ),
    ]


def _own_icons(logo: Path, version: str) -> list[dict[str, str]]:
    """Return the icons of a team's logo."""
    kind = mimetypes.guess_type(logo.name)[0] or "image/png"
    return [
        _icon("logo", _sizes(logo), kind, "any", version=version),
        _icon("icon.svg", "any", "image/svg+xml", "maskable", version=version),
    ]


def _icon(path: str, sizes: str, kind: str, purpose: str, *, version: str) -> dict[str, str]:
    return {"src": f"{path}?v={version}", "sizes": sizes, "type": kind, "purpose": purpose}


def _sizes(logo: Path) -> str:
    """Return the size of a PNG; of another image, "any"."""
    head = logo.read_bytes()[:24]
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        return "any"
    width, height = struct.unpack(">II", head[16:24])
    return f"{width}x{height}"
