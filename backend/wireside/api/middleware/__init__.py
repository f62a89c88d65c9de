"""ASGI middleware, put in order by ``bootstrap/http.py``."""
