"""The dialog of preferences, which belong to the browser and need no account."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui.element import Element

from wireside_ui.components.kit import KIT
from wireside_ui.i18n.catalogue import NAMES


class Preferences(Element, component="wireside_preferences.js", esm=KIT):
    """The dialog, which runs in the browser only and opens on the event ``wireside:show``.

    The preferences are stored in ``localStorage``, the language in a cookie. Changes are sent to
    the other components as the event ``wireside:preferences``.
    """

    def __init__(self, *, base: str, words: Mapping[str, str]) -> None:
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["languages"] = list(NAMES.items())
