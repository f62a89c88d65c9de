"""Owns the answers: starts each as a task of the application, stops it, keeps it for resume."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from wireside.errors import Expired, InternalError, NotFound, Overloaded, WiresideError
from wireside.generation.commits import GroupCommit
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Bell, Reader
from wireside.generation.tasks import Tasks
from wireside.messages import End, Finished, FinishReason, ModelRequest
from wireside.ports import Clock, Provider
from wireside.records import Segment
from wireside.watching import UNWATCHED, AnswerWatch, Watcher

_log = structlog.get_logger(__name__)

REMEMBERED_NAMES = 20_000
"""Names of expired streams that are still told from unknown ones."""


LAST_COMMIT_S = 2.0
"""How long the end waits for what the store does not have yet."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many answers are made at once, and how long finished ones are kept."""

    streams: int = 1000
    resume_window_s: float = 600.0
    resume_window_chars: int = 64_000_000


def new_name() -> str:
    """Return a name that nobody can guess: 128 random bits."""
    return secrets.token_urlsafe(16)


class Stream:
    """One answer being made, or made. The server owns it; everybody else has a ``Reader``.

    With ``commits`` its readers are shown only what the store has.
    """

    def __init__(
        self,
        name: str,
        model: str,
        *,
        owner: str = "",
        sanitize: bool = False,
        commits: GroupCommit | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.owner = owner
        """The account that it belongs to; nobody else may read it."""
        self.sanitize = sanitize
        self.log = AnswerLog(held=commits is not None)
        self.stored = 0
        """The position after what the store has."""
        self.index: int | None = None
        """Its place in the batch that it was asked in, as long as it is in memory."""
        self._commits = commits
        self._bell = Bell()
        self._over = asyncio.Event()
        self._at_end: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._stop_reason: FinishReason = "interrupted"

    @classmethod
    def restored(cls, segment: Segment, owner: str) -> Stream:
        """Return a finished stream as the store has it."""
        stream = cls(segment.stream, segment.model, owner=owner, sanitize=segment.sanitize)
        for entry in segment.entries:
            stream.log.append(entry)
        stream.log.close(segment.end or End("interrupted"))
        return stream

    @property
    def is_live(self) -> bool:
        """Whether the answer may still grow."""
        return self.log.end is None

    def reader(self, offset: int = 0, wake: Callable[[], None] | None = None) -> Reader:
        """Return a reader from ``offset`` on. Raises ``BadOffset``."""
        return Reader(self.log, self._bell, offset, wake)

    def stop(self, reason: FinishReason = "cancelled") -> None:
        """Ask the answer to end; its log closes when the upstream response is closed.

        Stopping a finished stream is no error.
        """
        if self.is_live and self._task is not None:
            self._stop_reason = reason
            self._task.cancel()

    def lags(self) -> Iterator[int]:
        """Return how far behind each reader is that follows."""
        return (key.lag for key in self._bell.listeners if isinstance(key, Reader))

    async def ended(self) -> None:
        """Return when the log is closed."""
        if self.is_live:
            await self._over.wait()

    def _run_as(self, task: asyncio.Task[None]) -> None:
        self._task = task
        # a task that is cancelled before its first step never enters its `try`
        task.add_done_callback(self._ran)

    def _ran(self, _: asyncio.Task[None]) -> None:
        self._close(End(self._stop_reason))
        self._task = None  # it holds its context, and the stream is kept for long

    def release(self, offset: int) -> None:
        """Let readers have what is before ``offset``."""
        self.log.release(offset)
        self._ring()

    def _close(self, end: End) -> None:
        self.log.close(end)
        self._told()

    def _told(self) -> None:
        if self._commits is None:
            self._ring()
        else:
            self._commits.add(self)

    def at_end(self, work: Callable[[], None]) -> None:
        """Call ``work`` when the log is closed, before that is told to anyone."""
        if self.is_live:
            self._at_end.append(work)
        else:
            work()

    def _ring(self) -> None:
        if not self.is_live:
            while self._at_end:
                self._at_end.pop()()
        self._bell.ring()
        if not self.is_live:
            self._over.set()


class Runner:
    """Runs answers in the application's task group. Every method belongs to the event loop."""

    def __init__(
        self,
        provider: Provider,
        tasks: Tasks,
        limits: Limits,
        clock: Clock,
        commits: GroupCommit | None = None,
        watcher: Watcher = UNWATCHED,
    ) -> None:
        """``commits`` writes the answers that are started with a name of the store."""
        self._commits = commits
        self._provider = provider
        self._tasks = tasks
        self._limits = limits
        self._clock = clock
        self._watcher = watcher
        self._live: dict[str, Stream] = {}
        self._finished: OrderedDict[str, tuple[float, Stream]] = OrderedDict()
        self._finished_chars = 0
        self._expired: OrderedDict[str, str] = OrderedDict()
        """Names of streams that have left the window, and whose they were."""
        self._is_draining = False

    @property
    def live(self) -> int:
        """How many answers are being made."""
        return len(self._live)

    @property
    def kept(self) -> tuple[int, int]:
        """How many finished answers are kept for resume, and of how many characters."""
        return len(self._finished), self._finished_chars

    def lags(self) -> list[int]:
        """Return how many characters each reader is behind its answer."""
        streams = [*self._live.values(), *(stream for _, stream in self._finished.values())]
        return [lag for stream in streams for lag in stream.lags()]

    def start(
        self,
        request: ModelRequest,
        *,
        owner: str = "",
        sanitize: bool = False,
        stored_as: str | None = None,
    ) -> Stream:
        """Begin an answer for ``owner``. Returns before the model is called. Raises ``Overloaded``.

        ``stored_as`` is the name under which the store knows it; without one it is in memory only.
        """
        if self._is_draining:
            raise Overloaded("The server is shutting down; try again in a moment.")
        if len(self._live) >= self._limits.streams:
            raise Overloaded
        stream = self._stream(request.model, owner, stored_as, sanitize=sanitize)
        self._live[stream.name] = stream
        watch = self._watcher.answer(stream.name, stream.model, request)
        work = self._run(stream, request, watch)
        task = self._tasks.create_task(work, name=f"answer {stream.name}")
        stream._run_as(task)
        task.add_done_callback(lambda _: self._keep(stream, watch))
        return stream

    def ended(
        self, model: str, end: End, *, owner: str = "", stored_as: str | None = None
    ) -> Stream:
        """Return a stream of an answer that did not even begin."""
        stream = self._stream(model, owner, stored_as)
        stream._close(end)
        self._watcher.answer(stream.name, model, None).ended(end, 0, stream.log.text)
        self._retain(stream)
        return stream

    def _stream(
        self, model: str, owner: str, stored_as: str | None, *, sanitize: bool = False
    ) -> Stream:
        commits = self._commits if stored_as else None
        name = stored_as or new_name()
        return Stream(name, model, owner=owner, sanitize=sanitize, commits=commits)

    def known(self, name: str) -> Stream | None:
        """Return the stream of that name, None when it is not in memory."""
        if stream := self._live.get(name):
            return stream
        kept = self._finished.get(name)
        return kept[1] if kept else None

    def find(self, name: str, owner: str = "") -> Stream:
        """Return the stream of that name and owner. Raises ``Expired`` or ``NotFound``."""
        self.expire()
        stream = self.known(name)
        if stream is not None and stream.owner == owner:
            return stream
        raise Expired if self._expired.get(name) == owner else NotFound

    def expire(self) -> None:
        """Let go of finished answers that have left the resume window."""
        now = self._clock()
        while self._finished:
            since, stream = next(iter(self._finished.values()))
            is_old = now - since >= self._limits.resume_window_s
            if not is_old and self._finished_chars <= self._limits.resume_window_chars:
                return
            del self._finished[stream.name]
            if self._commits and self._commits.is_pending(stream):
                self._finished[stream.name] = now, stream  # nobody else has it yet
                return
            self._finished_chars -= stream.log.written
            self._expired[stream.name] = stream.owner
            if len(self._expired) > REMEMBERED_NAMES:
                self._expired.popitem(last=False)

    async def drain(self, timeout_s: float) -> None:
        """Start nothing more; give the running answers ``timeout_s``, then interrupt them."""
        self._is_draining = True
        running = [stream._task for stream in self._live.values() if stream._task]
        if running:
            await asyncio.wait(running, timeout=timeout_s)
        for stream in tuple(self._live.values()):
            stream.stop("interrupted")
        if still := [stream._task for stream in self._live.values() if stream._task]:
            await asyncio.wait(still, timeout=2.0)
        if self._commits is not None:
            await self._commits.flush(LAST_COMMIT_S)

    def _keep(self, stream: Stream, watch: AnswerWatch) -> None:
        del self._live[stream.name]
        end = stream.log.closed
        assert end is not None  # the callback before this one has closed it
        watch.ended(end, stream.log.written, stream.log.text)
        self._retain(stream)

    def _retain(self, stream: Stream) -> None:
        self._finished[stream.name] = (self._clock(), stream)
        self._finished_chars += stream.log.written
        self.expire()

    async def _run(self, stream: Stream, request: ModelRequest, watch: AnswerWatch) -> None:
        watch.running()
        append, told = stream.log.append, stream._told
        end = End("interrupted")  # of a provider that stops without a word
        is_silent = True
        try:
            async with aclosing(self._provider.stream(request)) as deltas:
                async for delta in deltas:
                    if isinstance(delta, Finished):
                        end = End(delta.reason, usage=delta.usage)
                    else:
                        append(delta)
                        told()
                        if is_silent:
                            is_silent = False
                            watch.first()
        except asyncio.CancelledError:
            # the upstream response is closed by now, so the end may be told
            stream._close(End(stream._stop_reason))
            raise
        except WiresideError as error:
            end = End(None, error)
        except Exception:  # what left here would cancel every other answer of the group
            _log.exception("answer_failed", stream=stream.name, model=request.model)
            end = End(None, InternalError())
        stream._close(end)
