"""The welcome screen of an empty chat: name, tagline and four starter questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from nicegui.element import Element

View = Literal["hidden", "empty", "missing"]
"""``missing``: the conversation in the page's address no longer exists."""


class Welcome(Element, component="wireside_welcome.js"):
    """The welcome element, hidden once there are turns. A click on a starter question sends it."""

    def __init__(
        self,
        *,
        name: str,
        tagline: str,
        logo: str,
        starters: Sequence[str],
        words: Mapping[str, str],
        view: View,
    ) -> None:
        super().__init__()
        self._view = view
        self._props["name"] = name
        self._props["tagline"] = tagline
        self._props["logo"] = logo
        self._props["starters"] = list(starters)
        self._props["words"] = dict(words)
        self._props["view"] = view

    def show(self, view: View) -> None:
        """Switch to ``view``."""
        if view != self._view:
            self._view = view
            self.run_method("setView", view)

    def show_problem(self, sentence: str) -> None:
        """Show what must be configured before questions can be asked; "" hides the message."""
        self.run_method("setProblem", sentence)
