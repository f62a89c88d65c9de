"""The ASGI layer and the server below it: sockets, handshakes, headers, middleware and routes."""
