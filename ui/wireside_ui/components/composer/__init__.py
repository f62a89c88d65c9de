"""The message composer."""

from wireside_ui.components.composer.composer import Composer

__all__ = ["Composer"]
