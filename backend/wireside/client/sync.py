"""The client for programs without asyncio: the same client, on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypeVar, Unpack

from wireside.client.aio import (
    AsyncAnswer,
    AsyncBatch,
    AsyncClient,
    AsyncConversation,
    OnState,
)
from wireside.client.core import PING_S, SILENCE_S, Metrics, State
from wireside.client.errors import ClientClosed
from wireside.client.options import AskOptions, BatchOptions
from wireside.client.requests import Piece
from wireside.client.rest import (
    Account,
    ConversationInfo,
    ConversationPage,
    Hit,
    Model,
    StoredConversation,
    Upload,
)
from wireside.errors import WiresideError
from wireside.messages import Usage
from wireside.protocol.frames import ChunkFrame, PartFrame

T = TypeVar("T")


class _LoopThread:
    """An event loop in a thread, which ends with the program."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_closing = False
        self._closing = threading.Lock()  # between the check of a call and its start
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="wireside client", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result. Raises ``ClientClosed``."""
        with self._closing:
            if self._is_closing:
                work.close()
                raise ClientClosed
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise ClientClosed from None
        except BaseException:  # KeyboardInterrupt in this thread leaves nothing behind in the other
            future.cancel()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the loop and return its result."""

        async def work() -> T:
            return function()

        return self.run(work())

    def close(self) -> None:
        """Cancel the calls of other threads, stop the loop and end the thread."""
        with self._closing:
            if self._is_closing:
                return
            self._is_closing = True
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    """Cancel all other tasks of the loop and wait for their end."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Answer:
    """One answer. Iterate it for its text, or call ``text``; both read it once.

    A reader that lags gets larger pieces. ``with`` stops the answer at the end of the block, if it
    still runs. Reading raises the ``WiresideError`` of an answer that fails, after the text that
    arrived before it.
    """

    def __init__(self, thread: _LoopThread, answer: AsyncAnswer) -> None:
        self._thread = thread
        self._answer = answer

    @property
    def index(self) -> int | None:
        """Position in a batch."""
        return self._answer.index

    @property
    def stream(self) -> str | None:
        """Name of the stream, to follow the answer from another client."""
        return self._answer.stream

    @property
    def model(self) -> str | None:
        """The model that answers."""
        return self._answer.model

    @property
    def conversation(self) -> str | None:
        """Id of the conversation that stores it."""
        return self._answer.conversation

    @property
    def offset(self) -> int:
        """Position after the last received piece."""
        return self._answer.offset

    @property
    def reason(self) -> str | None:
        """Why it ended, such as ``stop``; None while it runs, and after an error."""
        return self._answer.reason

    @property
    def usage(self) -> Usage:
        """Tokens, where the model reports them."""
        return self._answer.usage

    @property
    def is_saved(self) -> bool:
        """False if the store failed, so that only the server's memory has it."""
        return self._answer.is_saved

    @property
    def error(self) -> WiresideError | None:
        """The error that ended it."""
        return self._answer.error

    @property
    def is_over(self) -> bool:
        """Whether all of it has arrived."""
        return self._answer.is_over

    @property
    def open_question(self) -> PartFrame | None:
        """The question that it waits for, after it has ended with the reason ``asking``."""
        return self._answer.open_question

    def started(self) -> Self:
        """Wait until ``stream``, ``model`` and ``conversation`` are known."""
        self._thread.run(self._answer.started())
        return self

    def __iter__(self) -> Iterator[str]:
        """Yield the pieces of text."""
        for piece in self.parts():
            if isinstance(piece, ChunkFrame):
                yield piece.content

    def parts(self) -> Iterator[Piece]:
        """Yield text, reasoning, tool calls and other parts as frames, in their order."""
        while (piece := self._thread.run(self._answer.next_piece())) is not None:
            yield piece

    def text(self) -> str:
        """Return the text that was not read yet, when the answer has ended."""
        return self._thread.run(self._answer.text())

    def end(self) -> None:
        """Read the rest of the answer and drop it. Raises its error."""
        self._thread.run(self._answer.end())

    def stop(self) -> None:
        """Stop: what was written is kept, and the answer ends with the reason ``cancelled``."""
        self._thread.call(self._answer.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Batch:
    """Several questions and their answers; iterate it for the answers, in the order of asking."""

    def __init__(self, thread: _LoopThread, batch: AsyncBatch) -> None:
        self._thread = thread
        self._batch = batch
        self.answers = [Answer(thread, answer) for answer in batch.answers]

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    def as_ended(self) -> Iterator[Answer]:
        """Yield the answers as they end."""
        ended = self._batch.as_ended()
        while (answer := self._thread.run(_next(ended))) is not None:
            yield self.answers[answer.index or 0]

    def stop(self) -> None:
        """Stop all answers that have not ended; ``stop`` of an answer stops that one."""
        self._thread.call(self._batch.stop)


class Conversation:
    """A stored conversation; ``id`` is None until its first answer has started."""

    def __init__(self, client: Client, conversation: AsyncConversation) -> None:
        self._client = client
        self._conversation = conversation

    @property
    def id(self) -> str | None:
        """Its id, for other clients and the REST API."""
        return self._conversation.id

    def ask(self, message: str, **options: Unpack[AskOptions]) -> Answer:
        """Ask in it."""
        return self._client.ask(message, conversation=self, **options)

    def batch(self, messages: Sequence[str], **options: Unpack[BatchOptions]) -> Batch:
        """Ask several questions in it, one after another."""
        return self._client.batch(messages, conversation=self, **options)


class Rest:
    """The REST API: conversations, files and models. Raises the errors of ``RestApi``."""

    def __init__(self, thread: _LoopThread, client: AsyncClient) -> None:
        self._run = thread.run
        self._rest = client.rest

    def models(self) -> list[Model]:
        """Return the models that the caller may use, the default first."""
        return self._run(self._rest.models())

    def account(self) -> Account:
        """Return the caller, and what is left of its limits."""
        return self._run(self._rest.account())

    def ticket(self, origin: str | None = None) -> str:
        """Return a one-time ticket for opening a WebSocket, also from pages of ``origin``."""
        return self._run(self._rest.ticket(origin))

    def upload(self, file: Path | str | bytes | BinaryIO, name: str | None = None) -> Upload:
        """Upload a file: a path, the content, or an open binary file."""
        return self._run(self._rest.upload(file, name))

    def download(self, file_id: str) -> bytes:
        """Return the content of a file."""
        return self._run(self._rest.download(file_id))

    def delete_upload(self, file_id: str) -> None:
        """Delete an upload that no question refers to."""
        self._run(self._rest.delete_upload(file_id))

    def conversations(
        self,
        *,
        archived: bool = False,
        tag: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> ConversationPage:
        """Return a page of conversations: pinned ones first, then newest first."""
        return self._run(
            self._rest.conversations(archived=archived, tag=tag, cursor=cursor, limit=limit)
        )

    def search(self, query: str, *, limit: int = 30) -> list[Hit]:
        """Return the newest texts of conversations that match all words of a query."""
        return self._run(self._rest.search(query, limit=limit))

    def conversation(
        self, conversation_id: str, *, before: int | None = None, limit: int = 50
    ) -> StoredConversation:
        """Return a conversation with its last turns, or those with an index below ``before``."""
        return self._run(self._rest.conversation(conversation_id, before=before, limit=limit))

    def change_conversation(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
        tags: list[str] | None = None,
    ) -> ConversationInfo:
        """Change a conversation; what is None stays as it is."""
        return self._run(
            self._rest.change_conversation(
                conversation_id, title=title, pinned=pinned, archived=archived, tags=tags
            )
        )

    def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation; ``restore_conversation`` undoes it for some time."""
        self._run(self._rest.delete_conversation(conversation_id))

    def restore_conversation(self, conversation_id: str) -> ConversationInfo:
        """Undo a deletion."""
        return self._run(self._rest.restore_conversation(conversation_id))

    def export_conversation(
        self, conversation_id: str, file_format: Literal["markdown", "json", "html"] = "markdown"
    ) -> bytes:
        """Return a conversation as a file."""
        return self._run(self._rest.export_conversation(conversation_id, file_format))


class Client:
    """A client of a Wireside server, for programs without asyncio.

    ::

        with Client("http://127.0.0.1:8080") as client:
            for text in client.ask("What is a WebSocket?"):
                print(text, end="", flush=True)

    It does what ``AsyncClient`` does, in a thread with an event loop of its own. All methods can be
    called from any thread; one answer is read by one thread at a time. ``on_state`` and ``ticket``
    are called in the client's thread: they must not call the client.

    Args:
        url: address of the server, of its page or of its WebSocket.
        key: an API key.
        ticket: returns a fresh one-time ticket before each connection, instead of a key. It may
            block.
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
        ticket: Callable[[], str] | None = None,
        on_state: OnState | None = None,
        headers: Mapping[str, str] | None = None,
        ping_s: float = PING_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        async def fetch_ticket() -> str:
            assert ticket is not None
            return await asyncio.to_thread(ticket)

        self._thread = _LoopThread()
        try:
            self._client = self._thread.call(
                lambda: AsyncClient(
                    url,
                    key=key,
                    ticket=None if ticket is None else fetch_ticket,
                    on_state=on_state,
                    headers=headers,
                    ping_s=ping_s,
                    silence_s=silence_s,
                )
            )
        except ValueError:
            self._thread.close()
            raise
        self.rest = Rest(self._thread, self._client)
        """Conversations, files and models."""

    def ask(
        self,
        message: str,
        *,
        conversation: Conversation | str | None = None,
        **options: Unpack[AskOptions],
    ) -> Answer:
        """Ask a question, as ``AsyncClient.ask`` does. Returns at once."""
        where = _where(conversation)
        answer = self._thread.call(lambda: self._client.ask(message, conversation=where, **options))
        return Answer(self._thread, answer)

    def batch(
        self,
        messages: Sequence[str],
        *,
        conversation: Conversation | str | None = None,
        **options: Unpack[BatchOptions],
    ) -> Batch:
        """Ask 1 to 20 questions, as ``AsyncClient.batch`` does. Returns at once."""
        where = _where(conversation)
        batch = self._thread.call(
            lambda: self._client.batch(messages, conversation=where, **options)
        )
        return Batch(self._thread, batch)

    def reply(self, answer: Answer, value: Any) -> Answer:
        """Answer the open question of an answer, as ``AsyncClient.reply`` does."""
        given = self._thread.call(lambda: self._client.reply(answer._answer, value))
        return Answer(self._thread, given)

    def reply_to(self, conversation: str, part: str, value: Any) -> Answer:
        """Answer the question ``part`` of a stored conversation, as ``reply`` does."""
        given = self._thread.call(lambda: self._client.reply_to(conversation, part, value))
        return Answer(self._thread, given)

    def follow(self, stream: str, offset: int = 0) -> Answer:
        """Follow an answer that was requested elsewhere, from an offset on."""
        answer = self._thread.call(lambda: self._client.follow(stream, offset))
        return Answer(self._thread, answer)

    def conversation(self, conversation_id: str | None = None) -> Conversation:
        """Return a stored conversation to ask several questions in: a new one, or that id's."""
        return Conversation(self, self._client.conversation(conversation_id))

    def upload(self, file: Path | str | bytes | BinaryIO, name: str | None = None) -> Upload:
        """Upload a file, which ``attachments`` of a question can refer to."""
        return self.rest.upload(file, name)

    def open(self) -> None:
        """Connect now, and not only for the first question."""
        self._thread.call(self._client.open)

    @property
    def state(self) -> State:
        """State of the connection."""
        return self._client.state

    @property
    def error(self) -> WiresideError | None:
        """Why it is waiting or closed."""
        return self._client.error

    @property
    def metrics(self) -> Metrics:
        """Messages per second, average latency and reconnect count."""
        return self._thread.call(lambda: self._client.metrics)

    def close(self) -> None:
        """Close the connection. Open answers fail here with ``ClientClosed`` and go on there."""
        with contextlib.suppress(ClientClosed):  # it is closed, or another thread closes it
            self._thread.run(self._client.aclose())
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _where(conversation: Conversation | str | None) -> AsyncConversation | str | None:
    return conversation._conversation if isinstance(conversation, Conversation) else conversation


async def _next(answers: Any) -> AsyncAnswer | None:
    return await anext(answers, None)
