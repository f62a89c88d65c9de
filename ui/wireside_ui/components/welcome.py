"""What an empty chat shows: the name, one line, four questions to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui.element import Element


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
    ) -> None:
        super().__init__()
        self._props["name"] = name
        self._props["tagline"] = tagline
        self._props["logo"] = logo
        self._props["starters"] = list(starters)
        self._props["words"] = dict(words)

    def show(self, is_shown: bool) -> None:
        """Show or hide it."""
        self.run_method("setShown", is_shown)

    def show_problem(self, sentence: str) -> None:
        """Say what must be set up before anybody can ask anything."""
        self.run_method("setProblem", sentence)

    def show_missing(self) -> None:
        """Say that the conversation of this address is not here any more."""
        self.run_method("setMissing")
