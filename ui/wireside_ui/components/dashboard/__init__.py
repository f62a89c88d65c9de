"""The dashboard."""

from wireside_ui.components.dashboard.dashboard import Dashboard

__all__ = ["Dashboard"]
