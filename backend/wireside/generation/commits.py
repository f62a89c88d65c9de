"""Group commit: running answers are written to the store before readers see them.

A single task performs all writes that answers depend on. It alternates between two kinds:

- **Tails**, the new text of all running answers, in one transaction, at most every 20 ms. Readers
  are shown a tail, and the end of an answer, once it is committed.
- **Queued writes**, such as a new question, in the order of their arrival. Between two tails they
  take at most ``SLICE_S``, so that many new questions do not delay running answers. A question that
  would wait longer than ``max_delay_s`` is refused.

A store that is *slow* delays readers. A store that *fails* must not stop answers: when a write
raises an error, or has not ended after ``stall_s``, unsaved text is released to readers at once, so
that answers continue from memory, and queued writes are accepted without being performed. A failed
write is retried with back-off; once the store works again, the queued writes are performed, then
the tails, which may belong to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from wireside.errors import Overloaded, StoreError
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Signal
from wireside.ports.clock import Clock
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.records import Tail

_log = structlog.get_logger(__name__)

PERIOD_S: Final = 0.02
"""Minimum time between the starts of two commits of tails, in seconds."""

SLICE_S: Final = 0.02
"""How long queued writes may delay tails, in seconds; one write is always performed."""

MAX_QUEUED: Final = 10_000
"""Maximum number of queued writes."""

FIRST_WRITE_S: Final = 0.005
"""Assumed duration of a queued write before the first was measured, in seconds."""

Write = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTimes:
    """Times of the group commit, in seconds.

    ``stall_s``: a write that takes longer counts as failed. ``retry_s`` and ``max_retry_s``: the
    first and the longest pause after a failure; it doubles each time. ``max_delay_s``: a new
    question is refused if its write would have to wait longer.
    """

    stall_s: float = 30.0
    retry_s: float = 0.25
    max_retry_s: float = 5.0
    max_delay_s: float = 3.0


class CommittedStream(Protocol):
    """An answer kept in the store. ``stored`` is the position up to which the store has it."""

    name: str
    log: AnswerLog
    stored: int

    def release(self, offset: int, *, end: bool) -> None:
        """Release everything before ``offset`` to readers, and with ``end`` the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Data that is not in the store yet.

    ``length`` counts the pending characters of ``streams`` streams, ``writes`` the queued writes.
    ``behind_s`` is how long the store has been failing, in seconds.
    """

    streams: int
    length: int
    writes: int
    behind_s: float


@dataclass(slots=True, eq=False)
class _Queued:
    """A queued write. ``accepted`` is resolved when its caller may continue."""

    write: Write
    since: float
    accepted: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def accept(self) -> None:
        if not self.accepted.done():
            self.accepted.set_result(None)

    def refuse(self, error: Exception) -> None:
        if self.accepted.done():  # accepted from memory, or its caller was cancelled
            _log.error("not_saved", exc_info=error)
        else:
            self.accepted.set_exception(error)


class GroupCommit:
    """The single writer of answers. All methods must be called on the event loop."""

    def __init__(
        self,
        write: Callable[[Sequence[Tail]], Awaitable[None]],
        clock: Clock,
        observer: Observer = NULL_OBSERVER,
        *,
        times: CommitTimes = CommitTimes(),
    ) -> None:
        self._write = write
        self._clock = clock
        self._observer = observer
        self._times = times
        self._dirty: dict[CommittedStream, None] = {}
        self._queue: deque[_Queued] = deque()
        self._has_work = asyncio.Event()
        self._has_queued = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writing = asyncio.Lock()
        self.is_behind = False
        """Whether the store fails, and readers are shown text that is not in it yet."""
        self._behind_since = 0.0
        self._committed = Signal()
        self.bell = Signal()
        """Rings when ``is_behind`` changes."""
        self._queued_write_s = FIRST_WRITE_S
        self._tails_at = -math.inf
        self._last_queued_at = -math.inf

    # ---- for answers -------------------------------------------------------------------------

    @property
    def backlog(self) -> Backlog:
        """The data that is not in the store yet."""
        length = sum(stream.log.written - stream.stored for stream in self._dirty)
        behind_s = self._clock() - self._behind_since if self.is_behind else 0.0
        return Backlog(
            streams=len(self._dirty), length=length, writes=len(self._queue), behind_s=behind_s
        )

    @property
    def delay_s(self) -> float:
        """How long a new write is expected to wait for those before it, in seconds."""
        return len(self._queue) * self._queued_write_s

    def add(self, stream: CommittedStream) -> None:
        """Schedule a stream whose log has new entries or an end."""
        self._dirty[stream] = None
        self._idle.clear()
        self._has_work.set()
        if self.is_behind:
            stream.release(stream.log.written, end=True)

    async def keep(self, write: Write, *, refusable: bool = False) -> None:
        """Perform a write that answers depend on, after the writes that were queued before.

        While the store fails, this returns at once, and the write is performed when the store works
        again. It may be performed twice.

        Args:
            write: raises ``StoreError`` if it must be retried, other errors if it can't succeed.
            refusable: whether the write is refused while many others wait.

        Raises:
            Overloaded: the write would wait longer than ``max_delay_s``.
            StoreError: too many writes are queued (``MAX_QUEUED``).
            Exception: any error of ``write`` but ``StoreError``.
        """
        if refusable and not self.is_behind and self.delay_s > self._times.max_delay_s:
            raise Overloaded(retry_after=math.ceil(self.delay_s))
        if len(self._queue) >= MAX_QUEUED:
            raise StoreError
        queued = _Queued(write, self._clock())
        self._queue.append(queued)
        self._idle.clear()
        self._has_queued.set()
        self._has_work.set()
        if self.is_behind:
            queued.accept()
        await queued.accepted

    def is_pending(self, stream: CommittedStream) -> bool:
        """Return whether part of ``stream`` is not in the store yet."""
        return stream in self._dirty

    async def saved(self, stream: CommittedStream) -> None:
        """Wait until the store has all of ``stream``."""
        while self.is_pending(stream):
            await self._committed.wait()

    async def flush(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for all data to be stored; return whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        return self._idle.is_set()

    async def finish(self, timeout_s: float, *, write_s: float) -> bool:
        """Like ``flush``, but nothing is written afterwards, and what is not stored is logged.

        The logged numbers are final, unless a write has not ended after another ``write_s``
        seconds: ``write_in_progress`` is logged then, as some of it may be stored nevertheless.
        """
        is_writing = False
        if not await self.flush(timeout_s):
            try:
                async with asyncio.timeout(write_s):
                    await self._writing.acquire()  # and never release it
            except TimeoutError:
                is_writing = True
        if not self._dirty and not self._queue:
            return True
        _log.error(
            "not_saved",
            answers=len(self._dirty),
            writes=len(self._queue),
            write_in_progress=is_writing,
        )
        return False

    # ---- the writer --------------------------------------------------------------------------

    async def run(self) -> None:
        """Write until the task is cancelled."""
        pause_s = self._times.retry_s
        while True:
            are_tails_due = await self._wait_for_work()
            try:
                if self.is_behind:
                    await self._write_all()
                else:
                    if are_tails_due:
                        await self._write_tails()
                    await self._write_queued(SLICE_S)
            except Exception as error:  # a writer that exits would block every reader
                self._observer.commit_failed()
                self._fall_behind(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._times.max_retry_s)
            else:
                pause_s = self._times.retry_s
            self._look_again()

    async def _wait_for_work(self) -> bool:
        """Wait for a queued write, or for tails that are due; return whether tails are due."""
        await self._has_work.wait()
        delay_s = self._tails_at + PERIOD_S - self._clock()
        are_tails_due = delay_s <= 0
        if not are_tails_due and not self._queue:
            try:
                async with asyncio.timeout(delay_s):
                    await self._has_queued.wait()
            except TimeoutError:
                are_tails_due = True
        self._has_work.clear()
        self._has_queued.clear()
        return are_tails_due

    async def _write_all(self) -> None:
        """Write what was accepted from memory; tails may belong to queued writes."""
        await self._write_queued(math.inf)
        await self._write_tails()
        await self._write_queued(math.inf)
        self._catch_up()

    def _look_again(self) -> None:
        if self._queue:
            self._has_queued.set()
        if self._queue or self._dirty or self.is_behind:
            self._has_work.set()
        else:
            self._idle.set()

    async def _write_tails(self) -> None:
        self._tails_at = self._clock()
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
        await self._perform(lambda: self._write(tails))
        seconds, length = self._clock() - self._tails_at, 0
        for stream, written, end in batch:
            length += written - stream.stored
            stream.stored = written
            if stream.log.written == written and stream.log.closed is end:
                del self._dirty[stream]
            stream.release(written, end=end is not None)
        self._observer.committed(seconds, len(batch), length)
        self._committed.ring()

    async def _write_queued(self, budget_s: float) -> None:
        """Perform queued writes for ``budget_s`` seconds. Raises ``StoreError``."""
        until = self._clock() + budget_s
        while self._queue:
            queued = self._queue[0]
            try:
                await self._perform(queued.write)
            except StoreError:
                raise
            except Exception as error:  # the caller gets it
                queued.refuse(error)
            else:
                queued.accept()
            self._queue.popleft()
            self._measure(queued)
            if self._clock() >= until:
                return

    async def _perform(self, write: Write) -> None:
        """Perform a write. One that does not end within ``stall_s`` begins a failure."""
        async with self._writing:
            task = asyncio.ensure_future(write())
            try:
                done, _ = await asyncio.wait({task}, timeout=self._times.stall_s)
                if not done:
                    self._fall_behind(None)
                await task
            except asyncio.CancelledError:
                task.cancel()
                raise

    def _measure(self, queued: _Queued) -> None:
        """Update the mean time between two queued writes while others wait."""
        now = self._clock()
        took_s = now - max(queued.since, self._last_queued_at)
        self._last_queued_at = now
        self._queued_write_s += 0.1 * (took_s - self._queued_write_s)

    def _fall_behind(self, error: Exception | None) -> None:
        if not self.is_behind:
            _log.error("saving_is_behind", answers=len(self._dirty), exc_info=error)
            self.is_behind = True
            self._behind_since = self._clock()
            self.bell.ring()
        for queued in self._queue:
            queued.accept()
        for stream in self._dirty:
            stream.release(stream.log.written, end=True)

    def _catch_up(self) -> None:
        if self.is_behind:
            _log.warning("saving_has_caught_up")
            self.is_behind = False
            self.bell.ring()
