"""Group commit: what running answers have said is in the store before anybody is shown it.

One writer takes the new tails of all running answers together, commits them, lets readers have
them, and begins anew: as soon as the last commit is done, at most every 20 ms. A store that fails
must not stop the talk: answers then go on from memory, and are written when that is possible.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from wireside.errors import RequestError, StoreError
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Bell
from wireside.ports import Clock
from wireside.records import Tail
from wireside.watching import UNWATCHED, Watcher

_log = structlog.get_logger(__name__)

PERIOD_S = 0.02
"""Least time between the beginnings of two commits."""

PATIENCE_S = 1.0
"""How long readers wait for a commit before they are shown what is in memory only."""

LOOK_AGAIN_S = (0.25, 5.0)
"""First and longest pause before a store that failed is tried again; it doubles each time."""

MAX_WAITING = 10_000
"""Writes that may wait for a store that fails."""

Write = Callable[[], Awaitable[object]]


class Stream(Protocol):
    """An answer that the store keeps. ``stored`` is the position after what the store has."""

    name: str
    log: AnswerLog
    stored: int

    def release(self, offset: int) -> None:
        """Let readers have what is before ``offset``."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for the store: ``length`` characters of so many streams, and other writes.

    ``behind_s`` is for how long readers have been shown what the store does not have.
    """

    streams: int
    length: int
    writes: int
    behind_s: float


class GroupCommit:
    """The one writer of what answers say. Every method belongs to the event loop."""

    def __init__(
        self,
        write: Callable[[Sequence[Tail]], Awaitable[None]],
        clock: Clock,
        watcher: Watcher = UNWATCHED,
    ) -> None:
        self._write = write
        self._clock = clock
        self._watcher = watcher
        self._dirty: dict[Stream, None] = {}
        self._waiting: deque[Write] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_behind = False
        """Whether readers are shown what the store does not have yet."""
        self._behind_since = 0.0
        self._committed = Bell()
        self.bell = Bell()
        """Rings when ``is_behind`` changes."""

    @property
    def backlog(self) -> Backlog:
        """What the store does not have yet."""
        length = sum(stream.log.written - stream.stored for stream in self._dirty)
        behind_s = self._clock() - self._behind_since if self.is_behind else 0.0
        return Backlog(len(self._dirty), length, len(self._waiting), behind_s)

    def add(self, stream: Stream) -> None:
        """There is something new in ``stream``'s log."""
        self._dirty[stream] = None
        self._idle.clear()
        self._wake.set()
        if self.is_behind:
            stream.release(stream.log.written)

    async def keep(self, write: Write) -> None:
        """Do a write that answers depend on: now, or, while the store fails, before all else as
        soon as it works. It may be done twice. Raises ``StoreError`` when too many wait.
        """
        if not self.is_behind:
            try:
                await write()
            except StoreError as error:
                self._watcher.commit_failed()
                self._fall_behind(error)
            else:
                return
        if len(self._waiting) >= MAX_WAITING:
            raise StoreError
        self._waiting.append(write)
        self._idle.clear()
        self._wake.set()

    def is_pending(self, stream: Stream) -> bool:
        """Whether the store does not have all of ``stream`` yet."""
        return stream in self._dirty

    async def saved(self, stream: Stream) -> None:
        """Return when the store has all of ``stream``."""
        while self.is_pending(stream):
            await self._committed.wait()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all is in the store; returns whether it is."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            _log.error("not_saved", answers=len(self._dirty), writes=len(self._waiting))
        return self._idle.is_set()

    async def run(self) -> None:
        """Commit whatever is new, for ever."""
        pause_s = LOOK_AGAIN_S[0]
        while True:
            await self._wake.wait()
            self._wake.clear()
            since = self._clock()
            try:
                await self._commit()
            except Exception as error:  # a writer that ends would leave every reader waiting
                self._watcher.commit_failed()
                self._fall_behind(error)
                self._wake.set()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LOOK_AGAIN_S[1])
                continue
            pause_s = LOOK_AGAIN_S[0]
            self._catch_up()
            await asyncio.sleep(max(0.0, since + PERIOD_S - self._clock()))

    async def _commit(self) -> None:
        while self._waiting:
            try:
                await self._patiently(self._waiting[0]())
            except RequestError:  # it can't be done at all any more
                _log.exception("not_saved")
            self._waiting.popleft()
        batch = [(stream, stream.log.written, stream.log.closed) for stream in self._dirty]
        if not batch:
            return
        tails = [
            Tail(stream.name, stream.stored, stream.log.tail(stream.stored), end)
            for stream, _, end in batch
        ]
        since = self._clock()
        await self._patiently(self._write(tails))
        seconds, length = self._clock() - since, 0
        for stream, written, end in batch:
            length += written - stream.stored
            stream.stored = written
            if stream.log.written == written and stream.log.closed is end:
                del self._dirty[stream]
            stream.release(written)
        self._watcher.committed(seconds, len(batch), length)
        self._committed.ring()

    async def _patiently(self, write: Awaitable[object]) -> None:
        """Finish a write, but let readers go on when it takes long: a lock, a slow disk."""
        task = asyncio.ensure_future(write)
        try:
            done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
            if not done:
                self._fall_behind(None)
            await task
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _fall_behind(self, error: Exception | None) -> None:
        if not self.is_behind:
            _log.error("saving_is_behind", answers=len(self._dirty), exc_info=error)
            self.is_behind = True
            self._behind_since = self._clock()
            self.bell.ring()
        for stream in self._dirty:
            stream.release(stream.log.written)

    def _catch_up(self) -> None:
        if self.is_behind:
            _log.warning("saving_has_caught_up")
            self.is_behind = False
            self.bell.ring()
        if self._dirty or self._waiting:
            self._wake.set()
        else:
            self._idle.set()
