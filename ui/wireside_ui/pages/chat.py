"""The chat page: ``/`` for a new conversation, ``/c/{id}`` for one that has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from fastapi import Request
from nicegui import Client, background_tasks, ui

from wireside.chat.conversation import Conversation, Turn
from wireside.chat.service import ChatService
from wireside.errors import NotFound, WiresideError
from wireside.messages import ModelInfo
from wireside_ui.components.composer import Composer, Sending
from wireside_ui.components.header import Header
from wireside_ui.components.model_picker import ModelPicker
from wireside_ui.components.status import Status
from wireside_ui.components.transcript import Action, Row, Transcript
from wireside_ui.components.welcome import View, Welcome
from wireside_ui.markup import Markup
from wireside_ui.page_socket import untaken
from wireside_ui.shell import shell_html
from wireside_ui.state import Follower, retry_after, row_of, state_of
from wireside_ui.theme import Look, head_html
from wireside_ui.words import direction_of, language_of, sentence_in, starters_in, words_in

TICK_S = 0.05
"""Least time between two updates of a page: at most 20 a second."""

UNSEEN_TICK_S = 0.5
"""The same while nobody can see the page."""

BACKLOG = 12
"""Messages on their way to a browser from which on its page waits until they are taken."""

PAGE_SIZE = 20
"""Turns that the transcript asks for at a time."""

MODELS_S = 0.05
"""How long a page waits for the list of models before it is sent without."""

LOOK_AGAIN_S = (2.0, 30.0)
"""First and longest pause before a page without models looks again; it doubles each time."""


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
        async def new_chat(request: Request, client: Client) -> None:
            await self._build(request, client, None)

        @ui.page("/c/{conversation_id}")
        async def chat(request: Request, client: Client, conversation_id: str) -> None:
            await self._build(request, client, conversation_id)

    async def _build(self, request: Request, client: Client, conversation_id: str | None) -> None:
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
        page = ChatPage(self._chat, self._look, self._markup, client, language, base, self._version)
        page.build(conversation_id, await self._models())

    async def _models(self) -> Sequence[ModelInfo]:
        """Return the models if they are known, so that the header need not change; else none."""
        with suppress(TimeoutError, WiresideError):
            async with asyncio.timeout(MODELS_S):
                return await self._chat.models()
        return ()


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
        version: str,
    ) -> None:
        self._chat = chat
        self._look = look
        self._markup = markup
        self._client = client
        self._language = language
        self._words = words_in(language)
        self._base = base
        self._version = version
        self._conversation: Conversation | None = None
        self._unsubscribe: Callable[[], object] = lambda: None
        self._shown: list[str] = []
        self._states: dict[str, tuple[object, ...]] = {}
        self._followers: dict[str, tuple[Turn, Follower]] = {}
        self._is_answering = False
        self._is_shape_new = False
        self._wake = asyncio.Event()
        self._is_seen = asyncio.Event()
        self._is_seen.set()
        self._look_again = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def build(self, conversation_id: str | None, models: Sequence[ModelInfo]) -> None:
        """Lay the page out; it follows the conversation from its first connection on."""
        conversation = self._chat.open(conversation_id) if conversation_id else None
        is_missing = bool(conversation_id) and conversation is None
        view = _view(conversation, is_missing=is_missing)
        tagline = self._look.tagline or self._words["tagline"]
        logo = f"{self._base}/logo?v={self._version}"
        starters = self._look.starters or starters_in(self._language)
        if is_missing:
            self._client.status_code = 404
        ui.add_body_html(
            shell_html(
                name=self._look.name,
                logo=logo,
                base=self._base,
                tagline=tagline,
                starters=starters,
                draft=conversation.id if conversation else "",
                words=self._words,
                is_empty=view == "empty",
            )
        )
        # NiceGUI's own frame is a <main>: ours stands beside it, with a header and a <main>
        self._client.page_container.set_visibility(False)
        with self._client.layout, ui.element("div").classes("ws-page"):
            with Header(name=self._look.name, logo=logo, base=self._base, words=self._words):
                self._picker = ModelPicker(
                    models=models, words=self._words, on_retry=self._look_again.set
                )
                Status(words=self._words, on_visible=self._see)
            with ui.element("main").classes("ws-main"):
                self._welcome = Welcome(
                    name=self._look.name,
                    tagline=tagline,
                    logo=logo,
                    starters=starters,
                    words=self._words,
                    view=view,
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
                lost=conversation_id if is_missing else None,
                base=self._base,
                max_chars=self._chat.max_message_chars,
                words=self._words,
                on_send=self._send,
                on_stop=self._stop,
                on_edit_last=self._edit_last,
                on_open=self._open,
            )
        if conversation is not None:
            self._attach(conversation)
        self._client.on_connect(lambda: self._begin(has_models=bool(models)))
        self._client.on_delete(self._close)

    def _begin(self, *, has_models: bool) -> None:
        """Start what the page does by itself; after a lost connection only see what was missed."""
        self._wake.set()
        if self._tasks:
            return
        self._tasks.append(background_tasks.create(self._follow(), name="chat page"))
        if not has_models:
            self._tasks.append(background_tasks.create(self._show_models(), name="models"))

    def _close(self) -> None:
        self._detach()
        for task in self._tasks:
            task.cancel()

    # ---- which conversation ------------------------------------------------------------------

    def _open(self, conversation_id: str) -> None:
        """Show another conversation, or none, without a new page."""
        if self._conversation is not None and conversation_id == self._conversation.id:
            return
        conversation = self._chat.open(conversation_id) if conversation_id else None
        self._detach()
        if conversation is not None:
            self._attach(conversation)
        else:
            self._transcript.reset([], 0)
            self._show_title()
        is_missing = bool(conversation_id) and conversation is None
        self._welcome.show(_view(conversation, is_missing=is_missing))
        if is_missing:
            self._composer.lose(conversation_id)
        self._tell_answering()

    def _attach(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._unsubscribe = conversation.subscribe(self._on_change)
        path = conversation.path()
        self._shown = [turn.id for turn in path]
        self._states = {turn.id: _mark(turn) for turn in path}
        self._transcript.reset(self._rows(path[-PAGE_SIZE:]), len(path))
        self._show_title()
        self._on_change()

    def _detach(self) -> None:
        self._unsubscribe()
        for turn_id in tuple(self._followers):
            self._forget(turn_id)
        self._conversation = None
        self._shown = []
        self._states = {}

    def _show_title(self) -> None:
        title = self._conversation.title if self._conversation else ""
        ui.page_title(f"{title} · {self._look.name}" if title else self._look.name)

    def _on_change(self) -> None:
        self._is_shape_new = True
        self._wake.set()

    # ---- following ---------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Bring the page up to date whenever something is new, at most 20 times a second."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._client.has_socket_connection:
                continue  # what is missed waits in the log; connecting wakes us
            with self._client:
                self._update()
            await self._rest()

    async def _rest(self) -> None:
        """Wait for the next update: longer for a page that nobody sees, and until a slow
        connection has taken what it was given.
        """
        await asyncio.sleep(TICK_S)
        while self._is_behind():  # noqa: ASYNC110  # a queue tells nobody that it is empty
            await asyncio.sleep(TICK_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(UNSEEN_TICK_S - TICK_S):
                await self._is_seen.wait()

    def _is_behind(self) -> bool:
        return self._client.has_socket_connection and untaken(self._client) > BACKLOG

    def _see(self, is_seen: bool) -> None:
        if is_seen:
            self._is_seen.set()
        else:
            self._is_seen.clear()

    def _update(self) -> None:
        """Show what is new. The turns are gone through only when one of them has changed."""
        if self._conversation is None:
            return
        if self._is_shape_new:
            self._is_shape_new = False
            path = self._conversation.path()
            self._update_shape(path)
            for turn in path:
                if turn.is_live:
                    self._see_to(turn)
                else:
                    self._update_state(turn)
        for turn, follower in tuple(self._followers.values()):
            self._update_answer(turn, follower)
        self._tell_answering()

    def _update_shape(self, path: Sequence[Turn]) -> None:
        """Show turns that came and take out turns that went."""
        ids = [turn.id for turn in path]
        if ids == self._shown:
            return
        staying = set(ids)
        kept = [turn_id for turn_id in self._shown if turn_id in staying]
        gone = [turn_id for turn_id in self._shown if turn_id not in staying]
        if kept == self._shown[: len(kept)]:
            if gone:
                self._transcript.set_total(len(kept))
        else:
            self._transcript.take_out(*gone)
        for turn_id in gone:
            self._forget(turn_id)
            del self._states[turn_id]
        for turn in path[len(kept) :]:
            self._transcript.append(self._row(turn))
            self._states[turn.id] = _mark(turn)
        self._shown = ids
        self._welcome.show("hidden" if ids else "empty")
        self._show_title()

    def _see_to(self, turn: Turn) -> None:
        """Have somebody follow the answer that is being made to ``turn``."""
        answer = turn.answers[-1]
        known = self._followers.get(turn.id)
        if known is None or known[1].answer is not answer:
            self._forget(turn.id)
            goes_on = self._states[turn.id][1:2] == (id(answer),)
            if goes_on:  # the follower shows its text anew, so that it does not go for a moment
                self._transcript.change(turn.id, reasoning="", tools=[], error="")
            else:
                self._transcript.change(turn.id, html="", reasoning="", tools=[], error="")
            follower = Follower(answer, self._markup, self._wake.set, goes_on=goes_on)
            self._followers[turn.id] = turn, follower
        self._tell_growing(turn)

    def _update_answer(self, turn: Turn, follower: Follower) -> None:
        ops, reasoning, tools, has_ended = follower.tick()
        self._tell_growing(turn)
        self._transcript.ops(turn.id, ops, reasoning)
        if tools is not None:
            self._transcript.change(turn.id, tools=tools)
        if has_ended:
            self._forget(turn.id)
            self._update_state(turn)
        elif follower.has_more:
            self._wake.set()

    def _tell_growing(self, turn: Turn) -> None:
        mark = _mark(turn)
        if self._states[turn.id] != mark and turn.is_live:
            self._states[turn.id] = mark
            self._transcript.change(turn.id, state=state_of(turn))

    def _update_state(self, turn: Turn) -> None:
        mark = _mark(turn)
        before = self._states[turn.id]
        if mark == before or turn.id in self._followers:
            return  # the end is told when all text before it is there
        self._states[turn.id] = mark
        row = self._row(turn)
        self._transcript.change(
            turn.id, state=row.state, error=row.error, retry_after=row.retry_after
        )
        if before[1:] != mark[1:]:  # an answer that nobody followed: it ended as it began
            self._transcript.change(
                turn.id, html=row.html, reasoning=row.reasoning, tools=list(row.tools)
            )

    def _tell_answering(self) -> None:
        is_answering = bool(self._followers)
        if is_answering != self._is_answering:
            self._is_answering = is_answering
            self._composer.answering(is_answering)

    def _forget(self, turn_id: str) -> None:
        if known := self._followers.pop(turn_id, None):
            known[1].close()

    def _row(self, turn: Turn) -> Row:
        return row_of(turn, self._markup, self._language)

    def _rows(self, turns: Sequence[Turn]) -> list[Row]:
        return [self._row(turn) for turn in turns]

    async def _show_models(self) -> None:
        """Offer the models; while there are none say why, and look again and again."""
        pause_s, longest_s = LOOK_AGAIN_S
        while True:
            try:
                models = await self._chat.models()
            except WiresideError as error:
                sentence = sentence_in(self._language, error)
                with self._client:
                    self._picker.show_problem(sentence)
                    self._welcome.show_problem(sentence)
            else:
                with self._client:
                    self._picker.show(models)
                    self._welcome.show_problem("")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._look_again.wait()
            self._look_again.clear()
            pause_s = min(2 * pause_s, longest_s)

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
            self._composer.refused(sending.turn_id, sentence_in(self._language, error))
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
            self._on_change()  # another tab was faster: show what is

    async def _do(self, conversation: Conversation, action: Action) -> None:
        turn = conversation.turn(action.row_id)
        match action.name:
            case "retry":
                if not action.automatic or retry_after(turn) is not None:
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
        turns = path[first : first + PAGE_SIZE]
        self._transcript.put(page, self._rows(turns))
        for turn in turns:
            if turn.id in self._followers:  # it grew where nothing was there to show it
                self._forget(turn.id)
                self._on_change()

    def _answer_text(self, row_id: str) -> str:
        turn = self._conversation.find(row_id) if self._conversation else None
        return turn.answers[-1].text if turn and turn.answers else ""


def _view(conversation: Conversation | None, *, is_missing: bool) -> View:
    if is_missing:
        return "missing"
    return "hidden" if conversation is not None and conversation.leaf is not None else "empty"


def _mark(turn: Turn) -> tuple[object, ...]:
    """Return what decides how a turn is shown, beside its text."""
    answer = turn.answers[-1] if turn.answers else None
    return (state_of(turn), id(answer), len(answer.segments) if answer else 0)
