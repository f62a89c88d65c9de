"""FastAPI dependencies: the caller, the caller's chat service and library as authenticated."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from wireside.chat.library import Library
from wireside.chat.service import ChatService
from wireside.errors import Unauthorized
from wireside.files.service import CallerFiles
from wireside.identity import Caller


def chat(request: Request) -> ChatService:
    """Return the chat service bound to the caller. Raises ``Unauthorized``."""
    found: ChatService | None = getattr(request.state, "chat", None)
    if found is None:
        raise Unauthorized
    return found


def library(request: Request) -> Library:
    """Return the caller's library of conversations. Raises ``Unauthorized``."""
    return chat(request).library


def caller(request: Request) -> Caller:
    """Return the authenticated caller. Raises ``Unauthorized``."""
    return chat(request).caller


def files(request: Request) -> CallerFiles:
    """Return the caller's files. Raises ``Unauthorized``."""
    return chat(request).files


CurrentCaller = Annotated[Caller, Depends(caller)]
CallerChat = Annotated[ChatService, Depends(chat)]
CallerLibrary = Annotated[Library, Depends(library)]
OwnFiles = Annotated[CallerFiles, Depends(files)]
