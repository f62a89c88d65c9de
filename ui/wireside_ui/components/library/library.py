"""The library: dialogs with the user's prompts and presets."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui.element import Element

from wireside_ui.components.kit import KIT


class LibraryDialog(
    Element, component="wireside_library.js", esm=KIT | {"wireside-library": "modules"}
):
    """The dialogs, which the browser's event ``wireside:library`` opens.

    They read and change prompts and presets by the REST API.
    """

    def __init__(
        self, *, base: str, words: Mapping[str, str], can_share: bool, is_reader: bool
    ) -> None:
        """Create the element.

        Args:
            base: path that the application is mounted at, without a trailing slash.
            words: texts of the interface.
            can_share: the user may share prompts and presets with all users.
            is_reader: the user may change nothing.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["can-share"] = can_share
        self._props["is-reader"] = is_reader
