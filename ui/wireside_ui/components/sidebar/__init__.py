"""The sidebar."""

from wireside_ui.components.sidebar.sidebar import Sidebar

__all__ = ["Sidebar"]
