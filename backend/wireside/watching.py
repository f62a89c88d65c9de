"""Who looks on while answers are made: counts, times, traces. The core knows no more of it than
this. Nothing here waits, and nothing here raises.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from wireside.messages import End, ModelRequest


class AnswerWatch(Protocol):
    """Looks on while one answer is made."""

    def running(self) -> None:
        """The task that makes it runs; called from inside of it."""
        ...

    def first(self) -> None:
        """The model has said its first piece."""
        ...

    def ended(self, end: End, length: int, text: Callable[[], str]) -> None:
        """It has ended, with ``length`` characters; ``text`` returns the visible ones."""
        ...


class QuestionWatch(Protocol):
    """Looks on from the moment that a question has come."""

    def in_conversation(self, conversation: str) -> None:
        """It belongs to the conversation of that id."""
        ...

    def being_asked(self) -> AbstractContextManager[None]:
        """Inside of this the answer begins. What is left by an error has ended with it."""
        ...


class Watcher(Protocol):
    """Looks on. Implemented by the telemetry."""

    def question(self, kind: str) -> QuestionWatch:
        """A question has come: ``ask`` outside of a conversation, ``turn`` or ``again`` in one."""
        ...

    def answer(self, stream: str, model: str, request: ModelRequest | None) -> AnswerWatch:
        """An answer begins; None is the request of one that could not be asked for."""
        ...

    def committed(self, seconds: float, streams: int, length: int) -> None:
        """``length`` characters of so many streams are in the store."""
        ...

    def commit_failed(self) -> None:
        """The store did not take what there was."""
        ...

    def provider_failed(self, code: str) -> None:
        """A try of a request to the provider has failed with this code of the error tree."""
        ...

    def provider_retried(self, code: str) -> None:
        """It is tried again after such a failure."""
        ...

    def provider_named(self, model: str, answer: str) -> None:
        """A try is over in which it called the model and its answer so; "" where it did not."""
        ...


class Unwatched:
    """Implements all of it, and looks at nothing."""

    def question(self, kind: str) -> Unwatched:
        """See ``Watcher``."""
        return self

    def in_conversation(self, conversation: str) -> None:
        """See ``QuestionWatch``."""

    def being_asked(self) -> AbstractContextManager[None]:
        """See ``QuestionWatch``."""
        return nullcontext()

    def answer(self, stream: str, model: str, request: ModelRequest | None) -> Unwatched:
        """See ``Watcher``."""
        return self

    def running(self) -> None:
        """See ``AnswerWatch``."""

    def first(self) -> None:
        """See ``AnswerWatch``."""

    def ended(self, end: End, length: int, text: Callable[[], str]) -> None:
        """See ``AnswerWatch``."""

    def committed(self, seconds: float, streams: int, length: int) -> None:
        """See ``Watcher``."""

    def commit_failed(self) -> None:
        """See ``Watcher``."""

    def provider_failed(self, code: str) -> None:
        """See ``Watcher``."""

    def provider_retried(self, code: str) -> None:
        """See ``Watcher``."""

    def provider_named(self, model: str, answer: str) -> None:
        """See ``Watcher``."""


UNWATCHED = Unwatched()
