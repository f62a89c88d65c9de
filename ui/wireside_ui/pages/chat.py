"""The chat page: ``/`` for a new conversation, ``/c/{id}`` for one that has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from fastapi import Request
from nicegui import Client, background_tasks, ui

from wireside.chat.conversation import Conversation, Turn
from wireside.chat.service import ChatService
from wireside.errors import NotFound, WiresideError
from wireside_ui.components.composer import Composer, Sending
from wireside_ui.components.header import Header
from wireside_ui.components.transcript import Action, Row, Transcript
from wireside_ui.components.welcome import Welcome
from wireside_ui.markup import Markup
from wireside_ui.state import Follower, error_of, row_of, state_of
from wireside_ui.theme import Look, head_html
from wireside_ui.words import direction_of, language_of, starters_in, words_in

TICK_S = 0.05
"""Least time between two updates of a page: at most 20 a second."""

PAGE_SIZE = 20
"""Turns that the transcript asks for at a time."""

BACKLOG = 40
"""Messages on their way to a browser from which on its page is updated less often."""


class ChatPages:
    """Registers the page under its addresses."""

    def __init__(self, chat: ChatService, look: Look, version: str) -> None:
        self._chat = chat
        self._look = look
        self._version = version
        self._markup = Markup(frozenset(host.lower() for host in look.image_hosts))

    def register(self) -> None:
        """Make the page known to NiceGUI."""

        @ui.page("/")
        def new_chat(request: Request, client: Client) -> None:
            self._build(request, client, None)

        @ui.page("/c/{conversation_id}")
        def chat(request: Request, client: Client, conversation_id: str) -> None:
            self._build(request, client, conversation_id)

    def _build(self, request: Request, client: Client, conversation_id: str | None) -> None:
        language = language_of(request.headers.get("accept-language", ""))
        base = request.scope.get("root_path", "")
        ui.add_head_html(
            head_html(
                self._look,
                base=base,
                version=self._version,
                language=language,
                direction=direction_of(language),
            )
        )
        page = ChatPage(self._chat, self._look, self._markup, client, language, base)
        page.build(conversation_id)


class ChatPage:
    """One open page. Holds nothing of an answer but where it is in its log."""

    def __init__(
        self,
        chat: ChatService,
        look: Look,
        markup: Markup,
        client: Client,
        language: str,
        base: str,
    ) -> None:
        self._chat = chat
        self._look = look
        self._markup = markup
        self._client = client
        self._language = language
        self._words = words_in(language)
        self._base = base
        self._conversation: Conversation | None = None
        self._unsubscribe: Callable[[], object] = lambda: None
        self._shown: list[str] = []
        self._states: dict[str, tuple[object, ...]] = {}
        self._followers: dict[str, Follower] = {}
        self._wake = asyncio.Event()

    def build(self, conversation_id: str | None) -> None:
        """Lay the page out and begin to follow the conversation."""
        conversation = self._chat.open(conversation_id) if conversation_id else None
        with ui.element("div").classes("ws-page"):
            self._header = Header(name=self._look.name, base=self._base, words=self._words)
            with ui.element("main").classes("ws-main"):
                self._welcome = Welcome(
                    name=self._look.name,
                    tagline=self._look.tagline or self._words["tagline"],
                    logo=f"{self._base}/logo",
                    starters=self._look.starters or starters_in(self._language),
                    words=self._words,
                )
                self._transcript = Transcript(
                    on_action=self._act,
                    on_need=self._give_rows,
                    answer_text=self._answer_text,
                    words=self._words,
                    page_size=PAGE_SIZE,
                )
            self._composer = Composer(
                conversation=conversation.id if conversation else None,
                base=self._base,
                max_chars=self._chat.max_message_chars,
                words=self._words,
                on_send=self._send,
                on_stop=self._stop,
                on_edit_last=self._edit_last,
            )
        if conversation is not None:
            self._attach(conversation)
        elif conversation_id:
            self._welcome.show_missing()
        following = background_tasks.create(self._follow(), name="chat page")
        self._client.on_connect(self._wake.set)
        self._client.on_delete(lambda: self._close(following))

    # ---- following ---------------------------------------------------------------------------

    def _attach(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._unsubscribe = conversation.subscribe(self._wake.set)
        path = conversation.path()
        self._shown = [turn.id for turn in path]
        self._states = {turn.id: _mark(turn) for turn in path}
        last = path[-PAGE_SIZE:]
        self._transcript.reset(self._rows(last), len(path))
        if path:
            self._welcome.show(False)
            self._show_title()
        self._wake.set()

    def _show_title(self) -> None:
        title = self._conversation.title if self._conversation else ""
        ui.page_title(f"{title} · {self._look.name}" if title else self._look.name)

    def _close(self, following: asyncio.Task[None]) -> None:
        self._unsubscribe()
        for follower in self._followers.values():
            follower.close()
        following.cancel()

    async def _follow(self) -> None:
        """Bring the page up to date whenever something is new, at most 20 times a second."""
        await self._client.connected(timeout=60)
        await self._show_models()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._client.has_socket_connection:
                continue  # what is missed waits in the log; connecting wakes us
            with self._client:
                self._update()
            backlog = len(self._client.outbox.messages)
            await asyncio.sleep(TICK_S * (1 + backlog // BACKLOG))

    def _update(self) -> None:
        if self._conversation is None:
            return
        path = self._conversation.path()
        self._update_shape(path)
        for turn in path:
            if turn.is_live:
                self._follower(turn)
        for turn_id, follower in tuple(self._followers.items()):
            self._update_answer(turn_id, follower)
        for turn in path:
            self._update_state(turn)
        self._composer.answering(any(turn.is_live for turn in path))

    def _update_shape(self, path: Sequence[Turn]) -> None:
        """Show turns that came and take out turns that went."""
        ids = [turn.id for turn in path]
        if ids == self._shown:
            return
        gone = set(self._shown) - set(ids)
        kept = [turn_id for turn_id in self._shown if turn_id not in gone]
        if gone:
            self._transcript.take_out(*gone)
        for turn_id in gone:
            self._forget(turn_id)
        for turn in path[len(kept) :]:
            self._transcript.append(row_of(turn, self._markup))
            self._states[turn.id] = _mark(turn)
        self._shown = ids
        self._welcome.show(not ids)
        self._show_title()

    def _update_answer(self, turn_id: str, follower: Follower) -> None:
        ops, reasoning, tools, has_ended = follower.tick()
        self._transcript.ops(turn_id, ops, reasoning)
        if tools is not None:
            self._transcript.change(turn_id, tools=tools)
        if has_ended:
            self._forget(turn_id)
        elif follower.has_more:
            self._wake.set()

    def _update_state(self, turn: Turn) -> None:
        mark = _mark(turn)
        before = self._states.get(turn.id)
        if mark == before or turn.id in self._followers:
            return  # the end is told when all text before it is there
        self._states[turn.id] = mark
        row = row_of(turn, self._markup)
        self._transcript.change(
            turn.id, state=row.state, error=row.error, retry_after=row.retry_after
        )
        if before is not None and before[1:] != mark[1:] and not turn.is_live:
            # an answer that nobody followed: it ended as it began
            self._transcript.change(
                turn.id, html=row.html, reasoning=row.reasoning, tools=list(row.tools)
            )

    def _follower(self, turn: Turn) -> None:
        answer = turn.answers[-1]
        known = self._followers.get(turn.id)
        if known is None or known.answer is not answer:
            self._forget(turn.id)
            # a new answer, or one that goes on after its end: what is shown begins anew
            self._transcript.change(turn.id, html="", reasoning="", tools=[], error="")
            self._followers[turn.id] = Follower(answer, self._markup, self._wake.set)
        if self._states.get(turn.id) != _mark(turn):
            self._states[turn.id] = _mark(turn)
            self._transcript.change(turn.id, state=state_of(turn))

    def _forget(self, turn_id: str) -> None:
        if follower := self._followers.pop(turn_id, None):
            follower.close()

    def _rows(self, turns: Sequence[Turn]) -> list[Row]:
        return [row_of(turn, self._markup) for turn in turns]

    async def _show_models(self) -> None:
        try:
            models = await self._chat.models()
        except WiresideError as error:
            with self._client:
                self._header.show_problem(str(error))
                self._welcome.show_problem(str(error))
            return
        with self._client:
            self._header.show_models(models)

    # ---- what a person does; every argument may have been written by anybody -----------------

    async def _send(self, sending: Sending) -> None:
        conversation = self._conversation
        try:
            if conversation is None:
                conversation = self._chat.start_conversation(first_turn=sending.turn_id)
                self._attach(conversation)
            if sending.edits is not None:
                await self._chat.edit(
                    conversation, sending.edits, sending.question, new_turn_id=sending.turn_id
                )
            else:
                await self._chat.send(
                    conversation,
                    sending.question,
                    turn_id=sending.turn_id,
                    options=sending.options,
                )
        except WiresideError as error:
            self._composer.refused(sending.turn_id, str(error))
        else:
            self._composer.accepted(sending.turn_id, conversation.id)

    async def _stop(self) -> None:
        if self._conversation and (stream := self._conversation.live_stream()):
            await self._chat.stop(stream)

    def _edit_last(self) -> None:
        path = self._conversation.path() if self._conversation else []
        if path:
            self._composer.edit(path[-1].id, path[-1].question)

    async def _act(self, action: Action) -> None:
        if self._conversation is None:
            return
        try:
            await self._do(self._conversation, action)
        except NotFound:
            self._wake.set()  # another tab was faster: show what is

    async def _do(self, conversation: Conversation, action: Action) -> None:
        turn = conversation.turn(action.row_id)
        match action.name:
            case "retry":
                if not action.automatic or error_of(turn)[1] is not None:
                    await self._chat.retry(conversation, turn.id)
            case "continue":
                await self._chat.continue_answer(conversation, turn.id)
            case "stop":
                if turn.is_live:
                    await self._chat.stop(turn.answers[-1].segments[-1])
            case "withdraw":
                self._composer.put_back(self._chat.withdraw(conversation, turn.id))
            case "edit":
                self._composer.edit(turn.id, turn.question)

    def _give_rows(self, page: int) -> None:
        path = self._conversation.path() if self._conversation else []
        first = page * PAGE_SIZE
        self._transcript.put(page, self._rows(path[first : first + PAGE_SIZE]))

    def _answer_text(self, row_id: str) -> str:
        turn = self._conversation.find(row_id) if self._conversation else None
        return turn.answers[-1].text if turn and turn.answers else ""


def _mark(turn: Turn) -> tuple[object, ...]:
    """Return what decides how a turn is shown, beside its text."""
    answer = turn.answers[-1] if turn.answers else None
    return (state_of(turn), id(answer), len(answer.segments) if answer else 0)
