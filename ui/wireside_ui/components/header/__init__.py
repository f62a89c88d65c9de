"""The header bar."""

from wireside_ui.components.header.header import Header

__all__ = ["Header"]
