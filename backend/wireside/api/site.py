"""The documentation as a site, which ``make docs`` builds and a wheel contains.

Each page has a Content-Security-Policy of its own: scripts from this server only, and its inline
scripts by their hashes. A checkout without the site shows the Markdown files as simple pages.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from functools import lru_cache
from os import PathLike, stat_result
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

_INLINE_SCRIPT: Final = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)

_PACKED: Final = (".css", ".js", ".json", ".svg", ".md", "/")
"""Ends of the paths whose responses are compressed: texts, and pages, whose paths end with "/"."""


class DocumentationSite:
    """ASGI application for the documentation, below the path at which it is mounted.

    Args:
        site: folder of the built site; it may appear while the server runs.
        sources: folder of the Markdown files, which are shown while there is no site.
    """

    def __init__(self, site: Path, sources: Path) -> None:
        self._site = site
        self._pages = _SiteFiles(site)
        self._packed_pages = GZipMiddleware(self._pages, minimum_size=1_000)
        self._sources: ASGIApp = _SourceFiles(sources)

    @property
    def is_built(self) -> bool:
        """Whether there is a site."""
        return (self._site / "index.html").is_file()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a page or a file."""
        if not self.is_built:
            await self._sources(scope, receive, send)
        elif scope["path"].endswith(_PACKED):
            await self._packed_pages(scope, receive, send)
        else:
            await self._pages(scope, receive, send)


class _SiteFiles(StaticFiles):
    """The files of the site; browsers revalidate them at each use."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return a file, or a 304, which has the same headers: browsers keep the newer ones."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        file = Path(full_path)
        if file.suffix == ".html":
            hashes = _script_hashes(file, stat_result.st_mtime_ns)
            host = Headers(scope=scope).get("host", "")
            response.headers["Content-Security-Policy"] = _page_policy(hashes, host)
            response.headers["X-Frame-Options"] = "DENY"
        return response


@lru_cache(maxsize=256)
def _script_hashes(file: Path, _mtime_ns: int) -> str:
    """Return the sources of a policy that allow the inline scripts of a page."""
    scripts = _INLINE_SCRIPT.findall(file.read_bytes())
    hashes = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    return "".join(f" 'sha256-{value}'" for value in dict.fromkeys(hashes))


def _page_policy(hashes: str, host: str) -> str:
    return (
        f"default-src 'none'; script-src 'self'{hashes}; worker-src 'self';"
        " style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self';"
        # older Safari does not match WebSockets by 'self'
        f" connect-src 'self' ws://{host} wss://{host}; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )


class _SourceFiles(StaticFiles):
    """The Markdown files as simple pages, and the files that they refer to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._folder = folder
        self._markdown = (
            MarkdownIt("commonmark", {"html": True}).enable("table").use(anchors_plugin)
        )

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a page or a file. The addresses of the site lead to the pages."""
        names = sorted(file.stem for file in self._folder.glob("*.md"))
        name, ends_in_md = path.removesuffix(".md"), path.endswith(".md")
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        if path == ".":
            name = "index" if "index" in names else "protocol"
        elif name in names and not ends_in_md:
            is_folder = scope["path"].endswith("/")
            return RedirectResponse(f"../{name}.md" if is_folder else f"{name}.md")
        if name not in names:
            return await super().get_response(path, scope)
        host = Headers(scope=scope).get("host", "")
        return HTMLResponse(
            self._page(name, names),
            headers={"Content-Security-Policy": _page_policy("", host), "X-Frame-Options": "DENY"},
        )

    def _page(self, name: str, names: Sequence[str]) -> str:
        text = (self._folder / f"{name}.md").read_text("utf-8")
        links = " · ".join(f'<a href="{one}.md">{one}</a>' for one in names)
        script = (
            '<script type="module" src="site/console.js"></script>' if name == "console" else ""
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{html.escape(name)} – Wireside</title><style>{_STYLE}</style>{script}</head>"
            "<body><p><small>These are the plain pages. <code>make docs</code> in a checkout builds"
            " the site with search, which then appears here at once.</small></p>"
            f"<nav>{links}</nav><main>{self._markdown.render(text)}</main></body></html>"
        )


_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
body { max-width: 50rem; margin: 1rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
pre, table { overflow-x: auto; display: block; }
pre { padding: .7rem; background: rgb(127 127 127 / 15%); }
td, th { padding: .3rem .6rem; border: 1px solid rgb(127 127 127 / 40%); text-align: start;
  vertical-align: top; overflow-wrap: normal; }
img { max-width: 100%; }
textarea { width: 100%; }
"""
