"""Runs a chat for a test and asks it: directly, by frames, or by the page.

The whole server runs, with a database in a temporary folder; only its sockets are left out.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, assert_never

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from wireside.app import Application, create_app
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.errors import WiresideError, error_from_code
from wireside.extension.chat import Chat
from wireside.extension.questions import open_question
from wireside.generation.runner import Stream, new_stream_name
from wireside.identity import LOCAL, Caller
from wireside.messages import End, Options, PartDelta, TextDelta, parts_of
from wireside.parts import data_of, is_hidden, text_of
from wireside.ports.provider import Provider
from wireside.settings.model import Settings
from wireside.store.store import SqlStore
from wireside.tester.empty import write_empty_database
from wireside.tester.killed import DATABASE, copy_as_killed
from wireside.tester.page import Page
from wireside.tester.reply import NoQuestion, Reply
from wireside.tester.socket_client import connected

Door = Literal["direct", "socket", "page"]
"""How a question is asked: by the chat service, by frames of level 2 of `/ws/ai-chat`, or by the
presenter of the page, without a browser."""

ANSWER_S = 30.0
"""Time limit of one answer, in seconds."""


class TestSettings(Settings):
    """Settings that only code sets.

    A test must not use the database or the model service of the developer's environment, or of a
    ``wireside.toml`` in the folder of the tests.
    """

    __test__ = False  # for pytest
    model_config = SettingsConfigDict(toml_file=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no source but the arguments."""
        return (init_settings,)


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
        kill: bool = False,
        provider: Provider | None = None,
    ) -> None:
        """Make a tester; ``async with`` starts the server and ends it.

        Args:
            chat: the chat.
            user: id and name of the user that asks; "" for that of a server without accounts.
            door: how questions are asked.
            cut: whether the connection is cut after each frame and the answer resumed, through the
                door ``socket``.
            kill: whether the server is killed after each answer, and after each question of one,
                and another one started on the data that are left. Through the door ``socket``, it
                is also checked after each frame that a kill would lose nothing that was sent.
            provider: the source of the models besides the handlers; None for none.
        """
        self._chat = chat
        self._door: Door = door
        self._cuts = cut
        self._kills = kill
        self._provider = provider
        self._caller = Caller(user_id=user, name=user, role="user") if user else LOCAL
        self._exit = AsyncExitStack()
        self._server = AsyncExitStack()
        self._folder = Path()
        self._application: Application | None = None
        self._conversation = "new"
        self._page: Page | None = None
        self._opens_page = False
        """Whether the next question is asked in a page that is to be opened."""
        self._copies = 0

    async def __aenter__(self) -> Self:
        """Start the server."""
        folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="wireside-"))
        self._root = Path(folder)
        self._folder = self._root / "data"
        try:
            await asyncio.to_thread(write_empty_database, self._folder / DATABASE)
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server and delete its data."""
        await self._stop_server()
        await self._exit.aclose()

    async def restart(self) -> None:
        """End the server and start another one on the same data, as a deploy does."""
        await self._stop_server()
        await self._start()

    async def kill(self) -> None:
        """Start another server on the data that a kill of the present one would leave."""
        copy = await self._copy()
        await self._stop_server()
        self._folder = copy
        await self._start()

    def new_conversation(self) -> None:
        """Ask the next question in a new conversation."""
        self._conversation = "new"
        self._opens_page = True

    async def ask(
        self,
        text: str,
        *,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
        attachments: Sequence[str] = (),
    ) -> Reply:
        """Ask a question in the conversation, and return the answer.

        Args:
            text: the question.
            model: the handler; None for the first one.
            options: its options.
            attachments: the files of the question, by the ids that ``upload`` has returned.

        Raises:
            WiresideError: the question is refused.
            TimeoutError: the answer does not end within ``ANSWER_S``.
        """
        chosen = Options(model=model, values=json.dumps(options) if options else "")
        async with asyncio.timeout(ANSWER_S):
            reply = await self._ask(text, chosen, attachments)
            return await self._after(reply)

    async def _ask(self, text: str, options: Options, attachments: Sequence[str]) -> Reply:
        match self._door:
            case "socket":
                frame: dict[str, Any] = {"message": text, "conversation": self._conversation}
                frame |= {"model": options.model} if options.model else {}
                frame |= {"options": json.loads(options.values)} if options.values else {}
                frame |= {"attachments": list(attachments)} if attachments else {}
                return await self._ask_by_frames(
                    {"type": "chat", "key": new_stream_name(), **frame}
                )
            case "page":
                page = await self._opened_page()
                self._conversation = await page.ask(
                    new_stream_name(), text, options, attachments=attachments
                )
                _, turn = await self._last_turn()
                return await self._shown(page, turn)
            case "direct":
                stream, self._conversation = await self._service.answer_in(
                    self._conversation, text, key=None, options=options, attachments=attachments
                )
                await stream.wait_ended()
                return await self._reply(stream)
            case _:
                assert_never(self._door)

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
            reply = await self._answer(turn, question.id, value)
            return await self._after(reply)

    async def _answer(self, turn: ConversationTurn, part_id: str, value: object) -> Reply:
        match self._door:
            case "socket":
                frame = {"conversation": self._conversation, "part": part_id, "value": value}
                return await self._ask_by_frames({"type": "answer", **frame})
            case "page":
                page = await self._opened_page()
                await page.answer(turn.id, part_id, value)
                return await self._shown(page, turn)
            case "direct":
                stream, _ = await self._service.answer_question_in(
                    self._conversation, part_id, value
                )
                await stream.wait_ended()
                return await self._reply(stream)
            case _:
                assert_never(self._door)

    async def upload(self, name: str, content: bytes) -> str:
        """Upload a file and return its id, for a question or for the answer to one.

        Raises:
            WiresideError: the file is refused.
        """

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        return (await self._service.files.upload_file(name, pieces())).id

    async def retry(self) -> Reply:
        """Ask the last question again, as the user does."""
        conversation, turn = await self._last_turn()
        return await self._follow(await self._service.retry_turn(conversation, turn.id))

    async def continue_answer(self) -> Reply:
        """Let the last answer go on, which was stopped or cut off; return what follows."""
        conversation, turn = await self._last_turn()
        await self._service.continue_answer(conversation, turn.id)
        return await self._follow(turn)

    async def stop(self) -> None:
        """Stop the running answers, as the user does."""
        assert self._application is not None, "use `async with`"
        for stream in self._application.parts.runner.live_streams:
            await self._service.stop_stream(stream)

    # ---- internals ---------------------------------------------------------------------------

    @property
    def _service(self) -> ChatService:
        assert self._application is not None, "use `async with`"
        return self._application.parts.chat.for_caller(self._caller)

    async def _after(self, reply: Reply) -> Reply:
        if self._kills:
            await self.kill()
        return reply

    async def _copy(self) -> Path:
        """Return a copy of the data as a kill would leave it."""
        self._copies += 1
        copy = self._root / f"killed-{self._copies}"
        await asyncio.to_thread(copy_as_killed, self._folder, copy)
        return copy

    async def _opened_page(self) -> Page:
        """Return the page that shows the conversation."""
        if self._opens_page:
            self._opens_page = False
            await self._close_page()
        if self._page is None:
            self._page = Page(self._service)
            await self._page.open(None if self._conversation == "new" else self._conversation)
        return self._page

    async def _close_page(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            await page.close()

    async def _shown(self, page: Page, turn: ConversationTurn) -> Reply:
        """Wait for the end of an answer; return it with the parts that a reload shows."""
        reply = await self._follow(turn)
        await page.update()
        reloaded = Page(self._service)
        await reloaded.open(self._conversation)
        await reloaded.close()
        return replace(reply, page_parts=reloaded.last_parts())

    async def _stop_server(self) -> None:
        await self._close_page()
        await self._server.aclose()

    async def _start(self) -> None:
        settings = TestSettings(data_dir=self._folder, title_model="off")
        self._application = create_app(settings, provider=self._provider, chat=self._chat)
        app = self._application.app
        self._server = AsyncExitStack()
        await self._server.enter_async_context(app.router.lifespan_context(app))

    async def _last_turn(self) -> tuple[Conversation, ConversationTurn]:
        """Return the last turn. Raises ``NoQuestion`` if there is none."""
        conversation = await self._service.library.open_conversation(self._conversation)
        if conversation is None:
            raise NoQuestion("Nothing was asked yet.")
        last = conversation.total - 1
        (turn,) = await self._service.library.read_turns(conversation, last, last)
        return conversation, turn

    async def _follow(self, turn: ConversationTurn) -> Reply:
        """Wait for the end of the last stream of a turn."""
        async with asyncio.timeout(ANSWER_S):
            while not turn.segments:  # noqa: ASYNC110 (a turn has no event)
                await asyncio.sleep(0.01)
            await turn.segments[-1].wait_ended()
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
            async with connected(self._service) as client:
                client.send(send)
                async for frame in client.frames():
                    if frame["type"] == "resumed":
                        continue
                    frames.append(frame)
                    if self._kills:
                        await self._check_killed(frames)
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
        stream = await self._service.find_stream(frames[0]["stream"])
        reply = await self._reply(stream, tuple(frames))
        text = "".join(frame["content"] for frame in frames if frame["type"] == "chunk")
        assert text == stream.log.visible_text(), "the frames must have the text of the log"
        return replace(reply, error=last.get("message") if last["type"] == "error" else None)

    async def _check_killed(self, frames: Sequence[Mapping[str, Any]]) -> None:
        """Check that a kill at this moment would lose nothing of the frames."""
        if frames[0]["type"] != "start":
            return
        store = SqlStore(f"sqlite:///{await self._copy() / DATABASE}")
        await store.open()
        try:
            found = await store.read_segment(frames[0]["stream"])
        finally:
            await store.aclose()
        assert found is not None, "a kill would lose the answer, whose start was sent"
        entries = found[0].entries
        text = "".join(entry.text for entry in entries if isinstance(entry, TextDelta))
        sent = "".join(frame["content"] for frame in frames if frame["type"] == "chunk")
        assert text.startswith(sent), f"a kill would lose text that was sent: {sent!r} of {text!r}"
        parts = sum(isinstance(entry, PartDelta) for entry in entries)
        sent_parts = sum(frame["type"] == "part" for frame in frames)
        assert sent_parts <= parts, "a kill would lose a part that was sent"
        if frames[-1]["type"] == "done":
            assert found[0].end is not None, "a kill would lose the end of the answer"


def _error_of(frame: Mapping[str, Any]) -> WiresideError:
    return error_from_code(str(frame.get("code")), str(frame.get("message")))
