"""The chat service used by pages and sockets: ask, stop, resume and continue."""
