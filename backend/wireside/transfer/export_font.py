"""The text font of an exported page, within the page: it loads nothing."""

from __future__ import annotations

from base64 import b64encode
from functools import cache

from wireside.assets import assets_folder

FACE = "source-sans-3-latin-wght-normal"
"""Latin letters in all weights, 29 KB; other scripts have the reader's fonts."""


@cache
def font_styles() -> str:
    """Return the style rule of the font."""
    data = b64encode((assets_folder() / "fonts" / f"{FACE}.woff2").read_bytes()).decode()
    return (
        '@font-face{font-family:"Source Sans 3";font-weight:200 900;font-display:swap;'
        f'src:url(data:font/woff2;base64,{data}) format("woff2")}}'
    )
