"""The command palette: one list of conversations, models, presets, prompts and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui.element import Element

from wireside_ui.components.kit import KIT


class Palette(Element, component="wireside_palette.js", esm=KIT | {"wireside-palette": "modules"}):
    """The palette, which Ctrl+K opens. It reads conversations by the REST API."""

    def __init__(
        self,
        *,
        base: str,
        words: Mapping[str, str],
        is_reader: bool,
        links: Mapping[str, str],
        settings: Sequence[str],
    ) -> None:
        """Create the element.

        Args:
            base: path that the application is mounted at, without a trailing slash.
            words: texts of the interface.
            is_reader: the user may change nothing.
            links: addresses of other pages by their labels.
            settings: see ``settings_of`` of the dialog of settings.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["is-reader"] = is_reader
        self._props["links"] = list(links.items())
        self._props["settings"] = list(settings)
