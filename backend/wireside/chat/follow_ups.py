"""Suggests questions to ask after an answer, by asking a model in the background."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import Final

from wireside.chat.titles import without_thoughts
from wireside.errors import WiresideError
from wireside.messages import Message, ModelRequest, TextDelta
from wireside.ports.provider import Provider

MAX_QUESTIONS: Final = 3
MAX_CHARS: Final = 160
"""Maximum number of characters of a suggested question."""

GIVEN_CHARS: Final = 3_000
"""Maximum number of characters of the question, and of the answer, sent to the model."""

MAX_TOKENS: Final = 1_000
TALK_CHARS: Final = 20_000
"""Maximum number of characters of the model's reply, its reasoning included."""

TIMEOUT_S: Final = 60.0
"""Time limit, in seconds: the user has gone on by then."""

INSTRUCTION: Final = (
    "Write up to three short questions that the user may want to ask next, in the language of the "
    "conversation and in the user's words. One on each line, without numbers, quotation marks or "
    "anything else."
)

_MARKS: Final = re.compile(r"^(?:[-*•–—>#\s]|\(?\d{1,2}[.):])+")
_AROUND: Final = "\"'`*_“”„«»「」『』 \t"


async def ask_for_follow_ups(
    provider: Provider,
    *,
    model: str,
    question: str,
    answer: str,
    timeout_s: float = TIMEOUT_S,
) -> tuple[str, ...]:
    """Return up to three questions; none if the model writes no usable ones in time."""
    given = f"User: {question[:GIVEN_CHARS]}\n\nAssistant: {answer[-GIVEN_CHARS:]}"
    request = ModelRequest(
        model=model,
        messages=(Message.of_text("system", INSTRUCTION), Message.of_text("user", given)),
        max_tokens=MAX_TOKENS,
        allows_tools=False,
    )
    said = ""
    try:
        async with asyncio.timeout(timeout_s), aclosing(provider.stream(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    said += delta.text
                    if len(said) > TALK_CHARS:
                        return ()
    except (WiresideError, TimeoutError):
        return ()
    return extract_questions(said)


def extract_questions(said: str) -> tuple[str, ...]:
    r"""Return the questions in a model's reply, without numbers, marks and introductions.

    >>> extract_questions("Sure, here are some:\n1. **Why is that?**\n2. How long?")
    ('Why is that?', 'How long?')
    """
    found: list[str] = []
    for line in without_thoughts(said).splitlines():
        text = " ".join(_MARKS.sub("", line).strip(_AROUND).split())
        is_usable = 0 < len(text) <= MAX_CHARS and not text.endswith((":", "："))
        if is_usable and any(char.isalpha() for char in text) and text not in found:
            found.append(text)
    return tuple(found[:MAX_QUESTIONS])
