"""The ASGI layer: ``/ws/ai-chat``, middleware and routes."""
