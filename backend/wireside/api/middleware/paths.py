"""Paths that several middlewares treat in a way of their own."""

from __future__ import annotations

from typing import Final

CHAT_PATH: Final = "/ws/ai-chat"
SOCKETS: Final = frozenset({CHAT_PATH, "/ws/doctor"})
PROTOCOL_PATH: Final = "/docs/protocol"
"""Path of the description of the frames."""

PROBES: Final = "/api/health/"
"""Prefix of the health probes, whose ``Host`` is not checked.

Probes send whatever address they were configured with, and learn nothing secret.
"""

PAGE_SOCKET: Final = "/_nicegui_ws/"
"""In the path of the socket behind a page, and of the polling that replaces it."""

NO_PAGES: Final = ("/api/", "/assets/", "/_nicegui/", PAGE_SOCKET)
"""Prefixes of paths that are not pages: an unknown path below them gets a one-line error."""

FILES: Final = frozenset({"/logo", "/manifest.webmanifest", "/favicon.ico", PROTOCOL_PATH})
"""Single paths that are not pages either. All other paths get a page, at least a 404 page."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
