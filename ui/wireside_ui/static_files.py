"""Serves the static files of the pages: cached, compressed; sheets and scripts are joined."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import NotModifiedResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.assets import assets_folder
from wireside_ui import bundle, client_package, styles

KEPT = "public, max-age=31536000, immutable"
"""``Cache-Control`` of assets with a version in their address."""

_VERSIONED = ("css/", "fonts/", "icons/", "js/", "katex/", "account.js", "math.js")

_joined = cache(styles.joined)

JOINED: Mapping[str, Callable[[], str]] = {
    **{f"css/{page}.css": partial(_joined, page) for page in styles.PAGES},
    **{f"js/{page}.js": partial(bundle.bundled, page) for page in bundle.PAGES},
    "js/doctor.js": bundle.doctor,
    "client/wireside.js": client_package.module,
    # a name that Node treats as an ES module regardless of `package.json`
    "client/wireside.mjs": client_package.module,
}
"""Files that are made of others: the function that returns the text of each, by path."""

PACKAGE = "client/wireside-client.tgz"
"""The path of the client as an npm package."""


class Assets(StaticFiles):
    """The files of ``assets/`` with cache headers, and the joined style sheets and scripts.

    Assets that only our own pages load have a version in their address and are cached permanently;
    the others (the client library that other sites load) are revalidated at each use.
    """

    def __init__(self) -> None:
        super().__init__(directory=assets_folder())

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve the file."""
        if path == PACKAGE:
            response = made_response(client_package.tarball(), "application/gzip", scope)
        elif path in JOINED:
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            response = made_response(JOINED[path]().encode(), kind, scope)
        else:
            response = await super().get_response(path, scope)
        if path.endswith(".d.mts"):
            response.headers["Content-Type"] = "text/plain; charset=utf-8"  # not a 3D model
        is_ours = path.startswith(_VERSIONED)
        response.headers["Cache-Control"] = KEPT if is_ours else "no-cache"
        return response


def made_response(content: bytes, kind: str, scope: Scope) -> Response:
    """Return a response with a tag of its content; 304 if the client has that content."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if Headers(scope=scope).get("if-none-match") == tag:
        return NotModifiedResponse(Headers({"etag": tag}))
    return Response(content, media_type=kind, headers={"ETag": tag})


class Packed:
    """Compresses text assets with gzip; fonts and images are already compressed."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packed = GZipMiddleware(app, minimum_size=1_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the file."""
        is_text = scope["path"].endswith((".css", ".js", ".mjs", ".mts", ".svg", ".json"))
        await (self._packed if is_text else self._plain)(scope, receive, send)


def version_of(logo: Path, accent: str | None = None) -> str:
    """Return a hash of all assets, so that browsers reload changed files.

    ``accent`` colours the built-in logo.
    """
    digest = hashlib.sha256((accent or "").encode())
    for file in (*sorted(assets_folder().rglob("*")), logo):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    for text in JOINED.values():
        digest.update(text().encode())
    return digest.hexdigest()[:12]
