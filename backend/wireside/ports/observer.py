"""Instrumentation interface: counts, times and traces of answers (``Observer``, ``NullObserver``).

The core depends on nothing else of the telemetry. Implementations neither block nor raise.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from wireside.messages import End, ModelRequest


class AnswerObserver(Protocol):
    """Instruments one answer."""

    def task_started(self) -> None:
        """The answer's task has started; called from within that task."""
        ...

    def first_delta_received(self) -> None:
        """The model has sent its first delta."""
        ...

    def answer_ended(self, end: End, length: int, text: Callable[[], str]) -> None:
        """The answer has ended with ``length`` characters; ``text`` returns the visible ones."""
        ...


class QuestionObserver(Protocol):
    """Instruments a question from its arrival."""

    def in_conversation(self, conversation: str) -> None:
        """The question belongs to the conversation with this id."""
        ...

    def being_asked(self) -> AbstractContextManager[None]:
        """Return a context in which the answer is started; an exception ends the question."""
        ...


class Observer(Protocol):
    """Instruments the server. Implemented by the telemetry."""

    def record_question(self, kind: str) -> QuestionObserver:
        """Record a question: ``ask`` without a conversation, ``turn`` or ``again`` in one."""
        ...

    def record_answer(
        self, stream: str, model: str, request: ModelRequest | None
    ) -> AnswerObserver:
        """Record the start of an answer; ``request`` is None if the model could not be asked."""
        ...

    def committed(self, seconds: float, streams: int, length: int) -> None:
        """Record a commit of ``length`` characters of ``streams`` streams in ``seconds``."""
        ...

    def commit_failed(self) -> None:
        """Record a failed commit."""
        ...

    def provider_failed(self, code: str) -> None:
        """Record a failed attempt of a request to the provider, with the error's code."""
        ...

    def provider_retried(self, code: str) -> None:
        """Record the retry after a failure with this code."""
        ...

    def provider_named(self, model: str, answer: str) -> None:
        """Record the names that a finished attempt's response gave to its model and its answer.

        A name is "" if the response did not contain it.
        """
        ...


class NullObserver:
    """Null implementation of ``Observer``, ``QuestionObserver`` and ``AnswerObserver``."""

    def record_question(self, kind: str) -> NullObserver:
        """See ``Observer``."""
        return self

    def in_conversation(self, conversation: str) -> None:
        """See ``QuestionObserver``."""

    def being_asked(self) -> AbstractContextManager[None]:
        """See ``QuestionObserver``."""
        return nullcontext()

    def record_answer(self, stream: str, model: str, request: ModelRequest | None) -> NullObserver:
        """See ``Observer``."""
        return self

    def task_started(self) -> None:
        """See ``AnswerObserver``."""

    def first_delta_received(self) -> None:
        """See ``AnswerObserver``."""

    def answer_ended(self, end: End, length: int, text: Callable[[], str]) -> None:
        """See ``AnswerObserver``."""

    def committed(self, seconds: float, streams: int, length: int) -> None:
        """See ``Observer``."""

    def commit_failed(self) -> None:
        """See ``Observer``."""

    def provider_failed(self, code: str) -> None:
        """See ``Observer``."""

    def provider_retried(self, code: str) -> None:
        """See ``Observer``."""

    def provider_named(self, model: str, answer: str) -> None:
        """See ``Observer``."""


NULL_OBSERVER = NullObserver()
