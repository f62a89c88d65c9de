"""The bar at the top: name, colours, shortcuts, new chat; between them what is put into it."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui.element import Element


class Header(Element, component="wireside_header.js"):
    """Works in the browser alone: the chosen colours are the browser's (``localStorage``).

    Its children stand in a row after the name.
    """

    def __init__(self, *, name: str, logo: str, base: str, words: Mapping[str, str]) -> None:
        super().__init__()
        self._props["name"] = name
        self._props["logo"] = logo
        self._props["base"] = base
        self._props["words"] = dict(words)
