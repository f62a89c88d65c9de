"""A title that says what a conversation is about, asked of the model in the background."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing

from wireside.errors import WiresideError
from wireside.messages import Message, ModelRequest, TextDelta
from wireside.ports import Provider

MAX_CHARS = 60
GIVEN_CHARS = 1_500
"""Of the question and of the answer, the model is given so much."""

MAX_TOKENS = 200
"""Enough for models that reason before they answer."""

PATIENCE_S = 120.0
"""How long a title may take: nobody sees that one is asked for, so nobody could stop a model that
reasons without end.
"""

INSTRUCTION = (
    "Write a title of two to six words for the conversation below, in its language. "
    "Answer with the title alone: no quotation marks, no full stop, no explanation."
)


async def ask_for_title(provider: Provider, model: str, question: str, answer: str) -> str | None:
    """Return a title, None when the model gives none that is fit."""
    given = f"User: {question[:GIVEN_CHARS]}\n\nAssistant: {answer[:GIVEN_CHARS]}"
    request = ModelRequest(
        model,
        (Message("system", INSTRUCTION), Message("user", given)),
        temperature=0.2,
        max_tokens=MAX_TOKENS,
    )
    said = ""
    try:
        async with asyncio.timeout(PATIENCE_S), aclosing(provider.stream(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    said += delta.text
                    if len(said) > 4 * MAX_CHARS:
                        break
    except (WiresideError, TimeoutError):
        return None
    return clean(said)


def clean(said: str) -> str | None:
    """Return the title in what a model said, None when it is none.

    >>> clean('**Title:** "Rainy weekends."')
    'Rainy weekends'
    """
    line = next((line for line in said.strip().splitlines() if line.strip()), "")
    line = re.sub(r"[*_#`]+", "", line).strip()
    line = re.sub(r"^title\s*:\s*", "", line, flags=re.IGNORECASE)
    line = " ".join(line.split()).strip("\"'“”„«»‹›「」.。 ")
    return line if 0 < len(line) <= MAX_CHARS else None
