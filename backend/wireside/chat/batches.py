"""Batches: several questions that the server answers one after another.

A batch belongs to the server like a single answer does: it goes on to its end when the connection
that asked for it drops.
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


@dataclass(frozen=True, slots=True)
class AskAll:
    """Questions with what they have in common. ``conversation`` is the id of the conversation that
    stores them, "new" for a new one, None for none. ``key`` is the client's name for the batch.
    """

    questions: tuple[str, ...]
    options: Options = Options()
    conversation: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer of a batch that has begun."""

    stream: Stream
    conversation: str | None = None


Outcome = Begun | WiresideError | None
"""What became of one question: its answer, why there is none, None where the batch was stopped."""

Begin = Callable[[int], Awaitable[Begun]]


class Batch:
    """One batch being answered. Readers wait for ``outcome``; the server runs ``run``."""

    def __init__(self, size: int, stopped_at: int | None = None) -> None:
        """``stopped_at`` is the index of the first question that is not to be asked."""
        self._outcomes: list[Outcome] = []
        self._size = size
        self._moved = asyncio.Event()
        self.stopped_at = stopped_at

    @property
    def is_over(self) -> bool:
        """Whether each question has its outcome."""
        return len(self._outcomes) == self._size

    def stop(self) -> None:
        """Stop the answer in progress, and ask none of the questions behind it."""
        if self.is_over or self.stopped_at is not None:
            return
        self.stopped_at = len(self._outcomes)
        if self._outcomes and isinstance(last := self._outcomes[-1], Begun):
            last.stream.stop()

    async def outcome(self, index: int) -> Outcome:
        """Wait for the turn of the question at ``index``, and return what became of it."""
        while len(self._outcomes) <= index:
            self._moved.clear()
            await self._moved.wait()
        return self._outcomes[index]

    async def run(self, begin: Begin) -> None:
        """Answer all questions in their order. ``begin`` begins the answer of the given index."""
        try:
            while not self.is_over:
                await self._answer_next(begin)
        finally:
            while not self.is_over:  # the server ends: each question still has its one end
                self._add(Overloaded("The server is shutting down; try again in a moment."))

    async def _answer_next(self, begin: Begin) -> None:
        index = len(self._outcomes)
        if self.stopped_at is not None and index >= self.stopped_at:
            return self._add(None)
        try:
            begun = await begin(index)
        except WiresideError as error:
            return self._add(error.with_traceback(None))
        except Exception:
            _log.exception("batch_failed", index=index)
            return self._add(InternalError())
        self._add(begun)
        if self.stopped_at is not None:  # while the answer began
            begun.stream.stop()
        await begun.stream.ended()

    def _add(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._moved.set()
