"""Fixtures: an application that is served, and connections to it."""

from served_app import connect, echo, serve

__all__ = ["connect", "echo", "serve"]
