"""The session of one connected client: receives its frames and sends the server's."""
