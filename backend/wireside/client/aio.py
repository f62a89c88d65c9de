"""The client for asyncio: one connection, shared by all questions, that reconnects by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, Unpack
from weakref import WeakValueDictionary

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from wireside.client.address import ServerAddress
from wireside.client.core import (
    PING_S,
    SILENCE_S,
    ClientCore,
    Metrics,
    State,
    StateChanged,
)
from wireside.client.errors import ConnectionLost
from wireside.client.options import AskOptions, BatchOptions, batch_frame, chat_frame
from wireside.client.requests import (
    AnswerRequest,
    AnswerState,
    BatchRequest,
    ConversationState,
    Ended,
    Piece,
    Received,
    Request,
    Started,
    StreamNeeded,
)
from wireside.client.rest import RestApi, Upload, problem_of, retry_after_of
from wireside.errors import BadMessage, WiresideError
from wireside.messages import Usage
from wireside.protocol.frames import ChatFrame, ChunkFrame, PartFrame, ReasoningFrame
from wireside.protocol.handshake import SUBPROTOCOL

FRAME_BYTES: Final = 65_536
"""Size of frames that is requested from the server, in bytes."""

MAX_UNREAD_CHARS: Final = 8_000_000
"""Characters of answers that have arrived and were not read. Above it, nothing is received until
they are read: the server keeps the answers."""

OPEN_S: Final = 20.0
"""Time in which a connection has to open, in seconds."""

CLOSE_S: Final = 1.0
"""Time for the close handshake, in seconds."""

Ticket = Callable[[], Awaitable[str]]
OnState = Callable[[State, WiresideError | None], None]


class AsyncAnswer:
    """One answer. Iterate it for its text, or await ``text``; both read it once.

    A reader that lags gets larger pieces. ``async with`` stops the answer at the end of the block,
    if it still runs. Reading raises the ``WiresideError`` of an answer that fails, after the text
    that arrived before it.
    """

    def __init__(self, client: AsyncClient, state: AnswerState) -> None:
        self._client = client
        self._state = state
        self._request: Request | None = None
        self._pieces: deque[Piece] = deque()
        self._changed = asyncio.Event()
        self._has_started = False
        self._unread_chars = 0

    def __del__(self) -> None:
        if self._unread_chars:
            self._client._forget_unread(self._unread_chars)

    # ---- what is known -------------------------------------------------------------------------

    @property
    def index(self) -> int | None:
        """Position in a batch."""
        return self._state.index

    @property
    def stream(self) -> str | None:
        """Name of the stream, to follow the answer from another client."""
        return self._state.stream

    @property
    def model(self) -> str | None:
        """The model that answers."""
        return self._state.model

    @property
    def conversation(self) -> str | None:
        """Id of the conversation that stores it."""
        return self._state.conversation

    @property
    def offset(self) -> int:
        """Position after the last received piece."""
        return self._state.offset

    @property
    def reason(self) -> str | None:
        """Why it ended, such as ``stop``; None while it runs, and after an error."""
        return self._state.reason

    @property
    def usage(self) -> Usage:
        """Tokens, where the model reports them."""
        return self._state.usage

    @property
    def is_saved(self) -> bool:
        """False if the store failed, so that only the server's memory has it."""
        return self._state.is_saved

    @property
    def error(self) -> WiresideError | None:
        """The error that ended it."""
        return self._state.error

    @property
    def is_over(self) -> bool:
        """Whether all of it has arrived."""
        return self._state.is_over

    @property
    def open_question(self) -> PartFrame | None:
        """The question that it waits for, after it has ended with the reason ``asking``."""
        return self._state.question if self._state.reason == "asking" else None

    # ---- reading -------------------------------------------------------------------------------

    async def started(self) -> Self:
        """Wait until ``stream``, ``model`` and ``conversation`` are known."""
        while not self._has_started and not self.is_over:
            await self._wait()
        if self.error is not None and not self._has_started:
            raise self.error
        return self

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield the pieces of text."""
        async for piece in self.parts():
            if isinstance(piece, ChunkFrame):
                yield piece.content

    async def parts(self) -> AsyncIterator[Piece]:
        """Yield text, reasoning, tool calls and other parts as frames, in their order."""
        while (piece := await self.next_piece()) is not None:
            yield piece

    async def next_piece(self) -> Piece | None:
        """Return the next piece; None at the end. Raises the error of an answer that failed."""
        while not self._pieces:
            if self.error is not None:
                raise self.error
            if self.is_over:
                return None
            await self._wait()
        return self._take()

    async def text(self) -> str:
        """Return the text that was not read yet, when the answer has ended."""
        return "".join([text async for text in self])

    async def end(self) -> None:
        """Read the rest of the answer and drop it. Raises its error."""
        while await self.next_piece() is not None:
            pass

    # ---- acting --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop: what was written is kept, and the answer ends with the reason ``cancelled``."""
        if self._request is not None and not self.is_over:
            index = self.index if isinstance(self._request, BatchRequest) else None
            self._client._stop(self._request, index)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    # ---- of the client -------------------------------------------------------------------------

    def _handle(self, event: Started | Received | Ended) -> None:
        if isinstance(event, Started):
            self._has_started = True
        elif isinstance(event, Received):
            chars = _chars_of(event.piece)
            self._unread_chars += chars
            self._client._unread_chars += chars
            self._pieces.append(event.piece)
        self._changed.set()

    def _take(self) -> Piece:
        piece = self._pieces.popleft()
        if isinstance(piece, ChunkFrame):
            texts = [piece.content]
            while self._pieces and isinstance(following := self._pieces[0], ChunkFrame):
                texts.append(following.content)
                piece = self._pieces.popleft()
            if len(texts) > 1:
                assert isinstance(piece, ChunkFrame)
                piece = ChunkFrame(
                    id=piece.id, content="".join(texts), offset=piece.offset, index=piece.index
                )
        chars = _chars_of(piece)
        self._unread_chars -= chars
        self._client._count_read(chars)
        return piece

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class AsyncBatch:
    """Several questions and their answers; iterate it for the answers, in the order of asking."""

    def __init__(
        self, client: AsyncClient, request: BatchRequest, answers: Sequence[AsyncAnswer]
    ) -> None:
        self._client = client
        self._request = request
        self.answers = answers

    def __iter__(self) -> Iterator[AsyncAnswer]:
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    async def as_ended(self) -> AsyncIterator[AsyncAnswer]:
        """Yield the answers as they end."""
        waiting = {asyncio.create_task(_ended(answer)) for answer in self.answers}
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in waiting:
                task.cancel()

    def stop(self) -> None:
        """Stop all answers that have not ended; ``stop`` of an answer stops that one."""
        self._client._stop(self._request)


class AsyncConversation:
    """A stored conversation; ``id`` is None until its first answer has started."""

    def __init__(self, client: AsyncClient, state: ConversationState) -> None:
        self._client = client
        self._state = state

    @property
    def id(self) -> str | None:
        """Its id, for other clients and the REST API."""
        return self._state.id

    def ask(self, message: str, **options: Unpack[AskOptions]) -> AsyncAnswer:
        """Ask in it."""
        return self._client.ask(message, conversation=self, **options)

    def batch(self, messages: Sequence[str], **options: Unpack[BatchOptions]) -> AsyncBatch:
        """Ask several questions in it, one after another."""
        return self._client.batch(messages, conversation=self, **options)


class AsyncClient:
    """A client of a Wireside server.

    ::

        async with AsyncClient("http://127.0.0.1:8080") as client:
            async for text in client.ask("What is a WebSocket?"):
                print(text, end="", flush=True)

    The connection is opened by the first question, and again whenever it is lost, with a back-off;
    answers go on where they were cut. Questions that are asked without a connection are sent when
    there is one.

    Args:
        url: address of the server, of its page or of its WebSocket.
        key: an API key.
        ticket: returns a fresh one-time ticket before each connection, instead of a key.
        on_state: called with each state of the connection, and why it is waiting or closed.
        headers: further header fields, such as those that a proxy requires.
        ping_s: time between pings, in seconds.
        silence_s: time after a ping in which a frame has to arrive, in seconds.

    Raises:
        ValueError: ``url`` is no address.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        key: str | None = None,
        ticket: Ticket | None = None,
        on_state: OnState | None = None,
        headers: Mapping[str, str] | None = None,
        ping_s: float = PING_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.address = ServerAddress.parse(url)
        self.rest = RestApi(self.address, key, headers)
        """Conversations, files and models."""
        self._key = key
        self._ticket = ticket
        self._headers = dict(headers or {})
        self._on_state = on_state
        self._silence_s = silence_s
        self._core = ClientCore(now=time.monotonic(), ping_s=ping_s, silence_s=silence_s)
        # weak: what nothing refers to is received, as the request is open, and dropped
        self._answers: WeakValueDictionary[AnswerState, AsyncAnswer] = WeakValueDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: ClientConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._can_write = asyncio.Event()
        self._unread_chars = 0
        self._was_read = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # ---- asking --------------------------------------------------------------------------------

    def ask(
        self,
        message: str,
        *,
        conversation: AsyncConversation | str | None = None,
        **options: Unpack[AskOptions],
    ) -> AsyncAnswer:
        """Ask a question. Returns at once.

        Args:
            message: the question; may be blank with attachments.
            conversation: where it is stored; "new" for a new one. Without, nothing is stored.
            options: see ``AskOptions``.
        """
        known, state = _where(conversation)
        return self._begin(AnswerRequest(AnswerState(), chat_frame(message, known, options), state))

    def batch(
        self,
        messages: Sequence[str],
        *,
        conversation: AsyncConversation | str | None = None,
        **options: Unpack[BatchOptions],
    ) -> AsyncBatch:
        """Ask 1 to 20 questions. Returns at once.

        Args:
            messages: the questions.
            conversation: where they are stored, one after another; "new" for a new one.
            options: see ``BatchOptions``; with ``parallel``, up to eight are answered at once.

        Raises:
            BadMessage: the number of questions or ``parallel`` is out of range.
        """
        known, state = _where(conversation)
        request = BatchRequest(batch_frame(messages, known, options), state)
        answers = [self._new_answer(request, one) for one in request.answers]
        self._submit(request)
        return AsyncBatch(self, request, answers)

    def reply(self, answer: AsyncAnswer, value: Any) -> AsyncAnswer:
        """Answer the open question of an answer, which then goes on in the returned one.

        Args:
            answer: an answer with an ``open_question``.
            value: of the type that the question wants: true or false, a choice, a list of choices,
                an object with the fields of a form, a text, or the id of an upload.

        Raises:
            BadMessage: the answer has no open question.
        """
        question, conversation = answer.open_question, answer.conversation
        if question is None or conversation is None:
            raise BadMessage("This answer has no open question.")
        return self.reply_to(conversation, question.part, value)

    def reply_to(self, conversation: str, part: str, value: Any) -> AsyncAnswer:
        """Answer the question ``part`` of a stored conversation, as ``reply`` does."""
        value = value.id if isinstance(value, Upload) else value
        chat = ChatFrame(message="", conversation=conversation, part=part, answer=json.dumps(value))
        state = AnswerState()
        state.conversation = conversation
        return self._begin(AnswerRequest(state, chat))

    def follow(self, stream: str, offset: int = 0) -> AsyncAnswer:
        """Follow an answer that was requested elsewhere, from an offset on."""
        return self._begin(AnswerRequest(AnswerState(stream=stream, offset=offset)))

    def conversation(self, conversation_id: str | None = None) -> AsyncConversation:
        """Return a stored conversation to ask several questions in: a new one, or that id's."""
        return AsyncConversation(self, ConversationState(conversation_id))

    # ---- the connection ------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """State of the connection."""
        return self._core.state

    @property
    def error(self) -> WiresideError | None:
        """Why it is waiting or closed."""
        return self._core.error

    @property
    def metrics(self) -> Metrics:
        """Messages per second, average latency and reconnect count."""
        return self._core.metrics(time.monotonic())

    def open(self) -> None:
        """Connect now, and not only for the first question."""
        self._ensure_running()

    async def upload(self, file: Path | str | bytes | BinaryIO, name: str | None = None) -> Upload:
        """Upload a file, which ``attachments`` of a question can refer to."""
        return await self.rest.upload(file, name)

    async def aclose(self) -> None:
        """Close the connection. Open answers fail here with ``ClientClosed`` and go on there."""
        await self._flush()
        self._core.close()
        self._handle()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, *self._tasks, return_exceptions=True)
        await self.rest.aclose()

    # ---- internals -----------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Send what is to be sent, such as a ``cancel`` just before the end."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                for text in self._core.take_frames():
                    if self._socket is not None:
                        await self._socket.send(text)

    def _begin(self, request: AnswerRequest) -> AsyncAnswer:
        answer = self._new_answer(request, request.answer)
        self._submit(request)
        return answer

    def _new_answer(self, request: Request, state: AnswerState) -> AsyncAnswer:
        answer = self._answers[state] = AsyncAnswer(self, state)
        answer._request = request
        return answer

    def _submit(self, request: Request) -> None:
        self._core.submit(request, time.monotonic())
        self._handle()
        if self._core.state != "closed":
            self._ensure_running()

    def _stop(self, request: Request, index: int | None = None) -> None:
        self._core.stop(request, index)
        self._handle()

    def _count_read(self, chars: int) -> None:
        self._unread_chars -= chars
        if self._unread_chars <= MAX_UNREAD_CHARS:
            self._was_read.set()

    def _forget_unread(self, chars: int) -> None:
        """Count text as read that nothing can read any more; called in any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._count_read, chars)

    def _ensure_running(self) -> None:
        if self._runner is None:
            self._loop = asyncio.get_running_loop()
            self._runner = asyncio.create_task(self._run(), name="wireside client")

    def _handle(self) -> None:
        """Report the core's events, and wake the task that sends."""
        for event in self._core.take_events():
            if isinstance(event, StateChanged):
                self._report_state(event.state, event.error)
            elif isinstance(event, StreamNeeded):
                self._start(self._find_stream(event.answer, event.conversation))
            elif (answer := self._answers.get(event.answer)) is not None:
                answer._handle(event)
        if self._core.has_frames:
            self._can_write.set()

    def _report_state(self, state: State, error: WiresideError | None) -> None:
        if self._on_state is None:
            return
        try:
            self._on_state(state, error)
        except Exception as fault:  # of the caller's function: the answers go on
            context = {"message": "on_state has failed", "exception": fault}
            asyncio.get_running_loop().call_exception_handler(context)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_stream(self, state: AnswerState, conversation: str) -> None:
        """Find the stream in which a conversation goes on, after a reply was accepted."""
        try:
            stored = await self.rest.conversation(conversation, limit=1)
            self._core.resolve(state, stored.turns[-1].answer[-1].stream, time.monotonic())
        except WiresideError as error:
            self._core.fail(state, error)
        except LookupError:
            self._core.fail(state, ConnectionLost())
        self._handle()

    async def _run(self) -> None:
        """Keep a connection open until the client is closed."""
        try:
            while self._core.state != "closed":
                await self._run_once()
        except Exception as error:  # else all answers would wait for ever
            message = f"The client has failed: {type(error).__name__}: {error}"
            self._core.close(ConnectionLost(message))
            self._handle()
            raise

    async def _run_once(self) -> None:
        core = self._core
        if core.connect_at is not None and (wait := core.connect_at - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        core.connecting()
        self._handle()
        socket = await self._connect()
        if socket is not None:
            await self._serve(socket)

    async def _connect(self) -> ClientConnection | None:
        """Open a connection; return None if there is none."""
        core = self._core
        try:
            async with asyncio.timeout(OPEN_S):
                protocols = [SUBPROTOCOL]
                if self._ticket is not None:
                    protocols.append(f"ticket.{await self._fetch_ticket(self._ticket)}")
                headers = dict(self._headers)
                if self._key is not None:
                    headers["Authorization"] = f"Bearer {self._key}"
                return await connect(
                    f"{self.address.socket_url}?max_frame_bytes={FRAME_BYTES}",
                    additional_headers=headers,
                    subprotocols=protocols,  # type: ignore[arg-type]  # plain strings
                    proxy=None if self.address.is_loopback else True,
                    ping_interval=None,  # the protocol's own pings say more
                    open_timeout=None,
                    close_timeout=CLOSE_S,
                    max_size=2 * FRAME_BYTES,
                )
        except InvalidStatus as refused:
            response = refused.response
            error = problem_of(response.status_code, bytes(response.body or b""), response.headers)
            core.refused(
                error,
                time.monotonic(),
                status=response.status_code,
                retry_after_s=retry_after_of(response.headers),
            )
        except WiresideError as error:  # of the ticket
            core.refused(error, time.monotonic(), status=401 if error.code == "unauthorized" else 0)
        except (OSError, EOFError, TimeoutError, WebSocketException) as cause:
            text = str(cause) or "it did not answer in time"
            message = f"{self.address.base_url} can't be reached: {text}."
            core.refused(ConnectionLost(message), time.monotonic())
        self._handle()
        return None

    async def _fetch_ticket(self, ticket: Ticket) -> str:
        try:
            return await ticket()
        except WiresideError:
            raise
        except Exception as cause:  # of the caller's function
            raise ConnectionLost(f"The ticket could not be fetched: {cause}") from cause

    async def _serve(self, socket: ClientConnection) -> None:
        core = self._core
        self._socket = socket
        core.connected(time.monotonic())
        self._handle()
        writer = asyncio.create_task(self._write(socket))
        timer = asyncio.create_task(self._watch_silence(socket))
        code, reason = 1006, ""
        try:
            while True:
                while self._unread_chars > MAX_UNREAD_CHARS:
                    self._was_read.clear()
                    await self._was_read.wait()
                text = await socket.recv()
                if isinstance(text, str):
                    core.receive(text, time.monotonic())
                    self._handle()
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                code, reason = closed.rcvd.code, closed.rcvd.reason
        finally:
            for task in (writer, timer):
                task.cancel()
            await asyncio.gather(writer, timer, return_exceptions=True)
            if core.state == "closed":
                with contextlib.suppress(TimeoutError):
                    await socket.close()
            socket.transport.abort()
            self._socket = None
            core.disconnected(code, reason, time.monotonic())
            self._handle()

    async def _write(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._can_write.clear()
                for text in self._core.take_frames():
                    await socket.send(text)
                await self._can_write.wait()

    async def _watch_silence(self, socket: ClientConnection) -> None:
        core = self._core
        longest_s = self._silence_s / 4  # a new deadline is noticed so late at most
        while (deadline := core.deadline) is not None:
            await asyncio.sleep(min(longest_s, max(0.0, deadline - time.monotonic())))
            if self._unread_chars > MAX_UNREAD_CHARS:  # what has arrived is not received yet
                await asyncio.sleep(longest_s)  # the deadline may be over
                continue
            if core.tick(time.monotonic()) is not None:
                socket.transport.abort()
            self._handle()


def _where(
    conversation: AsyncConversation | str | None,
) -> tuple[str | None, ConversationState | None]:
    if isinstance(conversation, AsyncConversation):
        return None, conversation._state
    return conversation, None


def _chars_of(piece: Piece) -> int:
    return len(piece.content) if isinstance(piece, ChunkFrame | ReasoningFrame) else 1


async def _ended(answer: AsyncAnswer) -> AsyncAnswer:
    while not answer.is_over:
        await answer._wait()
    return answer
