"""The library of prompts and presets."""

from wireside_ui.components.library.library import LibraryDialog

__all__ = ["LibraryDialog"]
