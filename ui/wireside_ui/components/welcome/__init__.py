"""The welcome screen."""

from wireside_ui.components.welcome.welcome import View, Welcome

__all__ = ["View", "Welcome"]
