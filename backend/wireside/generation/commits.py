"""Group commit: running answers are written to the store before readers see them.

A single writer task collects the new tails of all running answers, commits them in one transaction,
releases them to readers and starts again: as soon as the last commit is done, at most every 20 ms.
A failing store must not stop answers. When a commit fails, or takes longer than ``PATIENCE_S``, the
writer is *behind*: unsaved text is released to readers at once, so that answers continue from
memory, and other writes are queued. A failed commit is retried with back-off; queued writes and
tails are written, in this order, once the store works again.
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
from wireside.generation.reader import Signal
from wireside.ports.clock import Clock
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.records import Tail

_log = structlog.get_logger(__name__)

PERIOD_S = 0.02
"""Minimum time between the starts of two commits, in seconds."""

PATIENCE_S = 1.0
"""How long readers wait for a commit before unsaved text is released to them, in seconds."""

LOOK_AGAIN_S = (0.25, 5.0)
"""Initial and maximum back-off after a failed commit, in seconds; it doubles each time."""

MAX_WAITING = 10_000
"""Maximum number of writes queued for a failing store."""

Write = Callable[[], Awaitable[object]]


class CommittedStream(Protocol):
    """An answer kept in the store. ``stored`` is the position up to which the store has it."""

    name: str
    log: AnswerLog
    stored: int

    def release(self, offset: int) -> None:
        """Release everything before ``offset`` to readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Data that is not in the store yet.

    ``length`` counts the pending characters of ``streams`` streams, ``writes`` the other queued
    writes. ``behind_s`` is how long readers have been shown unsaved text, in seconds.
    """

    streams: int
    length: int
    writes: int
    behind_s: float


class GroupCommit:
    """The single writer of running answers. All methods must be called on the event loop."""

    def __init__(
        self,
        write: Callable[[Sequence[Tail]], Awaitable[None]],
        clock: Clock,
        watcher: Observer = NULL_OBSERVER,
    ) -> None:
        self._write = write
        self._clock = clock
        self._watcher = watcher
        self._dirty: dict[CommittedStream, None] = {}
        self._waiting: deque[Write] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_behind = False
        """Whether readers are shown text that is not in the store yet."""
        self._behind_since = 0.0
        self._committed = Signal()
        self.bell = Signal()
        """Rings when ``is_behind`` changes."""

    @property
    def backlog(self) -> Backlog:
        """The data that is not in the store yet."""
        length = sum(stream.log.written - stream.stored for stream in self._dirty)
        behind_s = self._clock() - self._behind_since if self.is_behind else 0.0
        return Backlog(
            streams=len(self._dirty), length=length, writes=len(self._waiting), behind_s=behind_s
        )

    def add(self, stream: CommittedStream) -> None:
        """Schedule a stream whose log has new entries or an end."""
        self._dirty[stream] = None
        self._idle.clear()
        self._wake.set()
        if self.is_behind:
            stream.release(stream.log.written)

    async def keep(self, write: Write) -> None:
        """Perform a write that answers depend on.

        While the store fails, the write is queued and performed before all others once the store
        works. It may be performed twice. Raises ``StoreError`` when the queue is full
        (``MAX_WAITING``).
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

    def is_pending(self, stream: CommittedStream) -> bool:
        """Return whether part of ``stream`` is not in the store yet."""
        return stream in self._dirty

    async def saved(self, stream: CommittedStream) -> None:
        """Wait until the store has all of ``stream``."""
        while self.is_pending(stream):
            await self._committed.wait()

    async def flush(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for all data to be stored; returns whether it is."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            _log.error("not_saved", answers=len(self._dirty), writes=len(self._waiting))
        return self._idle.is_set()

    async def run(self) -> None:
        """Commit new data until the task is cancelled."""
        pause_s = LOOK_AGAIN_S[0]
        while True:
            await self._wake.wait()
            self._wake.clear()
            since = self._clock()
            try:
                await self._commit()
            except Exception as error:  # a writer that exits would block every reader
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
            except RequestError:  # the write can never succeed
                _log.exception("not_saved")
            self._waiting.popleft()
        batch = [(stream, stream.log.written, stream.log.closed) for stream in self._dirty]
        if not batch:
            return
        tails = [
            Tail(
                stream=stream.name,
                offset=stream.stored,
                entries=stream.log.tail(stream.stored),
                end=end,
            )
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
        """Await a write, but release unsaved text to readers if it is slow (lock, slow disk)."""
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
