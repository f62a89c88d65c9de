"""The welcome screen."""

from wireside_ui.components.welcome.welcome import Welcome

__all__ = ["Welcome"]
