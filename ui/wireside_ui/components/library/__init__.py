"""The library of prompts and presets."""

from wireside_ui.components.library.library import Library

__all__ = ["Library"]
