"""What a person can do: ask, stop, resume, go on. The one entry for pages and sockets."""
