"""How long a model may say nothing.

What a model writes is a sign of life. Any other byte (a comment, an empty chunk, a keep-alive) is
one too, but not for longer than ``keepalive_s`` after the last thing that the model wrote: a proxy
may send them while the model behind it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar, cast

T = TypeVar("T")


class SilenceWatch:
    """Ends a wait with ``TimeoutError`` when there was no sign of life for ``limit_s``.

    Any byte is a sign of life (``saw_bytes``), but a service that sends only keep-alives ends the
    wait ``bound_s`` after the model last wrote (``saw_life``). ``bound_s`` is ``limit_s`` by
    default.

    One timer for an answer, not one for each read: it looks at the last sign when it is due, and
    sets itself again. Time in which nobody waits here is nobody's silence. ``asyncio.timeout``
    is no way: it would be open across a ``yield``, and cancel whoever reads the generator.

    An open watch is in ``watches``, so that their owner can end them all.
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
        """The limit that ended the wait."""
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
        """Await ``read``. Raises ``TimeoutError`` besides what it raises."""
        if self._has_ended:
            raise TimeoutError
        self._task = task = cast("asyncio.Task[Any]", asyncio.current_task())
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
        """The model has written something."""
        self._alive_at = self._wrote_at = self._loop.time()

    def saw_bytes(self) -> None:
        """The service has sent something: a keep-alive, an empty chunk."""
        self._alive_at = self._loop.time()

    def shorten(self, limit_s: float) -> None:
        """From now on, wait no longer than ``limit_s``."""
        if limit_s < self._limit_s:
            self._set(limit_s)

    def lengthen(self, limit_s: float) -> None:
        """Take a ``shorten`` back."""
        if limit_s > self._limit_s:
            self._set(limit_s)

    def _set(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._timer.cancel()
        self._timer = self._loop.call_later(limit_s, self._look)

    def end(self) -> None:
        """Wait no longer."""
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
