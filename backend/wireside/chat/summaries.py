"""Summaries that take the place of older turns in the context of a model.

A summary is a part of the answer of the last turn that it covers, so that it belongs to all
branches through that turn. One that was undone has a later state without a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from wireside.messages import Message
from wireside.openai_wire.requests import plain_text
from wireside.parts import SUMMARY, DataPart, Part, data_of

PART_ID: Final = "summary"

REQUEST: Final = "Summarise our conversation so far."
"""The question that a summary answers in the context of a model."""

INSTRUCTION: Final = (
    "Summarise the conversation below, so that it can go on from your summary alone. Keep facts, "
    "decisions, names, numbers, code that is still needed and open questions; leave out what has "
    "become irrelevant. Write notes in the language of the conversation, at most 400 words, "
    "without an introduction."
)


def summary_part(text: str, *, turns: int, model: str) -> DataPart:
    """Return the part with a summary of ``turns`` turns, which ``model`` has written."""
    data = json.dumps({"turns": turns, "model": model, "undone": False}, ensure_ascii=False)
    return DataPart(kind=SUMMARY, data=data, id=PART_ID, text=text)


def undone(part: DataPart) -> DataPart:
    """Return the state of a summary's part after it was undone."""
    data = data_of(part)
    fields = data if isinstance(data, dict) else {}
    return DataPart(
        kind=SUMMARY,
        data=json.dumps({**fields, "undone": True}, ensure_ascii=False),
        id=part.id,
    )


def summary_in(answer: Iterable[Part]) -> DataPart | None:
    """Return the part of an answer with a summary that was not undone."""
    for part in answer:
        if isinstance(part, DataPart) and part.kind == SUMMARY and part.text.strip():
            return part
    return None


def summary_messages(part: DataPart) -> tuple[Message, ...]:
    """Return a summary as messages, in the place of the turns that it covers."""
    return (Message.of_text("user", REQUEST), Message.of_text("assistant", part.text))


def as_text(messages: Sequence[Message]) -> str:
    """Return a conversation as the text to summarise."""
    names = {"user": "User", "assistant": "Assistant", "system": "System"}
    return "\n\n".join(f"{names[one.role]}: {plain_text(one.parts)}" for one in messages)
