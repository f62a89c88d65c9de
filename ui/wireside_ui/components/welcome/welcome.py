"""The welcome screen of an empty chat: name, tagline and starter questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui.element import Element

from wireside_ui.components.kit import KIT
from wireside_ui.presenters.views import WelcomeState


class Welcome(Element, component="wireside_welcome.js", esm=KIT):
    """The welcome element, hidden once there are turns. A click on a starter question sends it."""

    def __init__(
        self,
        *,
        name: str,
        tagline: str,
        logo: str,
        starters: Sequence[str],
        welcome: str = "",
        user_starters: Sequence[str] = (),
        words: Mapping[str, str],
        view: WelcomeState,
        is_reader: bool = False,
    ) -> None:
        """Create the element.

        Args:
            name: name of the application.
            tagline: line below it.
            logo: address of the logo.
            starters: questions, unless the chosen model has its own.
            welcome: sanitised HTML that replaces the tagline, "" for none.
            user_starters: questions for this user, which replace all others.
            words: texts of the interface.
            view: what is shown first.
            is_reader: the user may not ask questions.
        """
        super().__init__()
        self._view = view
        self._props["welcome"] = welcome
        self._props["user-starters"] = list(user_starters)
        self._props["name"] = name
        self._props["tagline"] = tagline
        self._props["logo"] = logo
        self._props["starters"] = list(starters)
        self._props["words"] = dict(words)
        self._props["view"] = view
        self._props["is-reader"] = is_reader

    def show(self, view: WelcomeState) -> None:
        """Switch to ``view``."""
        if view != self._view:
            self._view = view
            self.run_method("setView", view)

    def show_start(self, welcome: str, starters: Sequence[str]) -> None:
        """Show the texts of a new chat for this user: sanitised HTML, and questions of its own.

        Without questions of its own, those of the chosen model or of the chat are shown.
        """
        self.run_method("setStart", welcome, list(starters))

    def show_problem(self, sentence: str) -> None:
        """Show what must be configured before questions can be asked; "" hides the message."""
        self.run_method("setProblem", sentence)
