"""Tests a chat of your own in the process of the test: without a browser, a key or a port.

The whole server runs, with a database in a temporary folder; only its sockets are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from wireside.app import Application, create_app
from wireside.chat.conversation import Conversation
from wireside.chat.conversation import Turn as ChatTurn
from wireside.chat.service import ChatService
from wireside.errors import BY_CODE, InternalError, WiresideError
from wireside.extension.chat import Chat
from wireside.extension.questions import open_question
from wireside.generation.runner import Stream, new_name
from wireside.identity import LOCAL, Caller
from wireside.limits.windows import SlidingWindow
from wireside.messages import End, Options, parts_of
from wireside.parts import Part, data_of, is_hidden, text_of
from wireside.ports.provider import Provider
from wireside.protocol.connection import Connection, ConnectionLimits
from wireside.session.session import Session
from wireside.settings.model import Settings

Door = Literal["direct", "socket"]
"""How a question is asked: by the chat service, or by frames of level 2 of `/ws/ai-chat`."""

ANSWER_S = 30.0
"""Time limit of one answer, in seconds."""


class NoQuestion(RuntimeError):
    """There is no open question to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, or the part of it up to the next question.

    ``parts`` are those that a reader sees. ``question`` is the data of the open question, None if
    there is none. ``error`` is the sentence of a failed answer, None otherwise.
    """

    text: str
    parts: tuple[Part, ...] = ()
    reason: str | None = None
    error: str | None = None
    question: Mapping[str, Any] | None = None
    frames: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """The frames of the answer, through the door ``socket``."""


class ChatTester:
    """Runs a chat for a test and asks it as one user.

    Use it with ``async with``::

        async with ChatTester(chat, user="ada", door="socket", cut=True) as tester:
            reply = await tester.ask("Revenue by month?")
            assert reply.question["prompt"] == "Read 4,000 rows?"
            reply = await tester.answer(True)
    """

    def __init__(
        self,
        chat: Chat,
        *,
        user: str = "",
        door: Door = "direct",
        cut: bool = False,
        provider: Provider | None = None,
    ) -> None:
        """Make a tester; ``async with`` starts the server and ends it.

        Args:
            chat: the chat.
            user: id and name of the user that asks; "" for that of a server without accounts.
            door: how questions are asked.
            cut: whether the connection is cut after each frame and the answer resumed, through the
                door ``socket``.
            provider: the source of the models besides the handlers; None for none.
        """
        self._chat = chat
        self._door: Door = door
        self._cuts = cut
        self._provider = provider
        self._caller = Caller(user_id=user, name=user, role="user") if user else LOCAL
        self._exit = AsyncExitStack()
        self._server = AsyncExitStack()
        self._folder = Path()
        self._application: Application | None = None
        self._conversation = "new"

    async def __aenter__(self) -> Self:
        """Start the server."""
        folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="wireside-"))
        self._folder = Path(folder)
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server and delete its data."""
        await self._server.aclose()
        await self._exit.aclose()

    async def restart(self) -> None:
        """End the server and start another one on the same data, as a deploy does."""
        await self._server.aclose()
        await self._start()

    def new_conversation(self) -> None:
        """Ask the next question in a new conversation."""
        self._conversation = "new"

    async def ask(
        self,
        text: str,
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Reply:
        """Ask a question in the conversation, and return the answer.

        Args:
            text: the question.
            model: the handler; None for the first one.
            options: its options.

        Raises:
            WiresideError: the question is refused.
            TimeoutError: the answer does not end within ``ANSWER_S``.
        """
        chosen = Options(model=model, values=json.dumps(options) if options else "")
        async with asyncio.timeout(ANSWER_S):
            if self._door == "socket":
                frame: dict[str, Any] = {"message": text, "conversation": self._conversation}
                frame |= {"model": model} if model else {}
                frame |= {"options": dict(options)} if options else {}
                return await self._ask_by_frames({"type": "chat", "key": new_name(), **frame})
            stream, conversation_id = await self._service.answer_in(
                self._conversation, text, key=None, options=chosen
            )
            self._conversation = conversation_id
            await stream.ended()
            return await self._reply(stream)

    async def answer(self, value: object) -> Reply:
        """Answer the open question, and return what follows.

        Raises:
            NoQuestion: there is none.
            WiresideError: the answer does not fit.
        """
        _, turn = await self._last_turn()
        question = open_question(turn.answer)
        if question is None:
            raise NoQuestion("The last answer has no open question.")
        async with asyncio.timeout(ANSWER_S):
            if self._door == "socket":
                return await self._ask_by_frames(
                    {
                        "type": "answer",
                        "conversation": self._conversation,
                        "part": question.id,
                        "value": value,
                    }
                )
            stream, _ = await self._service.answer_question_in(
                self._conversation, question.id, value
            )
            await stream.ended()
            return await self._reply(stream)

    async def upload(self, name: str, content: bytes) -> str:
        """Upload a file and return its id, with which a question for a file is answered.

        Raises:
            WiresideError: the file is refused.
        """

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        return (await self._service.files.upload(name, pieces())).id

    async def retry(self) -> Reply:
        """Ask the last question again, as the user does."""
        conversation, turn = await self._last_turn()
        return await self._follow(await self._service.retry(conversation, turn.id))

    async def continue_answer(self) -> Reply:
        """Let the last answer go on, which was stopped or cut off; return what follows."""
        conversation, turn = await self._last_turn()
        await self._service.continue_answer(conversation, turn.id)
        return await self._follow(turn)

    async def stop(self) -> None:
        """Stop the running answers, as the user does."""
        assert self._application is not None, "use `async with`"
        for stream in self._application.parts.runner.live_streams:
            await self._service.stop(stream)

    # ---- internals ---------------------------------------------------------------------------

    @property
    def _service(self) -> ChatService:
        assert self._application is not None, "use `async with`"
        return self._application.parts.chat.of(self._caller)

    async def _start(self) -> None:
        settings = Settings(data_dir=self._folder, title_model="off")
        self._application = create_app(settings, provider=self._provider, chat=self._chat)
        app = self._application.app
        self._server = AsyncExitStack()
        await self._server.enter_async_context(app.router.lifespan_context(app))

    async def _last_turn(self) -> tuple[Conversation, ChatTurn]:
        """Return the last turn. Raises ``NoQuestion`` if there is none."""
        conversation = await self._service.library.open(self._conversation)
        if conversation is None:
            raise NoQuestion("Nothing was asked yet.")
        last = conversation.total - 1
        (turn,) = await self._service.library.turns(conversation, last, last)
        return conversation, turn

    async def _follow(self, turn: ChatTurn) -> Reply:
        """Wait for the end of the last stream of a turn."""
        async with asyncio.timeout(ANSWER_S):
            while not turn.segments:  # noqa: ASYNC110 (a turn has no event)
                await asyncio.sleep(0.01)
            await turn.segments[-1].ended()
        return await self._reply(turn.segments[-1])

    async def _reply(self, stream: Stream, frames: tuple[dict[str, Any], ...] = ()) -> Reply:
        end = stream.log.end or End("interrupted")
        parts = tuple(part for part in parts_of(stream.log.entries) if not is_hidden(part))
        question = open_question(parts)
        return Reply(
            text=text_of(parts),
            parts=parts,
            reason=end.reason,
            error=str(end.error) if end.error else None,
            question=data_of(question) if question else None,
            frames=frames,
        )

    async def _ask_by_frames(self, request: dict[str, Any]) -> Reply:
        """Send a request, follow its answer over cuts, and compare it with what is stored."""
        frames: list[dict[str, Any]] = []
        send = {**request, "id": "test"}
        while True:
            async with self._connected() as client:
                client.send(send)
                async for frame in client.frames():
                    if frame["type"] == "resumed":
                        continue
                    frames.append(frame)
                    if frame["type"] in ("done", "error"):
                        return await self._reply_of(frames)
                    if self._cuts and frames[0]["type"] == "start":
                        break
            offset = max(frame.get("offset", 0) for frame in frames)
            stream = frames[0]["stream"]
            send = {"type": "resume", "id": "test", "stream": stream, "offset": offset}

    async def _reply_of(self, frames: list[dict[str, Any]]) -> Reply:
        last = frames[-1]
        if frames[0]["type"] != "start":
            raise _error_of(last)
        self._conversation = frames[0].get("conversation", self._conversation)
        stream = await self._service.find(frames[0]["stream"])
        reply = await self._reply(stream, tuple(frames))
        text = "".join(frame["content"] for frame in frames if frame["type"] == "chunk")
        assert text == stream.log.text(), "the frames must have the text of the log"
        return replace(reply, error=last.get("message") if last["type"] == "error" else None)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Client]:
        client = _Client(self._service)
        try:
            yield client
        finally:
            await client.leave()


class _Client:
    """A client in memory: what a socket would carry, as objects."""

    def __init__(self, service: Any) -> None:
        connection = Connection(ConnectionLimits(), SlidingWindow(10_000))
        self._session = Session(connection, service, self)
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writer = asyncio.create_task(self._session.write(self._take, self._close))

    def send(self, frame: Mapping[str, Any]) -> None:
        self._session.receive(json.dumps(frame), now=0.0)

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield await self._received.get()

    async def leave(self) -> None:
        self._session.leave()
        self._writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._writer

    def error(self, code: str, *, is_of_answer: bool = False) -> None:
        """Count nothing: the frames show the error."""

    async def _take(self, frame: str) -> None:
        self._received.put_nowait(json.loads(frame))

    async def _close(self, code: int, reason: str) -> None:
        self._received.put_nowait({"type": "error", "message": f"closed: {code} {reason}"})


def _error_of(frame: Mapping[str, Any]) -> WiresideError:
    return BY_CODE.get(str(frame.get("code")), InternalError)(str(frame.get("message")))
