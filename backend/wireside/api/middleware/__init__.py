"""ASGI middleware, outermost first in ``app.py``."""
