"""What an empty chat shows: the name, one line, four questions to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from nicegui.element import Element

View = Literal["hidden", "empty", "missing"]
"""``missing``: the conversation of this address is not here any more."""


class Welcome(Element, component="wireside_welcome.js"):
    """A click on a starter sends it. Leaves when the conversation has begun."""

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
        """Show what fits the conversation."""
        if view != self._view:
            self._view = view
            self.run_method("setView", view)

    def show_problem(self, sentence: str) -> None:
        """Say what must be set up before anybody can ask anything; nothing, once it is."""
        self.run_method("setProblem", sentence)
