"""Session of one connected client: runs its requests and writes the frames of its answers.

Concurrency: one task receives continuously (``receive_frame``), one task writes (``write_frames``),
and only the latter sends. Each request that waits for the chat service has a task of its own, owned
by the session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, assert_never

import structlog

from wireside.chat.batches import BatchQuestions, BatchRun
from wireside.chat.context import ContextText
from wireside.chat.service import ChatService
from wireside.chat.streams import Ask
from wireside.errors import InternalError, NotFound, WiresideError
from wireside.files.service import question_parts
from wireside.generation.runner import Stream
from wireside.messages import End, Message, Options, parts_of
from wireside.protocol.connection import (
    Attach,
    Close,
    Connection,
    Event,
    OpenRequest,
    Outcome,
    Send,
    StartAnswer,
    Stop,
)
from wireside.protocol.frames import (
    DEFAULT_FRAME_BYTES,
    BatchFrame,
    ChatFrame,
    ResumedFrame,
    ResumeFrame,
    StartFrame,
    StreamState,
)
from wireside.session.counts import FrameCounts
from wireside.session.departure import RESTART_CODE, RESTART_REASON
from wireside.session.outgoing import Outgoing, last_frame

_log = structlog.get_logger(__name__)

MAX_WAITING_CHARS = 65_536
"""Characters of queued frames that belong to no answer (pongs, errors) on a blocked socket.

The rate limit of the settings keeps below this bound; a server without rate limits relies on it.
"""

TRY_AGAIN_LATER = 1013

_CANCELLED = End("cancelled")


class Counters(Protocol):
    """Counts events of a session; implemented by the telemetry."""

    def count_error(self, code: str, *, is_of_answer: bool = False) -> None:
        """Count an error sent to a client.

        An answer's error (``is_of_answer``) is sent to each client that reads the answer.
        """


class Running:
    """A request or a resumed stream whose last frame has not been sent."""

    def __init__(self, origin: OpenRequest | ResumeFrame) -> None:
        self.origin = origin
        self.stream: Stream | None = None
        self.outgoing: Outgoing | None = None
        self.is_stopped = False
        self.may_stop = True
        """Whether the client may stop the answer."""
        self.is_withdrawn = False
        """Whether the caller may no longer read the answer, which others have shared with it."""
        self.unwatch: Callable[[], None] = lambda: None

    @property
    def id(self) -> str | None:
        """Id of the request; None on level 1."""
        return self.origin.id if isinstance(self.origin, ResumeFrame) else self.origin.chat.id

    @property
    def index(self) -> int | None:
        """Position in a batch."""
        return None if isinstance(self.origin, ResumeFrame) else self.origin.index


class Session:
    """Executes the connection's events: starts and stops answers, and writes them as they grow.

    Memory is bounded whatever the client does: answers stay in their logs and are read only as fast
    as the socket accepts them, and other frames are queued up to a limit.
    """

    def __init__(
        self,
        connection: Connection,
        chat: ChatService,
        counters: Counters,
        counts: FrameCounts | None = None,
        max_frame_bytes: int = DEFAULT_FRAME_BYTES,
    ) -> None:
        """``max_frame_bytes`` applies to requests that set no bound of their own."""
        self._max_frame_bytes = max_frame_bytes
        self._has_left = False
        self._is_moving = False
        self._batches: dict[str | None, BatchRun] = {}
        self._connection = connection
        self._chat = chat
        self._counters = counters
        self._counts = counts or FrameCounts()
        self._context = ContextText(chat.history_limit)
        self._frames: list[str] = []
        self._running: dict[OpenRequest | ResumeFrame, Running] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._close: Close | None = None
        self._wake = asyncio.Event()
        self._is_writing = False

    def receive_frame(self, text: str, now: float) -> None:
        """Handle a text frame that arrived at ``now``, in seconds."""
        if self._close is not None:
            return  # frames in flight after the close cost nothing more
        events = self._connection.receive(text, now)
        self._counts.received[self._connection.last_type] += 1
        self._handle_events(events)

    def receive_binary(self) -> None:
        """Handle a binary frame, which ends the connection."""
        self._counts.received["binary"] += 1
        self._handle_events(self._connection.receive_binary())

    async def write_frames(
        self,
        send: Callable[[str], Awaitable[None]],
        close: Callable[[int, str], Awaitable[None]],
    ) -> None:
        """Send frames as fast as ``send`` accepts them, until the connection has to be closed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._close is None and await self._write_round(send):
                pass
            if self._close is not None:
                while self._frames:
                    await send(self._frames.pop(0))
                return await close(self._close.code, self._close.reason)

    async def _write_round(self, send: Callable[[str], Awaitable[None]]) -> bool:
        """Send queued frames and a fair share of each answer; return whether there were any.

        An answer's share is read from its log only after the previous shares were sent: while the
        socket is blocked, one share is in memory, and not one per answer.
        """
        wrote = bool(self._frames)
        self._is_writing = True
        while self._frames:
            await send(self._frames.pop(0))
        for running in tuple(self._running.values()):
            if self._close is not None:
                break
            share = self._next_frames(running)
            wrote = wrote or bool(share)
            while share:
                await send(share.pop())
        self._is_writing = False
        return wrote

    def move(self) -> None:
        """Close the connection with 1012, so that the client reconnects to another server.

        Waits for answers that no other server has: those that are stored nowhere.
        """
        self._is_moving = True
        self._close_if_moving()

    def _close_if_moving(self) -> None:
        if (
            self._is_moving
            and self._close is None
            and not any(map(_is_bound, self._running.values()))
        ):
            self._handle_event(Close(RESTART_CODE, RESTART_REASON))

    def handle_disconnect(self) -> None:
        """Handle the client's disconnect.

        The level 1 answer is stopped, as it can't be resumed; level 2 answers continue, batches
        included.
        """
        self._has_left = True
        for task in tuple(self._asking):
            task.cancel()
        for running in self._running.values():
            running.unwatch()
            if running.outgoing is not None:
                running.outgoing.stop_reading()
            if running.id is None and running.stream is not None:
                running.stream.stop_answer()

    # ---- events of the connection --------------------------------------------------------------

    def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            self._handle_event(event)

    def _handle_event(self, event: Event) -> None:
        match event:
            case Send():
                self._send_frame(event)
            case StartAnswer():
                self._start_request(event.request)
            case Attach():
                self._start_resume(event.resume)
            case Stop():
                self._stop_answers(event.id, event.index)
            case Close():
                self._close = event
                self._wake.set()
            case _:
                assert_never(event)

    def _send_frame(self, event: Send) -> None:
        if event.code is not None:
            self._counters.count_error(event.code)
        self._counts.sent[event.frame.type] += 1
        self._frames.append(event.frame.encode())
        if self._is_writing and sum(map(len, self._frames)) > MAX_WAITING_CHARS:
            self._frames.clear()
            self._close = Close(TRY_AGAIN_LATER, "The connection takes nothing.")
        self._wake.set()

    def _start_request(self, request: OpenRequest) -> None:
        if request.cancelled:
            return self._end_cancelled(request)
        running = self._running[request] = Running(request)
        if request.batch is None:
            work = self._begin_answer(running, request)
        else:
            try:
                # at once, as the client may disconnect
                batch = self._batch_of_request(request, request.batch)
            except WiresideError as error:
                return self._refuse_request(request, error)
            work = self._begin_of_batch(running, request, batch)
        self._run_owned(work, lambda error: self._refuse_request(request, error))

    def _run_owned(
        self, work: Coroutine[Any, Any, None], refuse: Callable[[WiresideError], None]
    ) -> None:
        """Run ``work`` in a task until it ends or the client disconnects.

        If it fails, ``refuse`` is called with the error and ends the request.
        """
        task = asyncio.create_task(self._report_errors(work, refuse))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        task.add_done_callback(lambda _: work.close())  # in case it was cancelled before its start

    async def _report_errors(
        self, work: Coroutine[Any, Any, None], refuse: Callable[[WiresideError], None]
    ) -> None:
        try:
            await work
        except WiresideError as error:
            refuse(error)
        except asyncio.CancelledError:
            if self._has_left:
                raise
            refuse(InternalError())  # the server cancelled what the request waits for
        except Exception:  # a request that never ends would block its connection
            _log.exception("request_failed")
            refuse(InternalError())

    async def _begin_answer(self, running: Running, request: OpenRequest) -> None:
        stream, conversation = await self._ask_question(request)
        await self._watch_access(running, stream, conversation)
        self._show_stream(running, request, stream, conversation)
        if request.cancelled:
            stream.stop_answer()

    async def _begin_of_batch(
        self, running: Running, request: OpenRequest, batch: BatchRun
    ) -> None:
        """Send the answer to one message of a batch; the chat service runs the batch by itself."""
        assert request.index is not None
        outcome = await batch.wait_for_outcome(request.index)
        if isinstance(outcome, WiresideError):
            raise outcome
        if outcome is None:
            del self._running[request]
            return self._end_cancelled(request)
        await self._watch_access(running, outcome.stream, outcome.conversation)
        self._show_stream(running, request, outcome.stream, outcome.conversation)

    def _batch_of_request(self, request: OpenRequest, frame: BatchFrame) -> BatchRun:
        if frame.id not in self._batches:
            ask = BatchQuestions(
                questions=frame.messages,
                options=_options_of_frame(frame),
                conversation=frame.conversation,
                key=frame.key,
            )
            self._batches[frame.id] = self._chat.start_batch(ask, parallel=frame.parallel or 1)
        return self._batches[frame.id]

    def _show_stream(
        self, running: Running, request: OpenRequest, stream: Stream, conversation: str | None
    ) -> None:
        running.outgoing = self._new_outgoing(request, stream, conversation)
        running.stream = stream
        self._wake.set()

    async def _ask_question(self, request: OpenRequest) -> tuple[Stream, str | None]:
        """Return the answer's stream and the id of the conversation that stores it."""
        chat = request.chat
        if chat.id is None:
            ask = Ask(
                messages=self._context.messages_with(chat.message),
                options=Options(model=chat.model),
                sanitize=True,
            )
            return await self._chat.start_stream(ask), None
        if chat.part is not None and chat.conversation is not None:
            return await self._chat.answer_question_in(
                chat.conversation, chat.part, json.loads(chat.answer)
            )
        options = _options_of_frame(chat)
        if chat.conversation is None:
            files = await self._chat.files.attached_files(chat.attachments)
            question = Message("user", question_parts(chat.message, files))
            messages = (*chat.messages, question)
            ask = Ask(messages=messages, options=options, key=chat.key, sanitize=chat.sanitize)
            return await self._chat.start_stream(ask), None
        return await self._chat.answer_in(
            chat.conversation,
            chat.message,
            key=chat.key,
            options=options,
            attachments=chat.attachments,
            steers=chat.steer,
        )

    def _new_outgoing(
        self, request: OpenRequest, stream: Stream, conversation: str | None
    ) -> Outgoing:
        chat = request.chat
        opening = None
        if chat.id is not None:
            opening = StartFrame(
                id=chat.id,
                stream=stream.name,
                model=stream.model,
                conversation=conversation,
                index=request.index,
            )
        return Outgoing(
            stream.new_reader(chat.offset, self._wake.set),
            self._counts,
            request_id=chat.id,
            sanitize=stream.sanitize,
            index=request.index,
            has_index_everywhere=request.batch is not None and request.batch.parallel is not None,
            opening=opening,
            is_saved=lambda: stream.is_saved,
            max_frame_bytes=chat.max_frame_bytes or self._max_frame_bytes,
        )

    def _start_resume(self, resume: ResumeFrame) -> None:
        running = self._running[resume] = Running(resume)
        self._run_owned(
            self._attach_stream(running, resume), lambda error: self._refuse_resume(resume, error)
        )

    async def _watch_access(
        self, running: Running, stream: Stream, conversation: str | None = None
    ) -> None:
        """End a request once its caller may no longer read the answer."""

        def withdraw() -> None:
            running.is_withdrawn = True
            self._wake.set()

        running.unwatch = await self._chat.watch_access(stream, withdraw, conversation)

    async def _attach_stream(self, running: Running, resume: ResumeFrame) -> None:
        stream = await self._chat.find_stream(resume.stream, includes_shared=True)
        await self._watch_access(running, stream)
        running.may_stop = await self._chat.may_stop(stream)
        reader = stream.new_reader(resume.offset, self._wake.set)
        running.stream = stream
        running.outgoing = Outgoing(
            reader,
            self._counts,
            request_id=resume.id,
            sanitize=stream.sanitize,
            index=stream.index,
            opening=ResumedFrame(
                id=resume.id,
                stream=stream.name,
                head=stream.log.head,
                state=_stream_state(stream),
                index=stream.index,
            ),
            is_saved=lambda: stream.is_saved,
            max_frame_bytes=resume.max_frame_bytes or self._max_frame_bytes,
        )
        if running.is_stopped and running.may_stop:
            stream.stop_answer()
        self._wake.set()

    def _refuse_resume(self, resume: ResumeFrame, error: WiresideError) -> None:
        del self._running[resume]
        self._send_frame(self._connection.refuse(resume.id, error, level=2))
        self._connection.resume_ended(resume)

    def _stop_answers(self, request_id: str | None, index: int | None) -> None:
        if not self._chat.caller.may("chat"):
            return
        if batch := self._batches.get(request_id):
            batch.stop(index)
        for running in self._running.values():
            if running.id == request_id and index in (None, running.index):
                running.is_stopped = True
                if running.stream is not None and running.may_stop:
                    running.stream.stop_answer()

    def _refuse_request(self, request: OpenRequest, error: WiresideError) -> None:
        refusal = self._connection.refuse(
            request.chat.id, error, level=request.level, index=request.index
        )
        self._send_frame(refusal)
        del self._running[request]
        self._finish_request(request, "failed")

    def _finish_request(self, request: OpenRequest, outcome: Outcome) -> None:
        """Start the next request after the last frame of ``request``."""
        events = self._connection.ended(request, outcome)
        if not self._connection.is_open(request.chat.id):
            self._batches.pop(request.chat.id, None)
        self._handle_events(events)
        self._close_if_moving()

    def _end_cancelled(self, request: OpenRequest) -> None:
        self._send_frame(
            Send(last_frame(_CANCELLED, 0, request_id=request.chat.id, index=request.index))
        )
        self._finish_request(request, "cancelled")

    # ---- outgoing frames -----------------------------------------------------------------------

    def _next_frames(self, running: Running) -> list[str]:
        """Return the frames of an answer that can be sent now, in reverse order.

        Their number is bounded, so that other answers get their share.
        """
        outgoing = running.outgoing
        if outgoing is None:
            return []
        try:
            if running.is_withdrawn:
                share = outgoing.error_frames(NotFound())
            else:
                share = outgoing.next_frames()
        except Exception:  # the writer task serves all answers of the connection
            _log.exception("request_failed")
            share = outgoing.error_frames(InternalError())
        share.reverse()
        if outgoing.end is not None:
            self._finish_answer(running, outgoing.end)
        return share

    def _finish_answer(self, running: Running, end: End) -> None:
        if end.error is not None:
            self._counters.count_error(end.error.code, is_of_answer=True)
        running.unwatch()
        if running.outgoing is not None:
            running.outgoing.stop_reading()
        origin = running.origin
        if isinstance(origin, ResumeFrame):
            del self._running[origin]
            self._connection.resume_ended(origin)
            return self._close_if_moving()
        del self._running[origin]
        if origin.level == 1 and running.stream is not None:
            self._context.remember_turn(origin.chat.message, parts_of(running.stream.log.entries))
        self._finish_request(origin, _outcome_of(end))


def _is_bound(running: Running) -> bool:
    """Whether a request can be served by this server only, or is being accepted by it."""
    return running.stream is None or not running.stream.is_stored


def _outcome_of(end: End) -> Outcome:
    if end.error is not None:
        return "failed"
    return "cancelled" if end.reason == "cancelled" else "done"


def _stream_state(stream: Stream) -> StreamState:
    if stream.is_live:
        return "live"
    end = stream.log.end
    return "interrupted" if end is not None and end.reason == "interrupted" else "finished"


def _options_of_frame(frame: ChatFrame | BatchFrame) -> Options:
    return Options(
        model=frame.model,
        system=frame.system,
        temperature=frame.temperature,
        max_tokens=frame.max_tokens,
        values=frame.options if isinstance(frame, ChatFrame) else "",
        sanitize=frame.sanitize,
    )
