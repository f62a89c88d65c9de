"""The message composer."""

from wireside_ui.components.composer.composer import Composer, Sending

__all__ = ["Composer", "Sending"]
