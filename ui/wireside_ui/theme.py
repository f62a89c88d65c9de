"""Branding of the page and the HTML that applies it in the page's head."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    styles: Sequence[str] = ("theme", "transcript", "page", "sidebar"),
) -> str:
    """Return the HTML to add to the page's head: style sheets, colours, icons.

    The colours are set before the first paint. ``base`` is the path that the application is mounted
    at, without a trailing slash; ``version`` is appended to the addresses of assets.
    """
    css = "".join(
        f'<link rel="stylesheet" href="{base}/assets/css/{name}.css?v={version}">'
        for name in styles
    )
    begin = {"theme": look.theme, "lang": language, "dir": direction, **BACKGROUNDS}
    return (
        f"{css}{_accent(look.accent)}"
        f'<link rel="preload" as="font" type="font/woff2" crossorigin'
        f' href="{base}/assets/fonts/source-sans-3-latin-wght-normal.woff2">'
        f'<link rel="manifest" href="{base}/manifest.webmanifest">'
        f'<link rel="apple-touch-icon" href="{base}/assets/icons/icon-192.png?v={version}">'
        f'<meta name="description" content="{html.escape(look.name)}">'
        f"<script>({_BEFORE_PAINT})({json.dumps(begin)})</script>"
    )


# Runs before the body exists, so that nothing flashes in the wrong colours or direction, and before
# NiceGUI's scripts, which read `sessionStorage` without catching errors: if the browser blocks it,
# it is replaced by an in-memory implementation.
_BEFORE_PAINT = """(begin) => {
  const inMemory = () => Object.create({
    getItem(key) { return Object.hasOwn(this, key) ? this[key] : null; },
    setItem(key, value) { this[key] = String(value); },
    removeItem(key) { delete this[key]; },
    key(n) { return Object.keys(this)[n] ?? null; },
    clear() { for (const key of Object.keys(this)) delete this[key]; },
  });
  for (const name of ["sessionStorage", "localStorage"]) {
    try {
      window[name].setItem("wireside.probe", "1");
      window[name].removeItem("wireside.probe");
    } catch (error) {
      if (error.name === "QuotaExceededError" && name === "localStorage") continue; // it is full
      window.wiresideStorageBlocked = true;
      try {
        Object.defineProperty(window, name, { value: inMemory(), configurable: true });
      } catch {}
    }
  }
  const root = document.documentElement;
  root.lang = begin.lang;
  root.dir = begin.dir;
  let theme;
  const recall = () => {
    theme = begin.theme;
    try { theme = localStorage.getItem("wireside.theme") || theme; } catch {}
  };
  const bar = document.head.appendChild(document.createElement("meta"));
  bar.name = "theme-color";
  try {
    const isClosed = localStorage.getItem("wireside.sidebar") === "closed";
    root.classList.toggle("ws-sidebar-closed", isClosed);
  } catch {}
  const dark = matchMedia("(prefers-color-scheme: dark)");
  window.wiresideTheme = (choice) => {
    recall();
    if (choice) {
      theme = choice;
      try { localStorage.setItem("wireside.theme", choice); } catch {}
    }
    const isDark = theme === "dark" || (theme === "system" && dark.matches);
    root.classList.toggle("ws-dark", isDark);
    root.style.colorScheme = isDark ? "dark" : "light";
    bar.content = isDark ? begin.dark : begin.light;
    document.body?.classList.toggle("body--dark", isDark);
    return theme;
  };
  dark.addEventListener("change", () => window.wiresideTheme());
  document.addEventListener("DOMContentLoaded", () => window.wiresideTheme());
  window.wiresideTheme();
}"""


def _accent(colour: str | None) -> str:
    if colour is None:
        return ""
    dark = f"color-mix(in oklab, {colour} 62%, white)"
    return (
        f"<style>:root{{--ws-accent:{colour}}}"
        f"@media screen{{html.ws-dark,body.body--dark{{--ws-accent:{dark}}}}}</style>"
    )
