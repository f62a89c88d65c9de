"""Fixtures that serve an application and open connections to it."""

from served_app import connect, echo, serve

__all__ = ["connect", "echo", "serve"]
