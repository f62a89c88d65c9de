"""The chat page: ``/`` for a new conversation, ``/c/{id}`` for an existing one.

Theory of operation: events of the library, the conversation and its answers only record what has
changed and set the page's wake event. The task ``_follow`` then sends the changes, at most once per
``TICK_S``, less often to hidden pages, and not before a slow connection has taken the earlier ones.
Answers in progress are sent by a ``Follower`` each. Rows are sent immediately with at most the
beginning of long answers; the task ``_make_late`` renders the rest in a thread.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from fastapi import Request
from nicegui import Client, background_tasks, ui

from wireside.chat import tree
from wireside.chat.conversation import WAITING_TURNS, Conversation, Turn
from wireside.chat.service import ChatService
from wireside.errors import NotFound, StoreError, WiresideError
from wireside.invisible_text import seen
from wireside.messages import ModelInfo, Options, TextDelta
from wireside.offload import aside, aside_short
from wireside.records import Feedback, Span, TurnRecord
from wireside_ui.components.composer import Composer, Sending
from wireside_ui.components.header import Header
from wireside_ui.components.model_picker import ModelPicker
from wireside_ui.components.status import Status
from wireside_ui.components.transcript import Action, Row, Transcript
from wireside_ui.components.welcome import View, Welcome
from wireside_ui.i18n.catalogue import direction_of, language_of, sentence_in, starters_in, words_in
from wireside_ui.markdown.dialect import HighlightBudget, Markup, are_lexers_ready
from wireside_ui.markdown.incremental import LOOP_CHARS, render
from wireside_ui.nicegui_socket import making, page_at, untaken
from wireside_ui.presenters.answer import Follower, model_of, retry_after, row_of, state_of, text_of
from wireside_ui.presenters.find import MAX_FOUND, contains, folded
from wireside_ui.presenters.sidebar import SidebarPresenter
from wireside_ui.shell import shell_html
from wireside_ui.theme import Branding, head_html

TICK_S = 0.05
"""Minimum seconds between two updates of a page: at most 20 per second."""

UNSEEN_TICK_S = 0.5
"""The same for a hidden page."""

BACKLOG = 12
"""Queued messages to a browser above which the page sends no updates until they are taken."""

PAGE_SIZE = 20
"""Turns per request of the transcript."""

READY_CHARS = 8_192
"""Characters of the answers sent together that are rendered immediately (about 15 ms of work).

Of earlier answers the beginning is sent, and the whole once it is rendered.
"""

BEGINNING_CHARS = 1_000
"""Characters of the beginning of an answer that is rendered later."""

MODELS_S = 0.05
"""Seconds that a page waits for the list of models before it is sent without it."""

MARKS = 500
"""Maximum number of turns whose displayed state is stored; others are sent again on request."""

NEARLY = 0.2
"""Remaining fraction of a limit at or below which the page shows it."""

LOOK_AGAIN_S = (2.0, 30.0)
"""Initial and maximum delay in seconds before the list of models is retried; it doubles."""


COSTLY = ("retry", "continue")
"""Actions that call the model."""

REPEAT_S = 1.0
"""Seconds within which a repeated costly action on the same turn is ignored."""

Mark = tuple[str, str | None, int, object]
"""What a row shows: state, name of the first stream, number of streams, everything else."""

UNKNOWN: Mark = ("", None, 0, None)
"""Mark of a row whose state must be sent again."""


class ChatPages:
    """Registers the chat page at its paths."""

    def __init__(
        self, chat: ChatService, look: Branding, version: str, sharing: str = "off"
    ) -> None:
        """``sharing`` is the setting for who may open links to conversations."""
        self._chat = chat
        self._sharing = sharing
        self._look = look
        self._version = version
        self._markup = Markup(frozenset(host.lower() for host in look.image_hosts))

    def register(self) -> None:
        """Register the page with NiceGUI."""

        @page_at("/")
        async def new_chat(request: Request, client: Client) -> None:
            async with making(client):
                await self._build(request, client, None)

        @page_at("/c/{conversation_id}")
        async def chat(request: Request, client: Client, conversation_id: str) -> None:
            async with making(client):
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
        chat: ChatService = getattr(request.state, "chat", self._chat)
        page = ChatPage(
            chat=chat,
            look=self._look,
            markup=self._markup,
            client=client,
            language=language,
            base=base,
            version=self._version,
            sharing=self._sharing,
        )
        turn_id = request.query_params.get("turn")
        await page.build(conversation_id, turn_id, await self._models())

    async def _models(self) -> Sequence[ModelInfo]:
        """Return the models, so that the header need not change; none after ``MODELS_S``."""
        with suppress(TimeoutError, WiresideError):
            async with asyncio.timeout(MODELS_S):
                return await self._chat.models()
        return ()


class ChatPage:
    """One open page. It stores no text of an answer in progress, only its position in the log."""

    def __init__(
        self,
        chat: ChatService,
        look: Branding,
        markup: Markup,
        client: Client,
        language: str,
        base: str,
        version: str,
        sharing: str = "off",
    ) -> None:
        self._chat = chat
        self._look = look
        self._markup = markup
        self._client = client
        self._language = language
        self._words = words_in(language)
        self._base = base
        self._version = version
        self._library = chat.library
        self._conversation: Conversation | None = None
        self._unwatch: Callable[[], object] = lambda: None
        self._path: list[Span] = []
        self._total = 0
        self._removals = 0
        self._marks: OrderedDict[str, Mark] = OrderedDict()
        self._followers: dict[str, Follower] = {}
        self._late: dict[str, Turn] = {}
        self._is_late = asyncio.Event()
        self._changed: set[str] = set()
        self._sought = ""
        self._is_answering = False
        self._options = Options()
        """The model and settings that the browser shows; retries use them."""
        self._offered: Sequence[ModelInfo] = ()
        """The models in the picker, the default first."""
        self._missing = ""
        """Id of the conversation in the page's address if it does not exist, else ""."""
        self._last_act: tuple[tuple[str, str], float] = (("", ""), 0.0)
        self._said_left = ""
        self._is_shape_new = False
        self._wake = asyncio.Event()
        self._list = SidebarPresenter(
            chat.library,
            base,
            language,
            wake=self._wake.set,
            tell=lambda sentence: self._composer.tell(sentence),
            on_listed=self._come_back_if_missing,
            on_undone=lambda conversation_id: self._composer.come_back(conversation_id),
            sharing=sharing,
        )
        self._is_seen = asyncio.Event()
        self._is_seen.set()
        self._look_again = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def build(
        self, conversation_id: str | None, turn_id: str | None, models: Sequence[ModelInfo]
    ) -> None:
        """Create the page's elements; updates start with the first connection."""
        conversation, problem = await self._find(conversation_id)
        listing = await self._list.first_page()
        is_missing = bool(conversation_id) and conversation is None
        self._missing = conversation_id or "" if is_missing else ""
        self._offered = models
        if conversation is not None:
            with suppress(StoreError):  # the turns can't be read either: ``_attach`` raises it
                self._options = await self._chat.options_of(conversation)
        view = _view(conversation, is_missing=is_missing)
        tagline = self._look.tagline or self._words["tagline"]
        logo = f"{self._base}/logo?v={self._version}"
        is_reader = not self._chat.caller.may("chat")
        starters = () if is_reader else self._look.starters or starters_in(self._language)
        if is_missing:
            self._client.status_code = 503 if problem else 404
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
        # NiceGUI's own container is a <main>: hide it and add ours, with a header and a <main>
        self._client.page_container.set_visibility(False)
        with self._client.layout, ui.element("div").classes("ws-page"):
            self._list.build(listing, current=conversation.id if conversation else "")
            with Header(name=self._look.name, logo=logo, base=self._base, words=self._words):
                self._picker = ModelPicker(
                    models=models, words=self._words, on_retry=self._look_again.set
                )
                Status(
                    base=self._base,
                    words=self._words,
                    on_visible=self._see,
                    shows_dashboard=self._chat.caller.may("admin"),
                )
            with ui.element("main").classes("ws-main"):
                self._saving = ui.label(self._words["saving_is_behind"]).classes("ws-behind")
                self._saving.props("role=status")
                self._saving.set_visibility(self._chat.saving.is_behind)
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
                    on_find=self._find_text,
                    answer_text=self._answer_text,
                    words=self._words,
                    page_size=PAGE_SIZE,
                    is_reader=is_reader,
                    assets=f"{self._base}/assets",
                    version=self._version,
                )
            self._composer = Composer(
                conversation=conversation.id if conversation else None,
                lost=conversation_id if is_missing and not problem else None,
                base=self._base,
                max_chars=self._chat.max_message_chars,
                is_reader=is_reader,
                words=self._words,
                on_send=self._send,
                on_stop=self._stop,
                on_edit_last=self._edit_last,
                on_open=self._open,
                on_choose=self._choose,
                options=self._options if conversation else None,
            )
        await self._show_allowance()
        if problem:
            self._welcome.show_problem(sentence_in(self._language, problem))
        if conversation is not None:
            await self._attach(conversation)
            await self._jump(turn_id)
        self._client.on_connect(lambda: self._begin(has_models=bool(models)))
        self._client.on_delete(self._close)

    async def _find(
        self, conversation_id: str | None
    ) -> tuple[Conversation | None, StoreError | None]:
        try:
            return await self._library.open(conversation_id) if conversation_id else None, None
        except StoreError as error:
            return None, error

    def _begin(self, *, has_models: bool) -> None:
        """Start the page's tasks; after a reconnect, only trigger an update."""
        self._wake.set()
        if self._tasks:
            return
        self._tasks.append(background_tasks.create(self._follow(), name="chat page"))
        self._tasks.append(background_tasks.create(self._make_late(), name="late answers"))
        if not has_models:
            self._tasks.append(background_tasks.create(self._show_models(), name="models"))
        self._list.begin()
        self._chat.saving.bell.listen(self, self._wake.set)

    def _close(self) -> None:
        self._detach()
        self._list.close()
        self._chat.saving.bell.leave(self)
        for task in self._tasks:
            task.cancel()

    # ---- choice of the conversation ----------------------------------------------------------

    async def _open(self, conversation_id: str, turn_id: str | None) -> None:
        """Switch to another conversation ("" for a new one) without a reload; scroll to a turn."""
        if self._conversation is None or conversation_id != self._conversation.id:
            await self._change_to(conversation_id)
        if conversation_id:
            self._composer.set_choice(
                conversation_id, self._options if self._conversation else None
            )
        await self._jump(turn_id)

    async def _change_to(self, conversation_id: str) -> None:
        conversation, problem = await self._find(conversation_id)
        self._detach()
        if conversation is not None:
            try:
                await self._attach(conversation)
            except StoreError as error:
                self._detach()
                conversation, problem = None, error
        if conversation is None:
            self._transcript.reset([], 0)
            self._transcript.set_source("")
            self._show_title()
        is_missing = bool(conversation_id) and conversation is None
        self._missing = conversation_id if is_missing else ""
        self._welcome.show(_view(conversation, is_missing=is_missing))
        self._welcome.show_problem(sentence_in(self._language, problem) if problem else "")
        if is_missing and not problem:
            self._composer.lose(conversation_id)
        self._list.set_current(conversation.id if conversation else "")
        self._tell_answering()

    async def _attach(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._options = await self._chat.options_of(conversation)
        self._unwatch = self._chat.watch(conversation, self._on_change)
        self._path, self._total = conversation.path(), conversation.total
        self._removals = conversation.removals
        turns = await self._turns(conversation, self._total - PAGE_SIZE, self._total - 1)
        self._transcript.reset(self._give(turns), self._total)
        self._transcript.set_source(f"{self._base}/api/conversations/{conversation.id}")
        self._show_title()

    def _detach(self) -> None:
        self._unwatch()
        for turn_id in tuple(self._followers):
            self._forget(turn_id)
        self._conversation = None
        self._options = Options()
        self._path, self._total = [], 0
        self._marks.clear()
        self._late.clear()
        self._changed.clear()

    def _come_back_if_missing(self, conversation_id: str) -> None:
        """Reopen a restored conversation that was deleted while the page showed it."""
        if conversation_id == self._missing:
            self._composer.come_back(conversation_id)

    def _show_title(self) -> None:
        title = seen(self._conversation.title) if self._conversation else ""
        ui.page_title(f"{title} · {self._look.name}" if title else self._look.name)

    async def _jump(self, turn_id: str | None) -> None:
        """Scroll to a turn, for example a search result."""
        conversation = self._conversation
        if not turn_id or conversation is None:
            return
        try:
            turn = await self._chat.lead_to(conversation, turn_id)
        except WiresideError:
            return  # the turn is gone: show the conversation only
        await self._update_shape(conversation)
        self._transcript.jump(turn.depth)

    def _on_change(self, turn_id: str | None) -> None:
        if turn_id is None:
            self._is_shape_new = True
        else:
            self._changed.add(turn_id)
        self._wake.set()

    # ---- following ---------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Update the page whenever something is new, at most once per ``TICK_S``."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._client.has_socket_connection:
                continue  # missed changes stay in the log; connecting sets the event
            with self._client:
                await self._update()
            await self._rest()

    async def _rest(self) -> None:
        """Wait before the next update.

        The delay is longer for a hidden page, and lasts until a slow connection has taken its
        messages.
        """
        await asyncio.sleep(TICK_S)
        await self._until_taken()
        with suppress(TimeoutError):
            async with asyncio.timeout(UNSEEN_TICK_S - TICK_S):
                await self._is_seen.wait()

    async def _until_taken(self) -> None:
        while self._is_behind():  # noqa: ASYNC110  # a queue has no event for becoming empty
            await asyncio.sleep(TICK_S)

    def _is_behind(self) -> bool:
        return self._client.has_socket_connection and untaken(self._client) > BACKLOG

    def _see(self, is_seen: bool) -> None:
        if is_seen:
            self._is_seen.set()
        else:
            self._is_seen.clear()

    async def _update(self) -> None:
        """Send all changes since the last update."""
        self._list.update()
        self._saving.set_visibility(self._chat.saving.is_behind)
        conversation = self._conversation
        if conversation is None:
            return
        try:
            if self._is_shape_new:
                await self._update_shape(conversation)
            while self._changed and conversation is self._conversation:
                await self._update_turn(conversation, self._changed.pop())
        except StoreError:
            self._is_shape_new = True  # retried until the store can be read
            self._wake.set()
        for follower in tuple(self._followers.values()):
            await self._update_answer(follower)
        if self._tell_answering():
            await self._show_allowance()

    async def _update_shape(self, conversation: Conversation) -> None:
        """Show turns of another branch, new turns and turns that moved."""
        self._is_shape_new = False
        if conversation.is_deleted:
            return await self._change_to(conversation.id)
        self._show_title()
        self._show_choice(conversation)
        path, total = conversation.path(), conversation.total
        kept = tree.shared(self._path, path)
        if conversation.removals != self._removals:
            kept = max(0, min(kept, total - WAITING_TURNS))
        if kept == total == self._total:
            return
        last = min(total, kept + PAGE_SIZE) - 1
        turns = await self._turns(conversation, kept, last)
        if conversation is not self._conversation:
            return
        rows = self._give(turns)
        if kept == self._total and total == kept + len(rows):
            for row in rows:
                self._transcript.append(row)
        else:
            self._transcript.replace_from(kept, rows, total)
        self._path, self._total, self._removals = path, total, conversation.removals
        for follower in tuple(self._followers.values()):
            if not conversation.shows(follower.turn):
                self._forget(follower.turn.id)
        self._welcome.show("hidden" if total else "empty")

    async def _update_turn(self, conversation: Conversation, turn_id: str) -> None:
        if turn_id not in self._marks:
            return  # the browser requests it when it is scrolled to
        try:
            turn = await self._library.turn(conversation, turn_id)
        except NotFound:
            return
        if turn.is_live:
            self._see_to(turn)
        else:
            self._update_state(turn)

    def _see_to(self, turn: Turn) -> None:
        """Ensure that the answer in progress of ``turn`` has a follower."""
        known = self._followers.get(turn.id)
        if known is None or known.first is not turn.segments[0]:
            self._forget(turn.id)
            goes_on = self._marks[turn.id][1] == turn.segments[0].name
            if goes_on:  # the follower replaces the text, so that it does not disappear briefly
                self._transcript.change(turn.id, reasoning="", tools=[], error="")
            else:
                self._transcript.change(turn.id, html="", reasoning="", tools=[], error="")
            self._followers[turn.id] = self._follower(turn, goes_on=goes_on)
        self._tell_growing(turn)

    def _follower(self, turn: Turn, *, goes_on: bool = False) -> Follower:
        self._wake.set()
        return Follower(turn, self._markup, self._wake.set, goes_on=goes_on)

    async def _update_answer(self, follower: Follower) -> None:
        turn = follower.turn
        reasoning, tools, has_ended = follower.take()
        if follower.work <= LOOP_CHARS:
            ops = follower.flush()
        else:
            ops = await aside_short(follower.flush)
            if self._followers.get(turn.id) is not follower:
                return  # the page shows something else meanwhile
        self._tell_growing(turn)
        self._transcript.ops(turn.id, ops, reasoning)
        if tools is not None:
            self._transcript.change(turn.id, tools=tools)
        if has_ended:
            self._forget(turn.id)
            self._update_state(turn)
            if turn.is_live:  # continued meanwhile
                self._on_change(turn.id)
        elif follower.has_more:
            self._wake.set()

    def _tell_growing(self, turn: Turn) -> None:
        mark = self._mark(turn)
        if self._marks.get(turn.id) != mark and turn.is_live:
            self._marks[turn.id] = mark
            self._transcript.change(turn.id, state=state_of(turn), model=self._model(turn))

    def _update_state(self, turn: Turn) -> None:
        mark = self._mark(turn)
        before = self._marks.get(turn.id)
        if before is None or mark == before or turn.id in self._followers:
            return  # the end is sent after all text
        self._marks[turn.id] = mark
        row = self._row(turn, chars=0)
        self._transcript.change(
            turn.id,
            state=row.state,
            error=row.error,
            retry_after=row.retry_after,
            sibling=row.sibling,
            siblings=row.siblings,
            feedback=row.feedback,
            model=row.model,
        )
        if before[1:3] != mark[1:3]:  # an answer without a follower: it ended immediately
            self._transcript.change(turn.id, reasoning=row.reasoning, tools=list(row.tools))
            self._give_late(turn)

    def _tell_answering(self) -> bool:
        """Report to the composer whether an answer is in progress; return whether it changed."""
        is_answering = bool(self._followers)
        is_new = is_answering != self._is_answering
        if is_new:
            self._is_answering = is_answering
            self._composer.answering(is_answering)
        return is_new

    def _forget(self, turn_id: str) -> None:
        if follower := self._followers.pop(turn_id, None):
            follower.close()

    # ---- rows --------------------------------------------------------------------------------

    async def _turns(self, conversation: Conversation, first: int, last: int) -> list[Turn]:
        return await self._library.turns(conversation, max(0, first), last)

    def _give(self, turns: Sequence[Turn]) -> list[Row]:
        """Return the rows of turns and start followers for answers in progress."""
        for turn in turns:
            self._forget(turn.id)
            self._marks.pop(turn.id, None)
            self._marks[turn.id] = self._mark(turn)
            if turn.is_live:
                self._followers[turn.id] = self._follower(turn)
        while len(self._marks) > MARKS:
            self._marks.popitem(last=False)
        rows: list[Row] = []
        late: list[Turn] = []
        left, allowance = READY_CHARS, HighlightBudget()
        for turn in reversed(turns):  # the last one is visible first
            text = text_of(turn, self._language)
            left -= len(text)
            is_late = len(text) > BEGINNING_CHARS and (left < 0 or not are_lexers_ready(text))
            rows.append(self._row(turn, allowance, BEGINNING_CHARS if is_late else None))
            if is_late:
                late.append(turn)
        self._give_late(*late)
        return rows[::-1]

    def _row(
        self, turn: Turn, allowance: HighlightBudget | None = None, chars: int | None = None
    ) -> Row:
        return row_of(
            turn,
            self._markup,
            self._language,
            place=self._place(turn),
            allowance=allowance,
            chars=chars,
            names=self._names(),
        )

    def _model(self, turn: Turn) -> str:
        return model_of(turn, self._names())

    def _names(self) -> dict[str, str]:
        return {model.id: model.name for model in self._offered}

    def _give_late(self, *turns: Turn) -> None:
        """Queue whole answers for rendering; those requested last are rendered first."""
        self._late = {turn.id: turn for turn in turns} | self._late
        self._is_late.set()

    async def _make_late(self) -> None:
        """Render the queued whole answers in a thread and send them."""
        while True:
            await self._is_late.wait()
            while self._late:
                turn = self._late.pop(next(iter(self._late)))
                text = text_of(turn, self._language)
                html = await aside(render, text, self._markup)
                if turn.id in self._marks and text_of(turn, self._language) == text:
                    with self._client:
                        self._transcript.change(turn.id, html=html)
                await self._until_taken()
            self._is_late.clear()

    def _place(self, turn: Turn) -> tuple[int, int]:
        return self._conversation.siblings(turn) if self._conversation else (0, 1)

    def _mark(self, turn: Turn) -> Mark:
        """Return everything that determines how a turn is shown, except its text."""
        first = turn.segments[0].name if turn.segments else None
        shown = (self._place(turn), turn.feedback)
        return (state_of(turn), first, len(turn.segments), shown)

    async def _give_rows(self, page: int) -> None:
        if self._conversation is None:
            return
        first = page * PAGE_SIZE
        try:
            turns = await self._turns(self._conversation, first, first + PAGE_SIZE - 1)
        except StoreError as error:
            self._composer.tell(sentence_in(self._language, error))
            self._transcript.miss(page)
        else:
            self._transcript.put(page, self._give(turns))

    async def _find_text(self, query: str) -> None:
        """Search all turns of the shown path for ``query``; a newer search cancels an older one."""
        conversation, self._sought = self._conversation, query
        wanted = folded(query)
        places: list[int] = []
        if conversation is None or not wanted:
            return
        place = 0
        try:
            async for record in self._library.walk(conversation, "shown"):
                if self._sought != query or conversation is not self._conversation:
                    return
                turn = conversation.known(record.id)
                text = turn.text if turn else _answer_in(record)
                if await aside(contains, wanted, (record.question, text)):
                    places.append(place)
                if len(places) == MAX_FOUND:
                    break
                place += 1
        except StoreError as error:
            self._composer.tell(sentence_in(self._language, error))
        else:
            self._transcript.found_in(query, places)

    async def _answer_text(self, row_id: str) -> str:
        if self._conversation is None:
            return ""
        try:
            return (await self._library.turn(self._conversation, row_id)).text
        except WiresideError:
            return ""

    # ---- models ------------------------------------------------------------------------------

    async def _show_models(self) -> None:
        """Show the models; until they are available, show the error and retry with back-off."""
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
                self._offered = models
                with self._client:
                    self._picker.show(models)
                    self._welcome.show_problem("")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._look_again.wait()
            self._look_again.clear()
            pause_s = min(2 * pause_s, longest_s)

    # ---- user actions; all arguments are untrusted -------------------------------------------

    async def _choose(self, conversation_id: str, options: Options) -> None:
        """Store the model and settings chosen for a conversation."""
        conversation = self._conversation
        if conversation is not None and conversation.id == conversation_id:
            self._options = options  # before the first await: the next event may use them
        try:
            if conversation is None or conversation.id != conversation_id:
                conversation = await self._library.open(conversation_id)
            if conversation is not None:
                await self._chat.choose(conversation, options)
        except WiresideError as error:
            self._composer.tell(sentence_in(self._language, error))

    def _show_choice(self, conversation: Conversation) -> None:
        """Show the model and settings that another page has chosen for the conversation."""
        if conversation.options is not None and conversation.options != self._options:
            self._options = conversation.options
            self._composer.set_choice(conversation.id, self._options)

    def _effective_options(self) -> Options:
        """Return the options that the browser shows, with an unavailable model replaced.

        The replacement is the default model.
        """
        ids = [model.id for model in self._offered]
        if not ids or self._options.model in ids:
            return self._options
        return replace(self._options, model=ids[0])

    async def _send(self, sending: Sending) -> None:
        conversation = self._conversation
        if sending.invalid:
            sentence = self._words[f"invalid_{sending.invalid}"]
            return self._composer.refused(sending.turn_id, sentence)
        try:
            is_new = conversation is None
            if conversation is None:
                conversation = await self._chat.conversation_for(sending.turn_id)
                await self._attach(conversation)
            if sending.edits is not None:
                await self._chat.edit(
                    conversation,
                    sending.edits,
                    sending.question,
                    new_turn_id=sending.turn_id,
                    options=sending.options,
                )
            else:
                await self._chat.send(
                    conversation,
                    sending.question,
                    turn_id=sending.turn_id,
                    options=sending.options,
                )
        except WiresideError as error:
            sentence = sentence_in(self._language, error)
            self._composer.refused(sending.turn_id, sentence, error.retry_after)
        else:
            self._composer.accepted(sending.turn_id, conversation.id)
            if is_new:
                self._options = sending.options
                self._composer.set_choice(conversation.id, sending.options)
            await self._show_allowance()
            self._list.set_current(conversation.id)

    async def _show_allowance(self) -> None:
        """Show the limits that are nearly used up."""
        left = await self._chat.allowance()
        said = [
            self._words[f"left_{what}"].format(count=f"{count:,}")
            for what, count, limit in (
                ("messages", left.messages_left, left.messages_limit),
                ("tokens", left.tokens_left, left.tokens_limit),
                ("streams", left.streams_left, left.streams_limit),
            )
            if count is not None and limit is not None and count <= limit * NEARLY
        ]
        sentence = " · ".join(said)
        if sentence != self._said_left:
            self._said_left = sentence
            self._composer.allow(sentence)

    async def _stop(self) -> None:
        conversation = self._conversation
        try:
            for turn in tuple(conversation.live.values()) if conversation else ():
                if conversation and conversation.shows(turn):
                    await self._chat.stop(turn.segments[-1])
        except WiresideError as error:
            self._composer.tell(sentence_in(self._language, error))

    async def _edit_last(self) -> None:
        if self._conversation is None:
            return
        try:
            turns = await self._turns(self._conversation, self._total - 1, self._total - 1)
        except StoreError as error:
            self._composer.tell(sentence_in(self._language, error))
        else:
            for turn in turns:
                self._composer.edit(turn.id, turn.question)

    async def _act(self, action: Action) -> None:
        if self._conversation is None or self._is_repeated(action):
            return
        try:
            turn = await self._library.turn(self._conversation, action.row_id)
            await self._do(self._conversation, turn, action)
        except NotFound:
            self._on_change(None)  # another tab was faster: show the current state
        except WiresideError as error:
            self._composer.tell(sentence_in(self._language, error), error.retry_after)
            if action.row_id in self._marks:  # the browser already shows the action as done
                self._marks[action.row_id] = UNKNOWN
                self._on_change(action.row_id)

    def _is_repeated(self, action: Action) -> bool:
        """Return whether a costly action was repeated, by a double click or a held key."""
        if action.name not in COSTLY:
            return False
        now = asyncio.get_running_loop().time()
        act = (action.name, action.row_id)
        is_repeated = self._last_act[0] == act and now - self._last_act[1] < REPEAT_S
        self._last_act = act, now
        return is_repeated

    async def _do(self, conversation: Conversation, turn: Turn, action: Action) -> None:
        match action.name:
            case "retry":
                if not action.automatic or retry_after(turn) is not None:
                    await self._chat.retry(conversation, turn.id, self._effective_options())
            case "continue":
                options = self._effective_options()
                await self._chat.continue_answer(conversation, turn.id, options)
            case "stop":
                if turn.is_live:
                    await self._chat.stop(turn.segments[-1])
            case "withdraw":
                self._composer.put_back(await self._chat.withdraw(conversation, turn.id))
            case "edit":
                self._composer.edit(turn.id, turn.question)
            case "previous" | "next":
                step = 1 if action.name == "next" else -1
                await self._chat.turn_over(conversation, turn.id, step)
            case _:
                await self._chat.judge(conversation, turn.id, _feedback(turn.feedback, action))


def _feedback(before: Feedback | None, action: Action) -> Feedback | None:
    """Return the feedback on an answer after ``action``; None for none."""
    match action.name:
        case "up" | "down":
            return Feedback(action.name, before.words if before else "")
        case "say":
            return replace(before, words=action.words) if before else None
        case _:
            return None


def _answer_in(record: TurnRecord) -> str:
    entries = (entry for segment in record.segments for entry in segment.entries)
    return "".join(entry.text for entry in entries if isinstance(entry, TextDelta))


def _view(conversation: Conversation | None, *, is_missing: bool) -> View:
    if is_missing:
        return "missing"
    return "hidden" if conversation is not None and conversation.total else "empty"
