"""The banners of administrators on top of the chat page."""

from wireside_ui.components.banners.banners import Banners

__all__ = ["Banners"]
