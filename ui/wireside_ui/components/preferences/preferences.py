"""The dialog of settings: those of the browser, the user's data, and links to the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui.element import Element

from wireside_ui.components.kit import KIT
from wireside_ui.i18n.catalogue import NAMES


class Preferences(
    Element,
    component="wireside_preferences.js",
    esm=KIT | {"wireside-preferences": "modules"},
):
    """The dialog, which runs in the browser only and opens on the event ``wireside:show``.

    The settings of the browser are stored in ``localStorage``, the language in a cookie. Changes
    are sent to the other components as the event ``wireside:preferences``. The other settings are
    read and changed by the REST API.
    """

    def __init__(self, *, base: str, words: Mapping[str, str], settings: Sequence[str]) -> None:
        """Create the element.

        Args:
            base: path that the application is mounted at, without a trailing slash.
            words: texts of the interface.
            settings: see ``settings_of``.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["languages"] = list(NAMES.items())
        self._props["settings"] = list(settings)


def settings_of(
    *, is_reader: bool, has_account: bool, has_session: bool, is_sharing: bool
) -> list[str]:
    """Return the ids of the settings that a user has; ``kit/modules/settings.js`` has all.

    Args:
        is_reader: the user may not ask questions.
        has_account: the user has a page for the account.
        has_session: the user has signed in with this browser.
        is_sharing: the user may share conversations.
    """
    ids = ["theme", "accent", "text_size", "density", "language", "read_out", "notify"]
    ids.append("export_all")
    if not is_reader:
        ids += ["enter_sends", "default_preset", "import", "delete_all"]
    if has_account:
        ids += ["account", "keys"]
        ids += ["sessions"] if has_session else []
        ids += ["shares"] if is_sharing else []
    return ids
