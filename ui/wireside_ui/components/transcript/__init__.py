"""The transcript."""

from wireside_ui.components.transcript.transcript import Transcript

__all__ = ["Transcript"]
