"""Group commit: running answers are written to the store before readers see them.

A single task performs all writes that answers depend on. Each commit is one transaction with

- **queued writes**, such as a new question, in the order of their arrival. They are not delayed,
  but a commit has only as many of them as take ``SLICE_S``, so that many new questions do not delay
  running answers. A question that would wait longer than ``max_delay_s`` is refused.
- **tails**, the new text of all running answers. Readers are shown a tail, and the end of an
  answer, once it is committed.

A commit begins at once when the last one is long enough ago: as many times its duration as
``PAUSE`` says, and at least ``min_pause_s`` if it had tails of several answers. One answer alone is
therefore not delayed, and many answers share a commit: on a fast disk, each token would otherwise
be a commit of its own, which costs more CPU than all else that a token needs.

A store that is *slow* delays readers. A store that *fails* must not stop answers: when a write
raises an error, or has not ended after ``stall_s``, unsaved text is released to readers at once, so
that answers continue from memory, and queued writes are accepted without being performed. A failed
write is retried with back-off; once the store works again, the queued writes are performed, then
the tails, which may belong to them.

Where several servers share the database, saving is *strict*: nothing is released or accepted that
is not committed. Otherwise a server that was removed by the others while it did not run would show
text from memory that will never be stored. Its writes are refused with ``Fenced``; then all that
waits to be written is given up.

A write that fails by a fault of ours, such as a value that no store accepts, must not stop the
others: the batch is halved until the faulty write is alone. A queued write is then refused, and an
answer ends with an error after what is stored of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, Protocol

import structlog

from wireside.errors import Conflict, Fenced, InternalError, NotStorable, Overloaded, StoreError
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Signal
from wireside.messages import End, Entry
from wireside.ports.clock import Clock
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.records import Tail, Write, WriteResult

_log = structlog.get_logger(__name__)

PAUSE: Final = 3.0
"""Pause after a commit, as a multiple of its duration, before tails are committed again."""

SLICE_S: Final = 0.02
"""How long queued writes may delay tails, in seconds; one write is always performed."""

MAX_QUEUED: Final = 10_000
"""Maximum number of queued writes."""

FIRST_WRITE_S: Final = 0.005
"""Assumed duration of a queued write before the first was measured, in seconds."""

WEIGHT: Final = 0.2
"""Weight of the last commit in the mean duration of a queued write."""

NOT_SAVED_NOW: Final = "Nothing can be saved at the moment; try again in a moment."

Commit = Callable[[Sequence[Write]], Awaitable[Sequence[WriteResult]]]
"""Performs writes in one transaction. See ``Store.commit_writes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTimes:
    """Times of the group commit, in seconds.

    ``stall_s``: a write that takes longer counts as failed. ``retry_s`` and ``max_retry_s``: the
    first and the longest pause after a failure; it doubles each time. ``max_delay_s``: a new
    question is refused if its write would have to wait longer. ``min_pause_s`` and ``max_pause_s``:
    the shortest pause after a commit of several tails, and the longest after any.
    """

    stall_s: float = 30.0
    retry_s: float = 0.25
    max_retry_s: float = 5.0
    max_delay_s: float = 3.0
    min_pause_s: float = 0.006
    max_pause_s: float = 0.05  # a page shows new text as often


class CommittedStream(Protocol):
    """An answer kept in the store. ``stored`` is the position up to which the store has it."""

    name: str
    log: AnswerLog
    stored: int

    def release_entries(self, offset: int, *, end: bool) -> None:
        """Release everything before ``offset`` to readers, and with ``end`` the end."""

    def end_stored(self, end: End) -> None:
        """End the answer after ``stored``, as ``end`` says: what follows can't be stored."""


class Committed(NamedTuple):
    """What one commit has stored of an answer: from ``after`` to ``until``, as part of ``tail``."""

    stream: CommittedStream
    after: int
    until: int
    tail: Tail

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries from ``after`` to ``until``; the tail of an answer that ends is all of it."""
        if self.tail.offset == self.after:
            return self.tail.entries
        return self.stream.log.entries_between(self.after, self.until)


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
    """Queued writes of one caller. ``accepted`` is resolved when the caller may continue.

    Its result is whether all of them were written.
    """

    writes: tuple[Write, ...]
    accepted: asyncio.Future[bool] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def resolve_accepted(self, *, is_written: bool = True) -> None:
        if not self.accepted.done():
            self.accepted.set_result(is_written)
        elif not is_written:  # accepted from memory, or its caller was cancelled
            _log.error("not_saved")

    def reject_with(self, error: Exception) -> None:
        if self.accepted.done():
            _log.error("not_saved", exc_info=error)
        else:
            self.accepted.set_exception(error)


class GroupCommit:
    """The single writer of answers. All methods must be called on the event loop."""

    def __init__(
        self,
        commit: Commit,
        clock: Clock,
        observer: Observer = NULL_OBSERVER,
        *,
        times: CommitTimes = CommitTimes(),
        is_strict: bool = False,
        on_fenced: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare the writer; ``write_until_cancelled`` runs it.

        Args:
            commit: performs writes in one transaction.
            clock: a monotonic clock, in seconds.
            observer: counts commits.
            times: pauses and limits.
            is_strict: release and accept only what is committed, also while the store fails.
            on_fenced: called when a write was refused with ``Fenced``.
        """
        self.is_strict: Final = is_strict
        self._on_fenced = on_fenced
        self._abandoned_count = 0
        self._commit = commit
        self._clock = clock
        self._observer = observer
        self._times = times
        self._dirty: dict[CommittedStream, None] = {}
        self._queue: deque[_Queued] = deque()
        self._has_work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writing = asyncio.Lock()
        self.is_behind = False
        """Whether the store fails; unless strict, readers are shown text that is not in it yet."""
        self._behind_since = 0.0
        self._committed = Signal()
        self.bell = Signal()
        """Rings when ``is_behind`` changes."""
        self.on_committed: Callable[[Sequence[Committed]], None] | None = None
        """Called after each commit of tails, once readers have been shown them."""
        self._queued_write_s = FIRST_WRITE_S
        self._tails_due_at = -math.inf
        self._due: asyncio.TimerHandle | None = None
        """Wakes the writer when tails are due."""
        self._write_began_at: float | None = None
        """Time of the event loop at which the write in progress began."""
        self._stall_check: asyncio.TimerHandle | None = None

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
    def write_delay_s(self) -> float:
        """How long a new write is expected to wait for those before it, in seconds."""
        return len(self._queue) * self._queued_write_s

    def schedule_stream(self, stream: CommittedStream) -> None:
        """Schedule a stream whose log has new entries or an end."""
        self._dirty[stream] = None
        self._idle.clear()
        self._write_when_due()
        if self.is_behind and not self.is_strict:
            stream.release_entries(stream.log.written, end=True)

    async def commit_writes(self, *writes: Write, refusable: bool = False) -> bool:
        """Perform writes that answers depend on, in one commit, after those queued before.

        While the store fails, this returns at once, and the writes are performed when the store
        works again. They may be performed twice. If strict, it returns when they are performed.

        Args:
            writes: what to write, in order.
            refusable: whether they are refused while many others wait.

        Returns:
            Whether all of them were written. See ``Store.commit_writes``.

        Raises:
            Conflict: they were made for another version of the conversation; none was written.
            Overloaded: they would wait longer than ``max_delay_s``, or, if strict, the store fails.
            StoreError: too many writes are queued (``MAX_QUEUED``).
            Fenced: the other servers have removed this one.
        """
        if refusable and self.is_strict and self.is_behind:
            raise Overloaded(NOT_SAVED_NOW, retry_after=math.ceil(self._times.max_retry_s))
        if refusable and not self.is_behind and self.write_delay_s > self._times.max_delay_s:
            raise Overloaded(retry_after=math.ceil(self.write_delay_s))
        if len(self._queue) >= MAX_QUEUED:
            raise StoreError
        queued = _Queued(writes)
        self._queue.append(queued)
        self._idle.clear()
        self._has_work.set()
        if self.is_behind and not self.is_strict:
            queued.resolve_accepted()
        return await queued.accepted

    def is_pending(self, stream: CommittedStream) -> bool:
        """Return whether part of ``stream`` is not in the store yet."""
        return stream in self._dirty

    async def wait_until_stream_stored(self, stream: CommittedStream) -> None:
        """Wait until the store has all of ``stream``."""
        while self.is_pending(stream):
            await self._committed.wait_for_ring()

    async def wait_until_all_stored(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for all data to be stored; return whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        return self._idle.is_set()

    async def finish_writing(self, timeout_s: float, *, write_s: float) -> bool:
        """Wait as ``wait_until_all_stored``, then write nothing after it; log what is not stored.

        The logged numbers are final, unless a write has not ended after another ``write_s``
        seconds: ``write_in_progress`` is logged then, as some of it may be stored nevertheless.
        """
        is_writing = False
        if not await self.wait_until_all_stored(timeout_s):
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

    def abandon_writes(self) -> None:
        """Give up all that waits to be written, as another server is responsible for it now.

        Queued writes are refused with ``Fenced``; the streams are the caller's to end.
        """
        self._abandoned_count += 1
        queue, self._queue = self._queue, deque()
        for queued in queue:
            queued.reject_with(Fenced())
        self._dirty.clear()
        self._note_caught_up()
        self._idle.set()
        self._committed.notify_listeners()

    # ---- the writer --------------------------------------------------------------------------

    async def write_until_cancelled(self) -> None:
        """Write until the task is cancelled."""
        pause_s = self._times.retry_s
        while True:
            await self._has_work.wait()
            try:
                if self.is_behind:
                    await self._write_all()
                else:
                    await self._write_batch(self._next_queued(), self._dirty)
            except Fenced:
                self._observer.commit_failed()
                self.abandon_writes()
                self._report_fenced()
            except Exception as error:  # a writer that exits would block every reader
                self._observer.commit_failed()
                self._fall_behind(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._times.max_retry_s)
            else:
                pause_s = self._times.retry_s
            self._look_again()

    def _report_fenced(self) -> None:
        try:
            self._on_fenced()
        except Exception:  # a writer that exits would block every reader
            _log.exception("fence_failed")

    def _next_queued(self) -> list[_Queued]:
        """Return the first queued writes, as many as take ``SLICE_S``."""
        number = max(1, int(SLICE_S / self._queued_write_s))
        return list(islice(self._queue, number))

    async def _write_all(self) -> None:
        """Write what was accepted from memory; tails may belong to queued writes."""
        while self._queue:
            await self._write_batch(self._next_queued(), ())
        await self._write_batch((), self._dirty)
        while self._queue:
            await self._write_batch(self._next_queued(), ())
        self._note_caught_up()

    def _look_again(self) -> None:
        self._has_work.clear()
        if self._queue or self.is_behind:
            self._has_work.set()
        elif self._dirty:
            self._write_when_due()
        else:
            self._idle.set()

    def _write_when_due(self) -> None:
        """Let tails be written, at once or at the end of the pause after the last commit."""
        if self._due is not None:
            return
        delay_s = self._tails_due_at - self._clock()
        if delay_s > 0:
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(delay_s, self._tails_are_due)
        else:
            self._has_work.set()

    def _tails_are_due(self) -> None:
        self._due = None  # if a write is in progress, `_look_again` must look at the clock again
        self._has_work.set()

    async def _write_batch(
        self, queued: Sequence[_Queued], streams: Collection[CommittedStream]
    ) -> None:
        """Perform the first queued writes and write the tails of ``streams``, in one commit."""
        began_at = self._clock()
        streams = list(streams)
        batch = [
            Committed(stream, stream.stored, stream.log.written, _unsaved_tail(stream))
            for stream in streams
        ]
        if batch and self._due is not None:
            self._due.cancel()
            self._due = None
        writes: list[Write] = [write for one in queued for write in one.writes]
        writes += [one.tail for one in batch]
        if not writes:
            return
        abandoned = self._abandoned_count
        try:
            is_written = await self._perform_writes(writes)
        except Exception as error:
            if self._abandoned_count != abandoned:
                return
            if isinstance(error, StoreError) and not isinstance(error, NotStorable):
                raise
            await self._isolate_fault(queued, streams, error, abandoned)  # it is one of ours
            return
        if self._abandoned_count != abandoned:  # committed before the removal, but not ours now
            return
        took_s = self._clock() - began_at
        if queued:
            self._resolve_queued(queued, is_written)
            self._queued_write_s += WEIGHT * (took_s / len(queued) - self._queued_write_s)
        if batch:
            self._release_batch(batch, took_s)
            shortest_s = self._times.min_pause_s if len(batch) > 1 else 0.0
            pause_s = max(PAUSE * took_s, shortest_s)
            self._tails_due_at = self._clock() + min(pause_s, self._times.max_pause_s)

    def _resolve_queued(self, queued: Sequence[_Queued], is_written: Sequence[WriteResult]) -> None:
        at = 0
        for one in queued:
            end = at + len(one.writes)
            if None in is_written[at:end]:
                one.reject_with(Conflict())
            else:
                one.resolve_accepted(is_written=all(is_written[at:end]))
            self._queue.popleft()
            at = end

    async def _isolate_fault(
        self,
        queued: Sequence[_Queued],
        streams: Sequence[CommittedStream],
        error: Exception,
        abandoned: int,
    ) -> None:
        """Write the halves of a batch, so that only its faulty writes are refused.

        The rest is not written once all was given up after the count ``abandoned``.
        """
        if queued and streams:
            await self._write_batch(queued, ())
            if self._abandoned_count == abandoned:
                await self._write_batch((), streams)
        elif len(queued) == 1:
            queued[0].reject_with(error)
            self._queue.popleft()
        elif len(streams) == 1:
            await self._end_faulty(streams[0], error, abandoned)
        else:
            middle = (len(queued) + len(streams)) // 2  # one of them is empty
            await self._write_batch(queued[:middle], streams[:middle])
            if self._abandoned_count == abandoned:
                await self._write_batch(queued[middle:], streams[middle:])

    async def _end_faulty(self, stream: CommittedStream, error: Exception, abandoned: int) -> None:
        """End an answer of which something can't be stored. Fails if the store takes nothing."""
        end = End(None, InternalError())
        tail = Tail(stream=stream.name, offset=stream.stored, entries=(), end=end)
        await self._perform_writes([tail])
        if self._abandoned_count != abandoned:
            return
        _log.error("answer_not_storable", stream=stream.name, exc_info=error)
        self._dirty.pop(stream, None)
        stream.end_stored(end)
        if self.on_committed is not None:
            self.on_committed([Committed(stream, stream.stored, stream.stored, tail)])
        self._committed.notify_listeners()

    def _release_batch(self, batch: Sequence[Committed], took_s: float) -> None:
        """Show readers what was committed."""
        length = 0
        for stream, after, until, tail in batch:
            length += until - after
            stream.stored = until
            if stream.log.written == until and stream.log.closed is tail.end:
                del self._dirty[stream]
            stream.release_entries(until, end=tail.end is not None)
        self._observer.committed(took_s, len(batch), length)
        if self.on_committed is not None:
            self.on_committed(batch)
        self._committed.notify_listeners()

    async def _perform_writes(self, writes: Sequence[Write]) -> Sequence[WriteResult]:
        """Perform writes. If they do not end within ``stall_s``, a failure begins."""
        async with self._writing:
            self._write_began_at = began_at = asyncio.get_running_loop().time()
            if self._stall_check is None:
                self._check_stall_at(began_at + self._times.stall_s)
            try:
                return await self._commit(writes)
            finally:
                self._write_began_at = None

    def _check_stall_at(self, at: float) -> None:
        # one timer for thousands of writes: one for each costs more
        self._stall_check = asyncio.get_running_loop().call_at(at, self._check_stall)

    def _check_stall(self) -> None:
        self._stall_check = None
        if self._write_began_at is None:
            return
        stalls_at = self._write_began_at + self._times.stall_s
        if stalls_at > asyncio.get_running_loop().time():
            self._check_stall_at(stalls_at)
        else:
            self._fall_behind(None)

    def _fall_behind(self, error: Exception | None) -> None:
        if not self.is_behind:
            _log.error("saving_is_behind", answers=len(self._dirty), exc_info=error)
            self.is_behind = True
            self._behind_since = self._clock()
            self.bell.notify_listeners()
        if self.is_strict:
            return
        for queued in self._queue:
            queued.resolve_accepted()
        for stream in self._dirty:
            stream.release_entries(stream.log.written, end=True)

    def _note_caught_up(self) -> None:
        if self.is_behind:
            _log.warning("saving_has_caught_up")
            self.is_behind = False
            self.bell.notify_listeners()


def _unsaved_tail(stream: CommittedStream) -> Tail:
    """Return what the store does not have of an answer; of one that has ended, all of it."""
    end = stream.log.closed
    offset = stream.stored if end is None else 0
    return Tail(
        stream=stream.name, offset=offset, entries=stream.log.entries_after(offset), end=end
    )
