"""Scenarios for a client: a misbehaving server, and what a client must do about it."""
