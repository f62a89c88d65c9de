"""The NiceGUI pages, one per module."""
