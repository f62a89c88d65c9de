"""Branding of the page and the HTML that applies it in the page's head."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wireside_ui.inline_scripts import inline

BACKGROUNDS = {"light": "#fbfaf8", "dark": "#171614"}
"""``--ws-bg`` of ``theme.css``, for the browser's own interface around the page."""

_STOP = re.compile(r'stop-color="#[0-9a-f]{6}"')
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_ADDRESS = re.compile(r"https?://[^/]|mailto:|/(?!/)")
_VARIABLE = re.compile(r"--[a-zA-Z0-9_-]+")
_LEAVES_VALUE = re.compile(r"[;{}<\\]|/\*|\n")
"""What would end the value of a CSS variable, or the style element around it."""

Theme = Literal["system", "light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """The look of the pages. If ``starters`` or ``tagline`` is empty, the built-in one is shown.

    ``welcome`` is Markdown and replaces the tagline in an empty chat. ``footer`` replaces the line
    below the message box, and ``links`` are addresses by label below it. ``css_variables`` are
    values by name (``--ws-bg``); a pair is for light and dark.

    Raises:
        ValueError: a colour, a link or a CSS variable is invalid; the text is a sentence.
    """

    name: str = "Wireside"
    tagline: str = ""
    logo: Path | None = None
    accent: str | None = None
    starters: tuple[str, ...] = ()
    theme: Theme = "system"
    image_hosts: tuple[str, ...] = ()
    welcome: str = ""
    footer: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    css_variables: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.accent and not _COLOUR.fullmatch(self.accent):
            raise ValueError(f"The accent {self.accent!r} is no colour: write it as #rrggbb.")
        for label, url in self.links.items():
            if not _ADDRESS.match(url):
                raise ValueError(f"The link {label!r} leads to {url!r}: use https:// or a path.")
        for name, value in self.css_variables.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a CSS variable, such as --ws-bg.")
            for one in (value,) if isinstance(value, str) else value:
                if not one.strip() or _LEAVES_VALUE.search(one):
                    raise ValueError(f"{one!r} is no value of the CSS variable {name}.")

    @property
    def backgrounds(self) -> dict[str, str]:
        """The background in light and dark, for the browser's own interface around the page.

        A value of ``--ws-bg`` that is no plain colour, such as one with a variable, is left out.
        """
        given = self.css_variables.get("--ws-bg", ())
        light, dark = (given, given) if isinstance(given, str) else given or ("", "")
        return {
            name: value if _COLOUR.fullmatch(value) else BACKGROUNDS[name]
            for name, value in (("light", light), ("dark", dark))
        }

    @property
    def css(self) -> str:
        """The rules of the accent and of the CSS variables; "" for none."""
        light, dark = dict[str, str](), dict[str, str]()
        if self.accent:
            light["--ws-accent"] = self.accent
            dark["--ws-accent"] = f"color-mix(in oklab, {self.accent} 62%, white)"
        for name, value in self.css_variables.items():
            light[name], dark[name] = (value, value) if isinstance(value, str) else value
        if not light:
            return ""
        return (
            f":root{{{_declared(light)}}}"
            f"@media screen{{html.ws-dark,body.body--dark{{{_declared(dark)}}}}}"
        )


def accented(logo: str, accent: str) -> str:
    """Return the built-in logo, an SVG, with the colours of its gradient made from an accent."""
    parts = [int(accent[at : at + 2], 16) for at in (1, 3, 5)]
    light = "".join(f"{round(part + (255 - part) * 0.25):02x}" for part in parts)
    dark = "".join(f"{round(part * 0.78):02x}" for part in parts)
    colours = iter((light, dark))
    return _STOP.sub(lambda _: f'stop-color="#{next(colours)}"', logo, count=2)


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
        **look.backgrounds,
    }
    return (
        # in front of the sheets, for which a script waits
        f"<script>({inline('before_paint')})({json.dumps(begin)})</script>"
        f"{css}{_style(look.css)}"
        f'<link rel="preload" as="font" type="font/woff2" crossorigin'
        f' href="{base}/assets/fonts/source-sans-3-latin-wght-normal.woff2">'
        f"{icon_links(look, base=base, version=version)}"
        f'<meta name="description" content="{html.escape(look.name)}">'
    )


def icon_links(look: Branding, *, base: str, version: str) -> str:
    """Return the links of a page's head by which browsers install the application.

    The manifest is requested with cookies: it is in the chosen language, and passes a proxy that
    needs them.
    """
    manifest = f"{base}/manifest.webmanifest"
    links = f'<link rel="manifest" href="{manifest}" crossorigin="use-credentials">'
    if look.logo is None:
        icon = f"{base}/assets/icons/icon-192.png?v={version}"
    elif look.logo.suffix.lower() == ".svg":
        return links  # iOS shows no SVG on its home screen
    else:
        icon = f"{base}/logo?v={version}"
    return f'{links}<link rel="apple-touch-icon" href="{icon}">'


def storage_keys(base: str, user: str = "") -> str:
    """Return the prefix of a chat's keys in the browser's storage, which an origin shares.

    ``user`` is the id of the user whose drafts nobody else of this browser may see; "" where a
    sign-out deletes them.
    """
    return f"wireside{base}@{user}." if user else f"wireside{base}."


def _style(css: str) -> str:
    return f"<style>{css}</style>" if css else ""


def _declared(variables: Mapping[str, str]) -> str:
    return ";".join(f"{name}:{value}" for name, value in variables.items())
