"""Batches: several questions that the server answers one after another.

Like a single answer, a batch belongs to the server: it runs to its end even if the connection that
requested it drops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from wireside.errors import InternalError, Overloaded, WiresideError
from wireside.generation.runner import Stream
from wireside.messages import Options

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQuestions:
    """A list of questions with common options.

    ``conversation`` is the id of the conversation that stores them, "new" for a new one, None for
    none. ``key`` is the client's name for the batch.
    """

    questions: tuple[str, ...]
    options: Options = Options()
    conversation: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class BatchItem:
    """An answer of a batch that has started."""

    stream: Stream
    conversation: str | None = None


Outcome = BatchItem | WiresideError | None
"""Outcome of a question: its answer, the error that prevented it, None if stopped before."""

Begin = Callable[[int], Awaitable[BatchItem]]


class BatchRun:
    """One batch in progress. Readers use ``wait_for_outcome``; the server runs ``answer_all``."""

    def __init__(self, size: int, stopped_at: int | None = None) -> None:
        """``stopped_at`` is the index of the first question that must not be asked."""
        self._outcomes: list[Outcome] = []
        self._size = size
        self._moved = asyncio.Event()
        self.stopped_at = stopped_at

    @property
    def is_over(self) -> bool:
        """Whether every question has an outcome."""
        return len(self._outcomes) == self._size

    def stop(self) -> None:
        """Stop the answer in progress and skip the remaining questions."""
        if self.is_over or self.stopped_at is not None:
            return
        self.stopped_at = len(self._outcomes)
        if self._outcomes and isinstance(last := self._outcomes[-1], BatchItem):
            last.stream.stop_answer()

    async def wait_for_outcome(self, index: int) -> Outcome:
        """Wait for the outcome of the question at ``index`` and return it."""
        while len(self._outcomes) <= index:
            self._moved.clear()
            await self._moved.wait()
        return self._outcomes[index]

    async def answer_all(self, begin: Begin) -> None:
        """Answer all questions in order; ``begin`` starts the answer to the given index."""
        try:
            while not self.is_over:
                await self._answer_next(begin)
        finally:
            while not self.is_over:  # on shutdown each question still gets exactly one outcome
                self._add_outcome(Overloaded("The server is shutting down; try again in a moment."))

    async def _answer_next(self, begin: Begin) -> None:
        index = len(self._outcomes)
        if self.stopped_at is not None and index >= self.stopped_at:
            return self._add_outcome(None)
        try:
            begun = await begin(index)
        except WiresideError as error:
            return self._add_outcome(error.with_traceback(None))
        except Exception:
            _log.exception("batch_failed", index=index)
            return self._add_outcome(InternalError())
        self._add_outcome(begun)
        if self.stopped_at is not None:  # stopped while the answer started
            begun.stream.stop_answer()
        await begun.stream.wait_ended()

    def _add_outcome(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._moved.set()
