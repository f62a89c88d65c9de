"""What routes get of the request: who asks, and the chat as they may use it (``who.py``)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from wireside.chat.library import Library
from wireside.chat.service import ChatService
from wireside.errors import Unauthorized
from wireside.identity import Caller


def chat(request: Request) -> ChatService:
    """Return the chat as the caller may use it. Raises ``Unauthorized``."""
    found: ChatService | None = getattr(request.state, "chat", None)
    if found is None:
        raise Unauthorized
    return found


def library(request: Request) -> Library:
    """Return the caller's conversations. Raises ``Unauthorized``."""
    return chat(request).library


def caller(request: Request) -> Caller:
    """Return who asks. Raises ``Unauthorized``."""
    return chat(request).caller


WhoAsks = Annotated[Caller, Depends(caller)]
TheirChat = Annotated[ChatService, Depends(chat)]
TheirLibrary = Annotated[Library, Depends(library)]
