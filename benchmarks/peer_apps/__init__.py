"""Chats as the documentation of other frameworks writes them; each runs in its own environment.

The port is in ``PORT``, the model's address in ``OPENAI_BASE_URL``.
"""
