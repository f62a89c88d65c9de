"""The language of a request: the one chosen in this browser, else the one that it prefers."""

from __future__ import annotations

from fastapi import Request

from wireside_ui.i18n.catalogue import LANGUAGES, language_of

COOKIE = "wireside_language"
"""Set by the page's menu (``components/kit/modules/language.js``)."""


def language_of_request(request: Request) -> str:
    """Return the available language for a request."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return language_of(request.headers.get("accept-language", ""))
