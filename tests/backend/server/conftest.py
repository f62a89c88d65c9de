"""Fixtures that serve an application and open connections to it."""

from tests.served_app import connect, echo, serve

__all__ = ["connect", "echo", "serve"]
