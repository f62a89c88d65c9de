"""ASGI and what lies below it: sockets, handshakes, headers. Translates and passes on."""
