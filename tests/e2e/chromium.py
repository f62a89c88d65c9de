"""Finds a Chromium for the browser tests and for their installation, and holds its options."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP chat.test 127.0.0.1",  # a host name that is not a secure context
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (e) => __violated(
  `${e.effectiveDirective} refused ${e.blockedURI} ${e.sample}`
  + ` on ${e.documentURI} (${e.sourceFile}:${e.lineNumber})`,
))
"""
"""Makes a page call ``__violated`` with each violation of its Content-Security-Policy."""


def find() -> str | None:
    """Return the path of a Chromium: the configured one, Playwright's own, or the system's."""
    if named := os.environ.get("WIRESIDE_CHROMIUM"):
        return named
    own = _playwrights()
    if own is not None and own.exists():
        return str(own)
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _playwrights() -> Path | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)
