"""Selects the context for a model: as many of the latest messages as the limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wireside.messages import Message
from wireside.parts import Part, ReasoningPart, TextPart, ToolCallPart, is_hidden, text_parts


@dataclass(frozen=True, slots=True)
class ContextLimit:
    """Limits on the context that a model gets, the new question included."""

    messages: int = 40
    chars: int = 48_000


TOOL_SHARE = 8
"""A result, or the arguments, of a tool call get at most this part of a context's characters."""


def turn_messages(
    question: Sequence[Part], answer: Sequence[Part], limit: ContextLimit
) -> tuple[Message, ...]:
    """Return a turn as messages; none if it has no answer, which would only confuse the model."""
    answered = answer_messages(answer, limit)
    return (Message("user", tuple(question)), *answered) if answered else ()


def answer_messages(answer: Sequence[Part], limit: ContextLimit) -> tuple[Message, ...]:
    """Return an answer as a message without its reasoning; none if nothing is left."""
    parts = tuple(
        _shortened(part, limit.chars // TOOL_SHARE)
        for part in answer
        if not isinstance(part, ReasoningPart) and not is_hidden(part)
    )
    is_empty = all(isinstance(part, TextPart) and not part.text.strip() for part in parts)
    return () if is_empty else (Message("assistant", parts),)


def _shortened(part: Part, max_chars: int) -> Part:
    if not isinstance(part, ToolCallPart):
        return part
    result = None if part.result is None else _truncate(part.result, max_chars)
    return replace(part, arguments=_truncate(part.arguments, max_chars), result=result)


def _truncate(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[:max_chars]}…"


def recent_messages(history: Sequence[Message], limit: ContextLimit) -> tuple[Message, ...]:
    """Return the end of ``history`` that fits ``limit``, starting with a user's message.

    The last message is always included, however long: if it does not fit, the model must report
    that.
    """
    chars = 0
    start = len(history)
    for index in range(len(history) - 1, -1, -1):
        chars += history[index].chars
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

    def messages_with(self, question: str) -> tuple[Message, ...]:
        """Return the context in which to ask ``question``, without remembering it yet."""
        return recent_messages((*self._messages, Message.of_text("user", question)), self._limit)

    def remember_turn(self, question: str, answer: Sequence[Part]) -> None:
        """Remember a turn; one without an answer is dropped."""
        if turn := turn_messages(text_parts(question), answer, self._limit):
            self._messages = recent_messages((*self._messages, *turn), self._limit)
