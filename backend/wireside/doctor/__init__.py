"""``wireside doctor``: checks of an installation, and of the way to a server."""
