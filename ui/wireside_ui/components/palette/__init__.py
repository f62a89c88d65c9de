"""The command palette."""

from wireside_ui.components.palette.palette import Palette

__all__ = ["Palette"]
