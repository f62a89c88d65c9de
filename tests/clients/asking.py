"""A chat whose handler asks twice; ``wireside serve tests.clients.asking:chat`` serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from wireside import Approve, AskText, Chat, Turn

chat = Chat("Asking")


@chat.on_message
async def answer(turn: Turn[Any, Any]) -> AsyncIterator[str]:
    yield "Well. "
    name = await turn.ask(AskText("What is your name?"))
    if await turn.ask(Approve(f"Greet {name}?")):
        yield f"Hello {name}!"
