"""A reader of an answer: a position in its log and a wake-up callback. It buffers no text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from wireside.generation.log import AnswerLog, Piece
from wireside.messages import End

MAX_CHARS = 16_384
"""Maximum number of characters that one ``take`` returns: at most 64 KiB of UTF-8."""


class Signal:
    """Wakes the listeners of a log: one bell per log, not one event per append."""

    def __init__(self) -> None:
        self._wakes: dict[object, Callable[[], None]] = {}

    def ring(self) -> None:
        """Notify all listeners. Each ``wake`` must be cheap and must not raise."""
        for wake in tuple(self._wakes.values()):
            wake()

    def listen(self, key: object, wake: Callable[[], None]) -> None:
        """Call ``wake`` on each ring until ``key`` leaves."""
        self._wakes[key] = wake

    async def wait(self) -> None:
        """Wait for the next ring."""
        rung = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not rung.done():
                rung.set_result(None)

        self.listen(rung, wake)
        try:
            await rung
        finally:
            self.leave(rung)

    @property
    def listeners(self) -> Collection[object]:
        """The keys of all registered listeners."""
        return self._wakes.keys()

    def leave(self, key: object) -> None:
        """Unregister a listener; an unknown key is ignored."""
        self._wakes.pop(key, None)


class Reader:
    """Reads a log from an offset on: catches up, then follows it.

    ``wake`` is called whenever there may be new entries; ``wait`` is the awaitable alternative.
    Raises ``BadOffset`` past the head.
    """

    def __init__(
        self, log: AnswerLog, bell: Signal, offset: int, wake: Callable[[], None] | None = None
    ) -> None:
        log.check(offset)
        self._log = log
        self._bell = bell
        self.offset = offset
        if wake is not None:
            bell.listen(self, wake)

    def take(self, max_chars: int = MAX_CHARS) -> list[Piece]:
        """Return new pieces, at most ``max_chars`` characters, and move past them."""
        if self.offset == self._log.head:
            return []
        pieces = self._log.read(self.offset, max_chars)
        self.offset = pieces[-1].offset
        return pieces

    @property
    def lag(self) -> int:
        """Number of characters and tool states that were not taken yet."""
        return self._log.head - self.offset

    @property
    def has_more(self) -> bool:
        """Whether ``take`` would return something."""
        return self.offset < self._log.head

    @property
    def end(self) -> End | None:
        """How the answer ended, once all of it was taken."""
        return None if self.has_more else self._log.end

    async def wait(self) -> None:
        """Wait until there is something to take or the answer has ended."""
        while not self.has_more and self._log.end is None:
            await self._bell.wait()

    def close(self) -> None:
        """Unregister the wake-up callback. A reader holds no other resource."""
        self._bell.leave(self)
