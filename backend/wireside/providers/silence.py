"""Timeouts for models that stop sending.

A model's output resets the timeout. Any other byte (a comment, an empty chunk, a keep-alive) does
too, but only until ``bound_s`` after the model's last output: a proxy may send keep-alives although
the model behind it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar, cast

T = TypeVar("T")


class SilenceWatch:
    """Ends a wait with ``TimeoutError`` if nothing is received for ``limit_s`` seconds.

    Any byte resets that timeout (``saw_bytes``), but keep-alives alone don't extend the wait beyond
    ``bound_s`` seconds after the model's last output (``saw_life``). ``bound_s`` defaults to
    ``limit_s``.

    There is one timer per answer, not one per read: when it fires, it checks the time of the last
    data and reschedules itself. Time in which no read is pending does not count.
    ``asyncio.timeout`` can't be used: it would be open across a ``yield``, and cancel the
    generator's consumer.

    An open watch is in ``watches``, so that its owner can end all of them.
    """

    def __init__(
        self, limit_s: float, watches: set[SilenceWatch], bound_s: float | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit_s = limit_s
        self._bound_s = limit_s if bound_s is None else bound_s
        self._watches = watches
        self._alive_at = self._wrote_at = self._loop.time()
        self.waited_s = 0.0
        """The limit in seconds that ended the wait; 0 before that."""
        self._task: asyncio.Task[Any] | None = None
        self._has_ended = False

    def __enter__(self) -> Self:
        self._watches.add(self)
        self._timer = self._loop.call_later(min(self._limit_s, self._bound_s), self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._watches.discard(self)
        self._timer.cancel()

    async def over(self, read: Callable[[], Awaitable[T]]) -> T:
        """Await ``read()``. Raises ``TimeoutError`` and the errors of ``read``."""
        if self._has_ended:
            raise TimeoutError
        self._task = task = cast("asyncio.Task[Any]", asyncio.current_task(self._loop))
        cancelling = task.cancelling()
        try:
            return await read()
        except asyncio.CancelledError:
            if self._has_ended and task.uncancel() <= cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._task = None

    def saw_life(self) -> None:
        """Record output of the model."""
        self._alive_at = self._wrote_at = self._loop.time()

    def saw_bytes(self) -> None:
        """Record other data of the service, such as a keep-alive or an empty chunk."""
        self._alive_at = self._loop.time()

    def shorten(self, limit_s: float) -> None:
        """Reduce the timeout to ``limit_s`` seconds; a longer one has no effect."""
        if limit_s < self._limit_s:
            self._set(limit_s)

    def lengthen(self, limit_s: float) -> None:
        """Raise the timeout to ``limit_s`` seconds again, after ``shorten``."""
        if limit_s > self._limit_s:
            self._set(limit_s)

    def _set(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._timer.cancel()
        self._timer = self._loop.call_later(limit_s, self._look)

    def end(self) -> None:
        """End the current wait, and all later ones, with ``TimeoutError``."""
        if not self._has_ended:
            self._has_ended = True
            if self._task is not None:
                self._task.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if self._task is None:
            self._alive_at = self._wrote_at = now
        bound_at = self._wrote_at + self._bound_s
        if now < (due := min(self._alive_at + self._limit_s, bound_at)):
            self._timer = self._loop.call_at(due, self._look)
        else:
            self.waited_s = self._bound_s if now >= bound_at else self._limit_s
            self.end()
