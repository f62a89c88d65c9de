"""Clients of a Wireside server: ``AsyncClient`` for asyncio, ``Client`` for other programs.

Both keep one connection to ``/ws/ai-chat``, open it again when it is lost, and continue answers
where they were cut. ``core`` is their state machine without I/O, for clients on other libraries.
"""

from wireside.client.aio import AsyncAnswer, AsyncBatch, AsyncClient, AsyncConversation
from wireside.client.core import ClientCore, Metrics, State
from wireside.client.errors import ClientClosed, ConnectionLost, UnknownError
from wireside.client.requests import Piece
from wireside.client.rest import RestApi, Upload
from wireside.client.sync import Answer, Batch, Client, Conversation
from wireside.errors import WiresideError
from wireside.messages import Message, Usage

__all__ = [
    "Answer",
    "AsyncAnswer",
    "AsyncBatch",
    "AsyncClient",
    "AsyncConversation",
    "Batch",
    "Client",
    "ClientClosed",
    "ClientCore",
    "ConnectionLost",
    "Conversation",
    "Message",
    "Metrics",
    "Piece",
    "RestApi",
    "State",
    "UnknownError",
    "Upload",
    "Usage",
    "WiresideError",
]
