"""A chat whose handler asks for a file; ``wireside serve tests.e2e.asking_chat:chat`` serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from wireside import AskFile, Chat, Turn

chat = Chat("Asking")


@chat.on_message
async def answer(turn: Turn[Any, Any]) -> AsyncIterator[str]:
    table = await turn.ask(AskFile("Which table?", ["text/csv"]))
    yield f"{table.name} begins with {table.text.split(',')[0]}."
