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
    "--use-fake-device-for-media-stream",  # a microphone that beeps
    "--use-fake-ui-for-media-stream",  # and the permission for it
    "--host-resolver-rules=MAP chat.test 127.0.0.1",  # a host name that is not a secure context
]
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
"""Programs, the preferred ones first: the shell without a window takes half of the CPU time."""

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
    if own := _playwrights():
        return str(own)
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def find_shell() -> str | None:
    """Return the path of a Chromium without a window, None if there is none."""
    path = find()
    return path if path is not None and "headless" in Path(path).name else None


def _playwrights() -> Path | None:
    """Return the path of Playwright's own Chromium, without a window if that is installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        full = Path(playwright.chromium.executable_path)
    # …/chromium-1234/chrome-linux/chrome, and …/chromium_headless_shell-1234/…/headless_shell
    found, shells = full.parents[1], ("headless_shell", "chrome-headless-shell")
    folder = found.with_name(found.name.replace("chromium-", "chromium_headless_shell-"))
    shell = next((path for name in shells for path in folder.glob(f"*/{name}")), None)
    return shell or (full if full.exists() else None)
