"""Formulas in exported pages: the styles, fonts and scripts that render them offline.

The scripts are those of the chat page (``assets/math.js``, ``assets/katex/``). The page's policy
lists them by hash, so that no other script runs; without scripts the page shows the formulas'
source.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256

from wireside.assets import assets_folder

_MARK = 'role="math"'
_SCRIPTS = ("katex/katex.min.js", "katex/mhchem.min.js", "math.js")
_CHEMISTRY = re.compile(r"\\(?:ce|pu)(?![A-Za-z])")
_FACE = re.compile(r"@font-face\{[^}]*?url\(fonts/(KaTeX_[\w-]+)\.woff2\)[^}]*\}")
_SOURCES = re.compile(r"src:url\(fonts/(KaTeX_[\w-]+)\.woff2\)[^}]*")
_RARE_FONTS = {
    "KaTeX_Caligraphic": ("cal", "oldstyle"),
    "KaTeX_Fraktur": ("frak",),
    "KaTeX_Main-Bold": ("bf", "bold", "bm"),
    "KaTeX_Main-BoldItalic": ("bf", "bold", "bm"),
    "KaTeX_Main-Italic": ("it", "emph"),
    "KaTeX_Math-BoldItalic": ("bold", "bm"),
    "KaTeX_SansSerif": ("sf", "sans"),
    "KaTeX_Script": ("scr",),
    "KaTeX_Typewriter": ("tt", "verb"),
}
"""Fonts used by only some commands, by parts of the commands' names; others are always included."""


class ExportedFormulas:
    """Collects the styles, fonts and scripts that the formulas of one page need."""

    def __init__(self) -> None:
        self._has_formula = False
        self._has_chemistry = False
        self._rare: set[str] = set()

    def scan_formulas(self, html: str) -> None:
        """Scan the HTML of an answer for formulas."""
        if _MARK not in html:
            return
        self._has_formula = True
        self._has_chemistry = self._has_chemistry or _CHEMISTRY.search(html) is not None
        for font, parts in _RARE_FONTS.items():
            if font not in self._rare and any(part in html for part in parts):
                self._rare.add(font)

    def head_elements(self) -> str:
        """Return styles, fonts and scripts for the end of the page; "" without a formula."""
        if not self._has_formula:
            return ""
        names = [name for name in _SCRIPTS if self._has_chemistry or "mhchem" not in name]
        attributes = {"math.js": " data-all"}
        scripts = [
            f"<script{attributes.get(name, '')}>{_read_asset(name)}</script>\n" for name in names
        ]
        return f"<style>{self._embedded_styles()}</style>\n{''.join(scripts)}"

    def _embedded_styles(self) -> str:
        def embed_face(found: re.Match[str]) -> str:
            name = found[1]
            family = next((rare for rare in _RARE_FONTS if _is_of_family(name, rare)), "")
            if family and family not in self._rare:
                return ""
            data = b64encode(_read_font(name)).decode()
            return _SOURCES.sub(
                f'src:url(data:font/woff2;base64,{data}) format("woff2")', found[0], count=1
            )

        return _FACE.sub(embed_face, _read_asset("katex/katex.min.css"))


def _is_of_family(name: str, rare: str) -> bool:
    """Return whether a font is a rare one, or belongs to a rare family."""
    return name == rare if "-" in rare else name.partition("-")[0] == rare


@lru_cache(maxsize=1)
def script_sources() -> str:
    """Return the script sources for a page's Content-Security-Policy."""
    digests = (b64encode(sha256(_read_asset(name).encode()).digest()).decode() for name in _SCRIPTS)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def export_policy() -> str:
    """Return the Content-Security-Policy of an exported page."""
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;"
        f" script-src {script_sources()}"
    )


@lru_cache(maxsize=8)
def _read_asset(name: str) -> str:
    text = (assets_folder() / name).read_text(encoding="utf-8")
    assert "</script" not in text
    return text


@lru_cache(maxsize=32)
def _read_font(name: str) -> bytes:
    return (assets_folder() / "katex" / "fonts" / f"{name}.woff2").read_bytes()
