"""Branding of the page and the HTML that applies it in the page's head."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wireside_ui.inline_scripts import inline

BACKGROUNDS = {"light": "#fbfaf8", "dark": "#171614"}
"""``--ws-bg`` of ``theme.css``, for the browser's own interface around the page."""

Theme = Literal["system", "light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """The branding settings. If ``starters`` or ``tagline`` is empty, the built-in one is shown."""

    name: str = "Wireside"
    tagline: str = ""
    logo: Path | None = None
    accent: str | None = None
    starters: tuple[str, ...] = ()
    theme: Theme = "system"
    image_hosts: tuple[str, ...] = ()


def head_html(
    look: Branding,
    *,
    base: str,
    version: str,
    language: str,
    direction: str,
    page: str = "chat",
    user: str = "",
) -> str:
    """Return the HTML to add to the page's head: style sheets, colours, icons.

    The colours are set before the first paint. ``base`` is the path that the application is mounted
    at, without a trailing slash; ``version`` is appended to the addresses of assets. ``page`` is
    the page's name in ``styles.PAGES``; ``user`` is that of ``storage_keys``.
    """
    css = f'<link rel="stylesheet" href="{base}/assets/css/{page}.css?v={version}">'
    begin = {
        "keys": storage_keys(base, user),
        "theme": look.theme,
        "lang": language,
        "dir": direction,
        **BACKGROUNDS,
    }
    return (
        # in front of the sheets, for which a script waits
        f"<script>({inline('before_paint')})({json.dumps(begin)})</script>"
        f"{css}{_accent(look.accent)}"
        f'<link rel="preload" as="font" type="font/woff2" crossorigin'
        f' href="{base}/assets/fonts/source-sans-3-latin-wght-normal.woff2">'
        f'<link rel="manifest" href="{base}/manifest.webmanifest">'
        f'<link rel="apple-touch-icon" href="{base}/assets/icons/icon-192.png?v={version}">'
        f'<meta name="description" content="{html.escape(look.name)}">'
    )


def storage_keys(base: str, user: str = "") -> str:
    """Return the prefix of a chat's keys in the browser's storage, which an origin shares.

    ``user`` is the id of the user whose drafts nobody else of this browser may see; "" where a
    sign-out deletes them.
    """
    return f"wireside{base}@{user}." if user else f"wireside{base}."


def _accent(colour: str | None) -> str:
    if colour is None:
        return ""
    dark = f"color-mix(in oklab, {colour} 62%, white)"
    return (
        f"<style>:root{{--ws-accent:{colour}}}"
        f"@media screen{{html.ws-dark,body.body--dark{{--ws-accent:{dark}}}}}</style>"
    )
