"""Runs one handler, independently of the stream that its answer goes to.

Theory of operation. The handler runs in a task of its own and puts elements into ``_out``; a stream
takes them with ``deltas``. When the handler asks a question, the stream ends with the reason
``asking``, and the task waits for ``resume``, which the answer's own stream calls: the next part of
the answer is another stream of the same turn. If the process has ended in between, a new run
*replays* the handler: what it puts out is dropped until it reaches the question that was open;
questions before it return their stored answers, and ``Turn.once`` its stored results.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import threading
import time
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import structlog

from wireside.errors import HandlerFailed, ProviderError, WiresideError
from wireside.extension import questions
from wireside.extension.events import EventReader
from wireside.extension.parts import data_part
from wireside.extension.questions import Question
from wireside.extension.turn import CannotAsk, Messages, Turn
from wireside.messages import Delta, Finished, PartDelta
from wireside.openai_wire.decode import without_surrogates
from wireside.parts import (
    SHARED_STATE,
    STATE,
    DataPart,
    FilePart,
    ImagePart,
    Part,
    data_of,
    size_of,
    upload_of,
)

_log = structlog.get_logger(__name__)

BLOCKED_S = 0.1
"""Time in seconds after which a handler that holds the event loop is named in the log."""

CLEAN_UP_S = 5.0
"""Time in seconds that a stopped handler has for its clean-up before the answer ends without it."""

RUN = ".run"
"""Kind of the hidden part with which each run of a handler begins."""

MOST_WAITING = 512
"""Number of elements after which a handler that never waits lets other tasks run."""


class Complete(Protocol):
    """Streams the text of another model's answer."""

    def __call__(self, messages: Messages, model: str | None) -> AsyncIterator[str]:
        """Stream the text."""
        ...


DeltaT = TypeVar("DeltaT", bound=Delta)

Handler = Callable[[Turn[Any, Any]], Any]


class HandlerRun:
    """One run of a handler. Call all methods on the event loop, except ``emit``.

    Args:
        handler: an async generator, coroutine, generator or plain function.
        name: its name, for the log.
        pool: threads of generators and functions that are not async.
        complete: streams the text of other models.
        parts: the parts of the answer before this run, which it replays; none for a new answer.
        files: the files with which its questions were answered, by their ids.
        answered: the question that was open, with its answer, for a replay.
        can_ask: whether a question can be answered later.
        shares_state: whether clients of AG-UI see its state.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        name: str,
        pool: ThreadPoolExecutor,
        complete: Complete,
        parts: Sequence[Part] = (),
        files: Mapping[str, Part] = MappingProxyType({}),
        answered: PartDelta | None = None,
        can_ask: bool = True,
        shares_state: bool = False,
    ) -> None:
        self._handler = handler
        self._state_kind = SHARED_STATE if shares_state else STATE
        self._name = name
        self._pool = pool
        self._complete = complete
        self._files = dict(files)
        self._can_ask = can_ask
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._out: deque[Delta] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._turn: Turn[Any, Any] | None = None
        self._stored = {
            (part.kind, part.id): part.data
            for part in parts
            if isinstance(part, DataPart) and part.id
        }
        self._events = EventReader()
        self._end = Finished("stop")
        run, of_run = _last_run(parts)
        self._asked_before = deque(
            part
            for part in (of_run if answered is not None else ())
            if isinstance(part, DataPart) and part.kind == questions.KIND
        )
        """The questions of this run that a replay has not reached."""
        self.run = run if answered is not None else secrets.token_hex(4)
        """Id of this run; a replay has that of the run before it."""
        self.held_chars = 0
        """Number of characters of the messages and files that the handler has."""
        self._asking = asyncio.Lock()
        self._open: str | None = None
        """Id of the question that the handler waits at."""
        self._answer: asyncio.Future[PartDelta] | None = None
        self._answered = answered
        self._is_silent = answered is not None
        """Whether a replay has not reached the question that was open."""
        if answered is None:
            self._out.append(data_part(RUN, self.run))
        else:
            self._out.append(cleaned(answered))

    @property
    def is_asking(self) -> bool:
        """Whether the handler waits for the answer to a question."""
        return self._open is not None

    @property
    def conversation(self) -> str | None:
        """The id of the conversation, None if the answer is not stored."""
        return self._turn.conversation if self._turn else None

    @property
    def user_id(self) -> str:
        """The id of the account that asks."""
        return self._turn.user.id if self._turn else ""

    def start(self, turn: Turn[Any, Any]) -> None:
        """Start the handler for a turn, whose output this run is."""
        self._turn = turn
        parts = [part for message in turn.context for part in message.parts]
        self.held_chars = sum(map(size_of, (*parts, *self._files.values())))
        self._task = asyncio.create_task(self._run(turn), name=f"handler {self._name}")

    async def deltas(self) -> AsyncIterator[Delta]:
        """Yield the elements up to the next question or to the end of the handler.

        Raises:
            WiresideError: the handler raised it, or another exception (``HandlerFailed``).
        """
        assert self._task is not None
        while True:
            while self._out:
                yield self._out.popleft()
            if self._open is not None:
                yield Finished("asking")
                return
            if self._task.done():
                break
            self._wake.clear()
            await self._wake.wait()
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error
        yield self._end

    def resume(self, answered: PartDelta, files: Mapping[str, Part]) -> None:
        """Give the handler the answer to its open question; the stored part is sent first.

        ``files`` are those with which questions were answered, by their ids.
        """
        assert self._answer is not None
        self._files.update(files)
        self._open = None
        answered = cleaned(answered)
        self._out.append(answered)
        self._answer.set_result(answered)
        self._wake.set()

    async def aclose(self) -> None:
        """Stop the handler and wait for its clean-up, ``CLEAN_UP_S`` at most."""
        task = self._task
        if task is None or task.done():
            return
        if self._turn is not None:
            self._turn.stopped = True
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=CLEAN_UP_S)
        if not done:
            _log.warning("handler_does_not_stop", handler=self._name, seconds=CLEAN_UP_S)

    # ---- output of the turn ------------------------------------------------------------------

    def emit(self, value: object) -> None:
        """Add a value to the answer. Thread-safe. Raises ``TypeError`` or ``TooLargePart``."""
        if isinstance(value, Finished):
            self._end = value
            return
        deltas = [cleaned(delta) for delta in self._events.read(value)]
        if threading.get_ident() == self._thread:
            self._put(deltas)
        else:
            self._loop.call_soon_threadsafe(self._put, deltas)

    async def ask(self, question: Question) -> Any:
        """Return the answer to a question. Raises ``CannotAsk``."""
        if not self._can_ask:
            raise CannotAsk(
                "This request is not part of a conversation, so that its question could not be"
                " answered."
            )
        async with self._asking:  # questions that are asked at once are answered in turn
            return await self._ask(question)

    async def _ask(self, question: Question) -> Any:
        if self._asked_before:
            return self._parse(question, self._next_answer())
        part_id = f"question-{secrets.token_hex(8)}"
        self._put([cleaned(questions.question_part(question, part_id=part_id))])
        self._open = part_id
        self._answer = self._loop.create_future()
        self._wake.set()
        found = await self._answer
        assert isinstance(found.part, DataPart)
        return self._parse(question, found.part)

    def stored(self, kind: str, name: str) -> str | None:
        """Return the JSON text that was stored under a name in this answer."""
        return self._stored.get((kind, f"{kind}-{name}"))

    def store(self, kind: str, name: str, value: object) -> None:
        """Store a value under a name in this answer. Raises ``TooLargePart``."""
        delta = cleaned(data_part(kind, value, part_id=f"{kind}-{name}"))
        assert isinstance(delta.part, DataPart)
        self._stored[kind, delta.id] = delta.part.data
        self._out.append(delta)  # also while silent: it may be new
        self._wake.set()

    def complete(self, messages: Messages, model: str | None) -> AsyncIterator[str]:
        """Stream the text of another model's answer."""
        return self._complete(messages, model)

    # ---- internals ---------------------------------------------------------------------------

    def _next_answer(self) -> DataPart:
        """Return the next question of the answer before this run, with its answer."""
        part = self._asked_before.popleft()
        if self._answered is not None and part.id == self._answered.id:
            self._is_silent = False
            assert isinstance(self._answered.part, DataPart)
            return self._answered.part
        return part

    def _parse(self, question: Question, answered: DataPart) -> Any:
        """Return an answer as the handler gets it; a file has its content."""
        found = question.parse((data_of(answered) or {}).get("answer"))
        if isinstance(found, ImagePart | FilePart):
            return self._files.get(upload_of(found) or "", found)
        return found

    async def _run(self, turn: Turn[Any, Any]) -> None:
        try:
            try:
                await self._drive(turn)
            finally:
                self._keep_state(turn)
            if self._is_silent:
                raise HandlerFailed(
                    "The handler has changed since it asked this question: ask it again."
                )
        except (WiresideError, asyncio.CancelledError):
            raise
        except CannotAsk as error:
            raise ProviderError(str(error)) from error
        except Exception as error:
            raise self._failed(error) from error
        finally:
            self._wake.set()

    async def _drive(self, turn: Turn[Any, Any]) -> None:
        handler = self._handler
        if inspect.isasyncgenfunction(handler):
            generator = handler(turn)
            try:
                while True:
                    value = await _Watched(generator.__anext__(), self._name)
                    self.emit(value)
                    if len(self._out) > MOST_WAITING:
                        await asyncio.sleep(0)
            except StopAsyncIteration:
                return
            finally:
                await generator.aclose()
        elif inspect.iscoroutinefunction(handler):
            await self._emit_result(await _Watched(handler(turn), self._name))
        else:
            await self._emit_result(await self._in_thread(handler, turn))

    async def _emit_result(self, result: Any) -> None:
        """Emit what a function has returned: a value, a generator, or an async iterable."""
        if inspect.isawaitable(result):
            result = await result
        if inspect.isasyncgen(result):
            async with aclosing(result) as values:
                async for value in values:
                    self.emit(value)
        elif hasattr(result, "__aiter__"):
            async for value in result:
                self.emit(value)
        elif inspect.isgenerator(result):
            await self._in_thread(self._exhaust, result)
        else:
            self.emit(result)

    def _exhaust(self, generator: Generator[Any, None, Any]) -> None:
        """Emit what a generator yields; runs in a thread, until the answer is stopped."""
        assert self._turn is not None
        try:
            for value in generator:
                if self._turn.stopped:
                    return
                self.emit(value)
        finally:
            generator.close()

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        context = copy_context()
        return await self._loop.run_in_executor(self._pool, context.run, work, *arguments)

    def _put(self, deltas: Iterable[Delta]) -> None:
        if not self._is_silent:
            self._out.extend(deltas)
            self._wake.set()

    def _keep_state(self, turn: Turn[Any, Any]) -> None:
        """Store the state with the answer, so that it follows the branches of the conversation."""
        if turn.state is None:
            return
        part_id = state_id(type(turn.state))
        self._out.append(cleaned(data_part(self._state_kind, turn.state, part_id=part_id)))

    def _failed(self, error: Exception) -> HandlerFailed:
        reference = f"{time.time_ns() // 1_000_000:x}"[-8:]
        _log.error("handler_failed", handler=self._name, id=reference, exc_info=error)
        return HandlerFailed(f"The answer failed. The server's log has error {reference}.")


def state_id(kind: type) -> str:
    """Return the id of the part with a state: handlers with classes of their own have their own."""
    return f"{STATE}-{kind.__name__}"


def cleaned(delta: DeltaT) -> DeltaT:
    """Return an element without unpaired surrogates, which no frame and no database can carry."""
    if isinstance(delta, PartDelta):
        return replace(delta, part=_cleaned_fields(delta.part))
    return delta if isinstance(delta, Finished) else _cleaned_fields(delta)


def _cleaned_fields(value: Any) -> Any:
    changes = {
        name: without_surrogates(text)
        for name in value.__dataclass_fields__
        if isinstance(text := getattr(value, name), str) and not text.isascii()
    }
    return replace(value, **changes) if changes else value


def _last_run(parts: Sequence[Part]) -> tuple[str, Sequence[Part]]:
    """Return the id of the last run of an answer, and the parts that it has written."""
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, DataPart) and part.kind == RUN:
            return str(data_of(part)), parts[index:]
    return "", parts


class _Watched:
    """Awaits something and names a handler in the log that holds the event loop."""

    def __init__(self, awaitable: Awaitable[Any], name: str) -> None:
        self._awaitable = awaitable
        self._name = name

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._awaitable.__await__()
        work: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            began = time.perf_counter()
            try:
                waits_for = work(value)
            except StopIteration as end:
                return end.value
            finally:
                held_s = time.perf_counter() - began
                if held_s > BLOCKED_S:
                    _log.warning(
                        "handler_blocks_event_loop",
                        handler=self._name,
                        milliseconds=round(held_s * 1000),
                        remedy="Await, or write the handler as a function without `async`.",
                    )
            try:
                value = yield waits_for
                work = steps.send
            except BaseException as error:  # thrown into this generator, meant for the handler
                value = error
                work = steps.throw
