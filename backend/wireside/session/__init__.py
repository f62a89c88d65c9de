"""One connected client: its frames in, its frames out."""
