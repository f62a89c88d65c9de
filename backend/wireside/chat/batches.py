"""Batches: several questions that the server answers one after another, or some at once.

Like a single answer, a batch belongs to the server: it runs to its end even if the connection that
requested it drops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog

from wireside.errors import InternalError, Overloaded, TooMany, WiresideError
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
    """One batch in progress. Readers use ``wait_for_outcome``; the server runs ``answer_all``.

    Args:
        size: number of its questions.
        parallel: number of questions that are answered at once.
        stopped: indexes of the questions that must not be asked.
    """

    def __init__(self, size: int, *, parallel: int = 1, stopped: Iterable[int] = ()) -> None:
        self._size = size
        self._parallel = parallel
        self._outcomes: dict[int, Outcome] = {}
        self._asked: set[int] = set()
        self._waiting: dict[int, int] = {}
        """Questions that wait for their turn, and the active ones of which one has to end first."""
        self._active = 0  # questions that are being asked or answered
        self._changed = asyncio.Event()
        self.stopped = set(stopped)
        """Indexes of the questions that were stopped before their answers began."""

    def stop(self, index: int | None = None) -> None:
        """Stop the question at ``index``, or all: running answers, and those that have not begun.

        Does nothing to answers that have ended.
        """
        for one in range(self._size) if index is None else (index,):
            outcome = self._outcomes.get(one)
            if isinstance(outcome, BatchItem):
                outcome.stream.stop_answer()
            elif one not in self._outcomes:
                self.stopped.add(one)
        self._changed.set()

    async def wait_for_outcome(self, index: int) -> Outcome:
        """Wait for the outcome of the question at ``index`` and return it."""
        while index not in self._outcomes:
            await self._wait_for_change()
        return self._outcomes[index]

    async def answer_all(self, begin: Begin) -> None:
        """Answer all questions; ``begin`` starts the answer to the given index."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._parallel, self._size)):
                    group.create_task(self._answer_remaining(begin))
        finally:
            for index in range(self._size):  # on shutdown each still gets exactly one outcome
                if index not in self._outcomes:
                    error = Overloaded("The server is shutting down; try again in a moment.")
                    self._add_outcome(index, error)

    async def _answer_remaining(self, begin: Begin) -> None:
        for index in range(self._size):
            if index not in self._asked:
                self._asked.add(index)
                await self._answer_question(index, begin)

    async def _answer_question(self, index: int, begin: Begin) -> None:
        try:
            outcome = await self._begin_answer(index, begin)
        finally:
            self._waiting.pop(index, None)
        self._add_outcome(index, outcome)
        if not isinstance(outcome, BatchItem):
            return
        try:
            if index in self.stopped:  # stopped while the answer started
                outcome.stream.stop_answer()
            await outcome.stream.wait_ended()
        finally:
            self._release()

    async def _begin_answer(self, index: int, begin: Begin) -> Outcome:
        """Start an answer, which is active from then on, unless it fails or was stopped before.

        An account whose concurrent answers are used up by other questions of this batch waits for
        one of these to end.
        """
        while await self._wait_for_turn(index):
            self._active += 1
            try:
                return await begin(index)
            except TooMany as error:
                self._release()
                if not self._active:
                    return error.with_traceback(None)
            except WiresideError as error:
                self._release()
                return error.with_traceback(None)
            except Exception:
                self._release()
                _log.exception("batch_failed", index=index)
                return InternalError()
            self._waiting[index] = self._active
        return None

    async def _wait_for_turn(self, index: int) -> bool:
        """Wait until the answer can begin, in the order of the questions; False if stopped."""
        while index not in self.stopped:
            active = self._waiting.get(index, self._size)
            if min(self._waiting, default=index) >= index and self._active < active:
                return True
            self._waiting.setdefault(index, self._size)
            await self._wait_for_change()
        return False

    def _release(self) -> None:
        self._active -= 1
        self._changed.set()

    def _add_outcome(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome
        self._changed.set()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
