"""A chat with the pace of a small model: some answers at once, long ones word by word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from wireside import Chat, Turn

chat = Chat()

WORDS = 150
WORD_S = 0.012


@chat.on_message
async def answer(turn: Turn) -> AsyncIterator[str]:
    """Answer as the question wants."""
    question = turn.text
    if "<script>" in question:
        yield question.partition(": ")[2]
    elif question.startswith("Count"):
        for number in range(WORDS):
            yield f"{number} 🌊\n"
            await asyncio.sleep(WORD_S)
    else:
        yield "The sea 🌊 "
        await asyncio.sleep(0.005)
        yield "is wide."
