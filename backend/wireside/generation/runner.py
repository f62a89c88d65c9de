"""Runs answers as tasks of the application: starts and stops them, and keeps them for resume."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from wireside.errors import Expired, InternalError, NotFound, Overloaded, WiresideError
from wireside.generation.commits import GroupCommit
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Reader, Signal
from wireside.generation.stopwatch import Stopwatch
from wireside.generation.tasks import Tasks
from wireside.messages import End, Entry, Finished, FinishReason, ModelRequest
from wireside.ports.clock import Clock
from wireside.ports.observer import NULL_OBSERVER, AnswerObserver, Observer
from wireside.ports.provider import Provider
from wireside.records import Segment

_log = structlog.get_logger(__name__)

REMEMBERED_NAMES = 20_000
"""Number of expired stream names remembered, to tell expired streams from unknown ones."""


LAST_COMMIT_S = 2.0
"""Minimum time for which ``drain`` waits for data that the store does not have yet, in seconds."""


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """Limits on concurrent answers, and how long and how many finished ones are kept for resume."""

    streams: int = 1000
    resume_window_s: float = 600.0
    resume_window_chars: int = 64_000_000


def new_stream_name() -> str:
    """Return an unguessable name: 128 random bits."""
    return secrets.token_urlsafe(16)


class Stream:
    """One answer in progress or finished. The server owns it; all access is through a ``Reader``.

    With ``commits``, readers are shown only what is in the store, unless it is behind.
    """

    def __init__(
        self,
        name: str,
        model: str,
        *,
        owner: str = "",
        sanitize: bool = False,
        commits: GroupCommit | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.created_at = time.time()
        """Unix time at which the answer began."""
        self.owner = owner
        """Id of the account that owns the answer; other accounts can't read it."""
        self.sanitize = sanitize
        self.log = AnswerLog(held=commits is not None)
        self.stored = 0
        """The position up to which the store has the answer."""
        self.index: int | None = None
        """Index of the question in its batch; kept only while the stream is in memory."""
        self._commits = commits
        self._stopwatch = stopwatch
        self._bell = Signal()
        self._over = asyncio.Event()
        self._at_end: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._stop_reason: FinishReason = "interrupted"
        self.stop_elsewhere: Callable[[Stream], None] | None = None
        """Stops an answer that another server writes; None for one of this server."""
        self.is_abandoned = False
        """Whether another server is responsible for the answer: the store may have more of it."""
        self._shows_unstored = False
        """Whether readers were shown something that will never be stored."""

    @classmethod
    def from_segment(cls, segment: Segment, owner: str) -> Stream:
        """Return a finished stream built from a stored segment."""
        stream = cls(segment.stream, segment.model, owner=owner, sanitize=segment.sanitize)
        stream.created_at = segment.created_at
        for entry in segment.entries:
            stream.log.append_entry(entry)
        stream.log.close_with(segment.end or End("interrupted"))
        return stream

    @property
    def is_saved(self) -> bool:
        """Whether the store has all of the answer, if it belongs there."""
        if self._commits is None:
            return True
        return not self._shows_unstored and not self._commits.is_pending(self)

    @property
    def is_stored(self) -> bool:
        """Whether the answer belongs to a conversation in the store."""
        return self._commits is not None

    @property
    def is_live(self) -> bool:
        """Whether the answer may still grow."""
        return self.log.end is None

    @property
    def is_elsewhere(self) -> bool:
        """Whether another server writes the answer."""
        return self.stop_elsewhere is not None

    def new_reader(self, offset: int = 0, wake: Callable[[], None] | None = None) -> Reader:
        """Return a reader that starts at ``offset``. Raises ``BadOffset``."""
        return Reader(self.log, self._bell, offset, wake)

    def stop_answer(self, reason: FinishReason = "cancelled") -> None:
        """Cancel the answer; its log is closed once the upstream response is closed.

        Stopping a finished stream has no effect.
        """
        if self.is_live and self._task is not None:
            self._stop_reason = reason
            self._task.cancel()
        elif self.is_live and self.stop_elsewhere is not None:
            self.stop_elsewhere(self)

    def reader_lags(self) -> Iterator[int]:
        """Yield the lag of each following reader, in characters."""
        return (key.lag for key in self._bell.listeners if isinstance(key, Reader))

    async def wait_ended(self) -> None:
        """Wait until the log is closed."""
        if self.is_live:
            await self._over.wait()

    def _attach_task(self, task: asyncio.Task[None]) -> None:
        self._task = task
        # a task that is cancelled before its first step never enters its `try`
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, _: asyncio.Task[None]) -> None:
        self._close_log(End(self._stop_reason))
        self._task = None  # a task holds its context, and the stream outlives it

    def release_entries(self, offset: int, *, end: bool) -> None:
        """See ``AnswerLog.release_entries``."""
        self.log.release_entries(offset, end=end)
        self._wake_readers()

    def end_stored(self, end: End) -> None:
        """See ``CommittedStream``."""
        self._shows_unstored = self.log.head > self.stored
        self.log.end_at(self.stored, end)
        if self._task is not None:
            self._task.cancel()
        self._wake_readers()

    def abandon(self) -> None:
        """End the answer at what is stored, because the other servers have removed this one."""
        self.is_abandoned = True
        self.end_stored(End("interrupted"))

    def _append_entry(self, entry: Entry) -> None:
        self.log.append_entry(entry)
        if self._stopwatch is not None:
            self._stopwatch.note(entry)

    def _close_log(self, end: End) -> None:
        if self.log.closed is None:
            if self._stopwatch is not None:
                end = replace(end, timing=self._stopwatch.read())
            self.log.close_with(end)
            self._announce()

    def _announce(self) -> None:
        if self._commits is None:
            self._wake_readers()
        else:
            self._commits.schedule_stream(self)

    def call_at_end(self, work: Callable[[], None]) -> None:
        """Call ``work`` once the log is closed, before readers are woken."""
        if self.is_live:
            self._at_end.append(work)
        else:
            work()

    def _wake_readers(self) -> None:
        if not self.is_live:
            while self._at_end:
                self._at_end.pop()()
        self._bell.notify_listeners()
        if not self.is_live:
            self._over.set()


class Runner:
    """Runs answers in the application's task group. Call all methods on the event loop."""

    def __init__(
        self,
        provider: Provider,
        tasks: Tasks,
        limits: RunnerLimits,
        clock: Clock,
        commits: GroupCommit | None = None,
        watcher: Observer = NULL_OBSERVER,
    ) -> None:
        """``commits`` writes the answers that are started with ``stored_as``."""
        self._commits = commits
        self._provider = provider
        self._tasks = tasks
        self._limits = limits
        self._clock = clock
        self._watcher = watcher
        self._live: dict[str, Stream] = {}
        self._prepared: dict[str, Stream] = {}
        self._finished: OrderedDict[str, tuple[float, Stream]] = OrderedDict()
        self._finished_chars = 0
        self._expired: OrderedDict[str, str] = OrderedDict()
        """Names of streams that left the resume window, with their owners."""
        self._is_draining = False
        self._cut_short = asyncio.Event()
        self.name_prefix = ""
        """What the names of answers outside of conversations begin with."""

    @property
    def is_draining(self) -> bool:
        """Whether new answers are refused, because the server is shutting down."""
        return self._is_draining

    @property
    def live_count(self) -> int:
        """Number of running answers."""
        return len(self._live)

    @property
    def live_streams(self) -> tuple[Stream, ...]:
        """The running answers."""
        return tuple(self._live.values())

    @property
    def kept_size(self) -> tuple[int, int]:
        """Number of finished answers kept for resume, and their total size in characters."""
        return len(self._finished), self._finished_chars

    def reader_lags(self) -> list[int]:
        """Return the lag of each reader behind its answer, in characters."""
        streams = [*self._live.values(), *(stream for _, stream in self._finished.values())]
        return [lag for stream in streams for lag in stream.reader_lags()]

    def start_answer(
        self,
        request: ModelRequest,
        *,
        owner: str = "",
        sanitize: bool = False,
        stored_as: str | None = None,
        begins_with: Sequence[Entry] = (),
    ) -> Stream:
        """Start an answer for ``owner``; returns before the model is called.

        ``stored_as`` is the name of the stream in the store; without it the answer is in memory
        only. ``begins_with`` are its first entries. Raises ``Overloaded``.
        """
        stream = self._new_stream(request.model, owner, stored_as, sanitize=sanitize)
        return self._start_stream(stream, request, begins_with)

    def prepare_answer(
        self, request: ModelRequest, *, owner: str = "", sanitize: bool = False
    ) -> Stream:
        """Return the stream of an answer in memory that is started later, or discarded.

        It is found by its name already.
        """
        stream = self._new_stream(request.model, owner, None, sanitize=sanitize)
        self._prepared[stream.name] = stream
        return stream

    def start_prepared(self, stream: Stream, request: ModelRequest) -> None:
        """Start an answer that was prepared. Raises ``Overloaded``; it is discarded then."""
        try:
            self._start_stream(stream, request)
        except Overloaded:
            self.discard_prepared(stream)
            raise
        del self._prepared[stream.name]

    def discard_prepared(self, stream: Stream) -> None:
        """Discard an answer that was prepared."""
        del self._prepared[stream.name]
        stream._close_log(End("interrupted"))

    def _start_stream(
        self, stream: Stream, request: ModelRequest, begins_with: Sequence[Entry] = ()
    ) -> Stream:
        self.check_accepting()
        if len(self._live) >= self._limits.streams:
            raise Overloaded
        self._live[stream.name] = stream
        for entry in begins_with:
            stream._append_entry(entry)
        watch = self._watcher.record_answer(stream.name, stream.model, request)
        work = self._run_answer(stream, request, watch)
        task = self._tasks.create_task(work, name=f"answer {stream.name}")
        stream._attach_task(task)
        task.add_done_callback(lambda _: self._keep_finished(stream, watch))
        if begins_with:
            stream._announce()
        return stream

    def check_accepting(self) -> None:
        """Raise ``Overloaded`` while the server shuts down."""
        if self._is_draining:
            raise Overloaded("The server is shutting down; try again in a moment.")

    def failed_answer(
        self, model: str, end: End, *, owner: str = "", stored_as: str | None = None
    ) -> Stream:
        """Return a stream for an answer that could not be started."""
        stream = self.written_answer(model, (), end, owner=owner, stored_as=stored_as)
        self._watcher.record_answer(stream.name, model, None).answer_ended(
            end, 0, stream.log.visible_text
        )
        return stream

    def written_answer(
        self,
        model: str,
        entries: Sequence[Entry],
        end: End,
        *,
        owner: str = "",
        sanitize: bool = False,
        stored_as: str | None = None,
    ) -> Stream:
        """Return a stream that consists of ``entries``, without calling the model."""
        stream = self._new_stream(model, owner, stored_as, sanitize=sanitize)
        for entry in entries:
            stream.log.append_entry(entry)
        stream._close_log(end)
        self._retain_for_resume(stream)
        return stream

    def _new_stream(
        self,
        model: str,
        owner: str,
        stored_as: str | None,
        *,
        sanitize: bool = False,
    ) -> Stream:
        commits = self._commits if stored_as else None
        name = stored_as or self.new_name()
        return Stream(
            name,
            model,
            owner=owner,
            sanitize=sanitize,
            commits=commits,
            stopwatch=Stopwatch(self._clock),
        )

    def new_name(self) -> str:
        """Return a name for an answer outside of conversations."""
        return f"{self.name_prefix}{new_stream_name()}"

    def stream_in_memory(self, name: str) -> Stream | None:
        """Return the stream named ``name``, or None when it is not in memory."""
        if stream := self._live.get(name):
            return None if stream.is_abandoned else stream
        if stream := self._prepared.get(name):
            return stream
        kept = self._finished.get(name)
        return kept[1] if kept else None

    def abandon_stored(self) -> None:
        """End the running answers that belong in the store, at what is stored of them.

        Those that have ended without being stored are forgotten. The answers that are in memory
        only go on.
        """
        for stream in self.live_streams:
            if stream.is_stored:
                stream.abandon()
        for _, stream in tuple(self._finished.values()):
            if stream.is_stored and stream.is_live:
                del self._finished[stream.name]
                self._finished_chars -= stream.log.written
                stream.abandon()

    def find_stream(self, name: str, owner: str = "") -> Stream:
        """Return the stream of that name and owner. Raises ``Expired`` or ``NotFound``."""
        self.release_expired()
        stream = self.stream_in_memory(name)
        if stream is not None and stream.owner == owner:
            return stream
        raise Expired if self._expired.get(name) == owner else NotFound

    def release_expired(self) -> None:
        """Release finished answers that have left the resume window."""
        now = self._clock()
        while self._finished:
            since, stream = next(iter(self._finished.values()))
            is_old = now - since >= self._limits.resume_window_s
            if not is_old and self._finished_chars <= self._limits.resume_window_chars:
                return
            del self._finished[stream.name]
            if self._commits and self._commits.is_pending(stream):
                self._finished[stream.name] = now, stream  # the only copy so far
                return
            self._finished_chars -= stream.log.written
            self._expired[stream.name] = stream.owner
            if len(self._expired) > REMEMBERED_NAMES:
                self._expired.popitem(last=False)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new answers, wait ``timeout_s`` for the running ones, then interrupt them.

        Also waits until the store has all of them: for the rest of ``timeout_s``, and at least for
        ``LAST_COMMIT_S``.
        """
        self._is_draining = True
        until = self._clock() + timeout_s
        await self._wait_for_answers(timeout_s)
        for stream in tuple(self._live.values()):
            stream.stop_answer("interrupted")
        if still := [stream._task for stream in self._live.values() if stream._task]:
            await asyncio.wait(still, timeout=2.0)
        if self._commits is not None:
            await self._commits.wait_until_all_stored(max(LAST_COMMIT_S, until - self._clock()))

    def cut_drain_short(self) -> None:
        """Let ``drain`` and ``wait_idle`` wait no longer: the running answers are interrupted."""
        self._cut_short.set()

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until no answer runs, for ``timeout_s`` at most; new ones are still accepted."""
        until = self._clock() + timeout_s
        while self._live and not self._cut_short.is_set() and (left_s := until - self._clock()) > 0:
            await self._wait_for_answers(left_s)

    async def _wait_for_answers(self, timeout_s: float) -> None:
        """Wait until the answers that run now have ended, or the drain is cut short."""
        running = [stream._task for stream in self._live.values() if stream._task]
        if not running:
            return
        ended = asyncio.ensure_future(asyncio.wait(running))
        cut = asyncio.ensure_future(self._cut_short.wait())
        try:
            await asyncio.wait([ended, cut], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            cut.cancel()

    def _keep_finished(self, stream: Stream, watch: AnswerObserver) -> None:
        del self._live[stream.name]
        end = stream.log.closed
        assert end is not None  # closed by the callback registered before this one
        watch.answer_ended(end, stream.log.written, stream.log.visible_text)
        self._retain_for_resume(stream)

    def _retain_for_resume(self, stream: Stream) -> None:
        if stream.is_abandoned:
            return
        self._finished[stream.name] = (self._clock(), stream)
        self._finished_chars += stream.log.written
        self.release_expired()

    async def _run_answer(
        self, stream: Stream, request: ModelRequest, watch: AnswerObserver
    ) -> None:
        watch.task_started()
        append, told = stream._append_entry, stream._announce
        end = End("interrupted")  # for a provider that stops without `Finished`
        is_silent = True
        try:
            async with aclosing(self._provider.stream(request)) as deltas:
                async for delta in deltas:
                    if isinstance(delta, Finished):
                        end = End(delta.reason, usage=delta.usage, cost=delta.cost)
                    else:
                        append(delta)
                        told()
                        if is_silent:
                            is_silent = False
                            watch.first_delta_received()
        except asyncio.CancelledError:
            # the upstream response is closed by now, so the end can be published
            stream._close_log(End(stream._stop_reason))
            raise
        except WiresideError as error:
            end = End(None, error)
        except Exception:  # an escaping error would cancel every other answer of the group
            _log.exception("answer_failed", stream=stream.name, model=request.model)
            end = End(None, InternalError())
        stream._close_log(end)
