"""Selects the context for a model: as many of the latest messages as the limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wireside.chat.summaries import summary_in, summary_messages
from wireside.messages import Message
from wireside.parts import (
    STEER,
    DataPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    is_hidden,
    is_note,
    text_parts,
)


@dataclass(frozen=True, slots=True)
class ContextLimit:
    """Limits on the context that a model gets, the new question included."""

    messages: int = 40
    chars: int = 48_000


Turn = tuple[Sequence[Part], Sequence[Part]]
"""A question and its answer."""

NEARLY_FULL = 0.8
"""Share of a context from which its user is warned."""

TOOL_SHARE = 8
"""A result, or the arguments, of a tool call get at most this part of a context's characters."""


def turn_messages(
    question: Sequence[Part], answer: Sequence[Part], limit: ContextLimit
) -> tuple[Message, ...]:
    """Return a turn as messages; none if it has no answer, which would only confuse the model."""
    answered = answer_messages(answer, limit)
    return (question_message(question), *answered) if answered else ()


def question_message(question: Sequence[Part], before: Sequence[Part] = ()) -> Message:
    """Return a question as a message, after the parts of the question ``before`` it."""
    return Message("user", tuple(part for part in (*before, *question) if not is_hidden(part)))


def steers(question: Sequence[Part]) -> bool:
    """Return whether a question has ended the answer before it and goes on from there."""
    return any(isinstance(part, DataPart) and part.kind == STEER for part in question)


def context_messages(
    turns: Sequence[Turn],
    question: Sequence[Part],
    limit: ContextLimit,
) -> tuple[Message, ...]:
    """Return the context in which to ask ``question`` after ``turns``.

    A summary takes the place of the turns that it covers, and is never left out. A turn without an
    answer is left out, unless the next question has ended it: the model is then
    asked both together, as some models refuse two messages of a user in sequence.

    Args:
        turns: pairs of question and answer, oldest first.
        question: the new question.
        limit: bounds what is returned.
    """
    history = _history(turns, limit)
    before = history.unanswered if steers(question) else ()
    asked = question_message(question, before)
    own = ContextLimit(
        messages=max(1, limit.messages - len(history.summary)),
        chars=limit.chars - sum(message.chars for message in history.summary),
    )
    return (*history.summary, *recent_messages([*history.messages, asked], own))


def history_messages(turns: Sequence[Turn], limit: ContextLimit) -> tuple[Message, ...]:
    """Return turns as messages, however many; a summary takes the place of those before it."""
    history = _history(turns, limit)
    return (*history.summary, *history.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextUse:
    """How much of a context the turns before the next question need.

    ``is_cut``: turns before them are left out.
    """

    messages: int
    chars: int
    limit: ContextLimit
    is_cut: bool = False

    @property
    def share(self) -> float:
        """The share of the limits, 1 if they are used up."""
        return max(self.chars / self.limit.chars, (self.messages + 1) / self.limit.messages)

    @property
    def is_nearly_full(self) -> bool:
        """Whether turns are left out, or will be soon."""
        return self.is_cut or self.share >= NEARLY_FULL

    @property
    def leaves_out(self) -> bool:
        """Whether the next question leaves turns out."""
        return self.is_cut or self.share > 1


def context_use(turns: Sequence[Turn], limit: ContextLimit, *, is_cut: bool) -> ContextUse:
    """Return how much of a context ``turns`` need; ``is_cut``: there are earlier ones."""
    history = _history(turns, limit)
    messages = (*history.summary, *history.messages)
    return ContextUse(
        messages=len(messages),
        chars=sum(message.chars for message in messages),
        limit=limit,
        is_cut=is_cut and not history.summary,
    )


@dataclass(slots=True)
class _History:
    """Turns as messages: the summary of earlier ones, and those after it."""

    summary: tuple[Message, ...] = ()
    messages: list[Message] = field(default_factory=list)
    unanswered: tuple[Part, ...] = ()
    """The question of the last turn, if it has no answer."""


def _history(turns: Sequence[Turn], limit: ContextLimit) -> _History:
    history = _History()
    for asked, answer in turns:
        if (part := summary_in(answer)) is not None:
            history = _History(summary_messages(part))
            continue
        before = history.unanswered if steers(asked) else ()
        history.unanswered = ()
        if answered := answer_messages(answer, limit):
            history.messages += (question_message(asked, before), *answered)
        else:
            history.unanswered = (*before, *asked)
    return history


def answer_messages(answer: Sequence[Part], limit: ContextLimit) -> tuple[Message, ...]:
    """Return an answer as a message without its reasoning; none if nothing is left."""
    parts = tuple(
        _shortened(part, limit.chars // TOOL_SHARE)
        for part in answer
        if not (isinstance(part, ReasoningPart) or is_hidden(part) or is_note(part))
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
