"""Runs the ASGI application: sockets, HTTP and WebSocket protocols below ASGI."""
