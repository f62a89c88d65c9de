"""Detects in a browser what hostile text must not cause."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Request

JUDGE = (Path(__file__).with_name("judge.js")).read_text(encoding="utf-8")

TEXTS = (
    ".ws-turn-parts, .ws-prose, .ws-turn-bubble, .ws-turn-fold, .ws-turn-think-text,"
    " .ws-turn-tool-call-text, .ws-turn-note-text"
)


class Watch:
    """Records everything in a browser that hostile text must not cause."""

    def __init__(self, context: BrowserContext, canary: str) -> None:
        self.found: list[str] = []
        self.origins: set[str] = set()
        context.expose_binding(canary, lambda _, number=None: self._say(f"ran: {number}"))
        context.on("request", self._request)
        context.on("dialog", self._dialog)
        context.on("page", self._page)

    def allow(self, url: str) -> None:
        """Allow requests to this server, which the page itself makes."""
        self.origins.add(urlsplit(url).netloc)

    def judge(self, page: Page, roots: str = TEXTS) -> None:
        """Fail with all findings so far, and those in the page's current state."""
        for sentence in page.evaluate(JUDGE, roots):
            self._say(sentence)
        self.is_quiet()

    def is_quiet(self) -> None:
        """Fail with all findings so far."""
        found, self.found = self.found, []
        assert found == [], "\n".join([f"{len(found)} findings", *found[:20]])

    def _say(self, sentence: str) -> None:
        self.found.append(sentence)

    def _request(self, request: Request) -> None:
        self._address("request", request.url)

    def _address(self, what: str, url: str) -> None:
        parts = urlsplit(url)
        if (
            parts.scheme in ("http", "https", "ws", "wss", "ftp")
            and parts.netloc not in self.origins
        ):
            self._say(f"{what}: {url}")

    def _dialog(self, dialog: Any) -> None:
        self._say(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._address("socket", socket.url))
        if page.opener() is not None:
            self._say(f"a window: {page.url}")


def watched(context: BrowserContext, corpus: ModuleType, url: str) -> tuple[Watch, Page]:
    watch = Watch(context, corpus.CANARY)
    watch.allow(url)
    return watch, context.new_page()
