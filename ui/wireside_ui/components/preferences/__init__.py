"""The dialog of preferences."""

from wireside_ui.components.preferences.preferences import Preferences

__all__ = ["Preferences"]
