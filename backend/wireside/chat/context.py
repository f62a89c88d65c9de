"""Selects the context for a model: as many of the latest messages as the limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wireside.messages import Message


@dataclass(frozen=True, slots=True)
class ContextLimit:
    """Limits on the context that a model gets, the new question included."""

    messages: int = 40
    chars: int = 48_000


def recent(history: Sequence[Message], limit: ContextLimit) -> tuple[Message, ...]:
    """Return the end of ``history`` that fits ``limit``, starting with a user's message.

    The last message is always included, however long: if it does not fit, the model must report
    that.
    """
    chars = 0
    start = len(history)
    for index in range(len(history) - 1, -1, -1):
        chars += len(history[index].text)
        is_last = index == len(history) - 1
        if not is_last and (chars > limit.chars or len(history) - index > limit.messages):
            break
        start = index
    while start < len(history) - 1 and history[start].role == "assistant":
        start += 1
    return tuple(history[start:])


class ContextText:
    """The context of a level 1 connection: questions and answers, bounded and not stored."""

    def __init__(self, limit: ContextLimit) -> None:
        self._limit = limit
        self._messages: tuple[Message, ...] = ()

    def asking(self, question: str) -> tuple[Message, ...]:
        """Return the context in which to ask ``question``, without remembering it yet."""
        return recent((*self._messages, Message("user", question)), self._limit)

    def add(self, question: str, answer: str) -> None:
        """Remember a turn. One without an answer is dropped: it would only confuse the model."""
        if answer:
            turn = (Message("user", question), Message("assistant", answer))
            self._messages = recent((*self._messages, *turn), self._limit)
