"""The connection status."""

from wireside_ui.components.status.status import Status

__all__ = ["Status"]
