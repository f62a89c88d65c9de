"""Doors: endpoints in the protocols of other clients, such as the AI SDK's or OpenAI's.

A door decodes the requests of its clients and encodes what they get; asking, reading, stopping and
owning answers are the chat service's, as for pages and ``/ws/ai-chat``. A conversation that begins
through one door is therefore live in all others and in the page. Each door is loaded on its first
request (``lazy.py``).
"""
