"""The header bar: name, colour theme, keyboard shortcuts, new chat, and its child elements."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui.element import Element

from wireside_ui.components.kit import KIT


class Header(Element, component="wireside_header.js", esm=KIT):
    """The header element, which runs in the browser only.

    The chosen colour theme is stored in ``localStorage``. Child elements are placed in a row after
    the name.
    """

    def __init__(self, *, name: str, logo: str, base: str, words: Mapping[str, str]) -> None:
        super().__init__()
        self._props["name"] = name
        self._props["logo"] = logo
        self._props["base"] = base
        self._props["words"] = dict(words)
