"""Checks of a server, one module per subject; ``catalogue`` lists them."""
