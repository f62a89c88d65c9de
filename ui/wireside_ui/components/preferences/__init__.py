"""The dialog of settings."""

from wireside_ui.components.preferences.preferences import Preferences, settings_of

__all__ = ["Preferences", "settings_of"]
