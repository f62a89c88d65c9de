"""A reader of an answer: a position in its log and a wake-up callback. It buffers no text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from wireside.generation.log import AnswerLog, Piece
from wireside.messages import End

MAX_CHARS = 16_384
"""Maximum number of characters that one ``take_pieces`` returns: at most 64 KiB of UTF-8."""


class Signal:
    """Wakes the listeners of a log: one bell per log, not one event per append."""

    def __init__(self) -> None:
        self._wakes: dict[object, Callable[[], None]] = {}

    def notify_listeners(self) -> None:
        """Notify all listeners. Each ``wake`` must be cheap and must not raise."""
        for wake in tuple(self._wakes.values()):
            wake()

    def add_listener(self, key: object, wake: Callable[[], None]) -> None:
        """Call ``wake`` on each notification until the listener ``key`` is removed."""
        self._wakes[key] = wake

    async def wait_for_ring(self) -> None:
        """Wait for the next ring."""
        rung = asyncio.get_running_loop().create_future()

        def resolve_wait() -> None:
            if not rung.done():
                rung.set_result(None)

        self.add_listener(rung, resolve_wait)
        try:
            await rung
        finally:
            self.remove_listener(rung)

    @property
    def listeners(self) -> Collection[object]:
        """The keys of all registered listeners."""
        return self._wakes.keys()

    def remove_listener(self, key: object) -> None:
        """Unregister a listener; an unknown key is ignored."""
        self._wakes.pop(key, None)


class Reader:
    """Reads a log from an offset on: catches up, then follows it.

    ``wake`` is called whenever there may be new entries; ``wait_for_news`` is the awaitable
    alternative. Raises ``BadOffset`` past the head.
    """

    def __init__(
        self, log: AnswerLog, bell: Signal, offset: int, wake: Callable[[], None] | None = None
    ) -> None:
        log.check_offset(offset)
        self._log = log
        self._bell = bell
        self.offset = offset
        if wake is not None:
            bell.add_listener(self, wake)

    def take_pieces(self, max_chars: int = MAX_CHARS) -> list[Piece]:
        """Return new pieces, at most ``max_chars`` characters, and move past them."""
        if self.offset == self._log.head:
            return []
        pieces = self._log.read_pieces(self.offset, max_chars)
        self.offset = pieces[-1].offset
        return pieces

    @property
    def lag(self) -> int:
        """Number of characters and tool states that were not taken yet."""
        return self._log.head - self.offset

    @property
    def has_new_pieces(self) -> bool:
        """Whether ``take_pieces`` would return something."""
        return self.offset < self._log.head

    @property
    def end(self) -> End | None:
        """How the answer ended, once all of it was taken."""
        return None if self.has_new_pieces else self._log.end

    async def wait_for_news(self) -> None:
        """Wait until there is something to take or the answer has ended."""
        while not self.has_new_pieces and self._log.end is None:
            await self._bell.wait_for_ring()

    def stop_reading(self) -> None:
        """Unregister the wake-up callback. A reader holds no other resource."""
        self._bell.remove_listener(self)
