"""Presenter of the chat page: the conversation that it shows, and what the user does with it.

Theory of operation: an event of the browser is a call of a method here, which calls the chat
service. Changes come back from the library, the conversation and its answers, which only wake the
page's ``UpdateLoop``; ``update`` then shows them. Methods for events treat their arguments as
untrusted and show errors to the user instead of raising them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from wireside.chat.access import Right
from wireside.chat.conversation import Conversation
from wireside.chat.service import ChatService
from wireside.errors import NotFound, StoreError, WiresideError
from wireside.extension.hooks import Start
from wireside.invisible_text import seen
from wireside.messages import ModelInfo, Options
from wireside.records import Banner, ConversationInfo, Folder, Listing, Preset
from wireside_ui.i18n.catalogue import sentence_in, words_in
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import render
from wireside_ui.presenters.actions import TurnActions
from wireside_ui.presenters.allowance import nearly_used_up
from wireside_ui.presenters.answer import files_of
from wireside_ui.presenters.context import context_row
from wireside_ui.presenters.find import FindPresenter
from wireside_ui.presenters.link import NO_LINK, ChatLink
from wireside_ui.presenters.models import ModelsPresenter
from wireside_ui.presenters.questions import GivenAnswer
from wireside_ui.presenters.rows import Action
from wireside_ui.presenters.sidebar import SidebarPresenter
from wireside_ui.presenters.transcript import LIMITS, TranscriptLimits, TranscriptPresenter
from wireside_ui.presenters.updates import BrowserConnection, UpdateLoop
from wireside_ui.presenters.views import (
    ChatViews,
    ContextRow,
    Sending,
    SharedWith,
    WelcomeState,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a page shows first."""

    conversation: Conversation | None
    options: Options | None
    """The model and settings of the conversation."""
    missing: str
    """Id of the conversation in the page's address if it can't be shown, else ""."""
    problem: StoreError | None
    """Why the conversation can't be read; None if it does not exist."""
    listing: Listing
    preset: Preset | None = None
    """The preset that the user begins new chats with."""
    link_preset: Preset | None = None
    """The preset that the page's address names."""
    folders: Sequence[Folder]
    """The folders of the user."""
    asking: frozenset[str]
    """Ids of the conversations that wait for an answer of the user."""
    has_shared: bool = False
    """Whether others share conversations with the user."""
    shared: SharedWith | None = None
    """Who can see the conversation; None where there are no accounts."""

    @property
    def id(self) -> str:
        """Id of the conversation that is shown, "" for a new one."""
        return self.conversation.id if self.conversation else ""

    @property
    def title(self) -> str:
        """Title of the conversation, "" for a new one."""
        return self.conversation.title if self.conversation else ""

    @property
    def welcome(self) -> WelcomeState:
        """State of the welcome screen."""
        return _welcome(self.conversation, self.missing)


class ChatPresenter:
    """One open page. Call ``connect`` before any other method but ``load``."""

    def __init__(
        self,
        chat: ChatService,
        *,
        markup: Markup,
        language: str,
        base: str,
        connection: BrowserConnection,
        models: Sequence[ModelInfo] = (),
        welcome: str = "",
        limits: TranscriptLimits = LIMITS,
    ) -> None:
        """Create the presenter of a page.

        Args:
            chat: the chat service, bound to the caller.
            markup: renders the answers.
            language: language of the interface.
            base: path that the application is mounted at, without a trailing slash.
            connection: the page's connection to its browser.
            models: the models, if they are known already.
            welcome: the text of an empty chat for all users, Markdown.
            limits: how much of the conversation is sent at once.
        """
        self._chat = chat
        self._markup = markup
        self._language = language
        self._welcome = welcome
        self._options = Options()
        """The model and settings that the browser shows; retries use them."""
        self._temporary: Conversation | None = None
        """The temporary conversation that the page shows, which nothing else holds."""
        self._missing = ""
        """Id of the conversation in the page's address if it does not exist, else ""."""
        self._is_answering = False
        self._allowance = ""
        self._banners = self.banners
        """The banners that the page shows."""
        self._suggesting: asyncio.Task[None] | None = None
        self._context: ContextRow | None = None
        self._context_cause: tuple[object, ...] = ()
        """What the shown use of the context was read for."""
        self._heading: tuple[object, ...] = _heading(None)
        """What the header shows."""
        self._right: Right = "own"
        """What the user may do with the conversation, as the page shows it."""
        self.updates = UpdateLoop(self.update, connection)
        self.models = ModelsPresenter(chat, language, models)
        self.transcript = TranscriptPresenter(
            chat,
            markup=markup,
            language=language,
            base=base,
            updates=self.updates,
            names=lambda: self.models.names,
            limits=limits,
        )
        self.sidebar = SidebarPresenter(
            chat.library,
            language,
            wake=self.updates.wake,
            tell=self._tell,
            on_listed=self._note_listed,
            on_undone=self._come_back,
            on_copied=self._go_to,
        )
        self._find = FindPresenter(chat.library, lambda: self.transcript.conversation)
        self._openings = 0
        """Number of conversations opened so far, to tell whether one was overtaken."""
        self._actions = TurnActions(chat, lambda: self.models.available(self._options))

    async def load(self, conversation_id: str | None, link: ChatLink = NO_LINK) -> Opening:
        """Read what the page shows first."""
        conversation, problem = await self._read(conversation_id or "")
        options = None
        if conversation is not None:
            options = Options()
            with suppress(StoreError):  # the turns can't be read either: ``begin`` raises it
                options = await self._chat.options_of(conversation)
        presets = await self._presets()
        return Opening(
            preset=presets.get(await self._default_preset() if presets else None),
            link_preset=presets.get(link.preset),
            conversation=conversation,
            options=options,
            missing=conversation_id or "" if conversation is None else "",
            problem=problem,
            listing=await self.sidebar.first_page(),
            folders=await self.sidebar.read_folders(),
            asking=await self.sidebar.read_asking(),
            has_shared=await self.sidebar.read_shared(),
            shared=await self._shared_with(conversation),
        )

    async def _presets(self) -> dict[str | None, Preset]:
        """Return the user's presets by id; none if they can't be read."""
        with suppress(WiresideError):
            return {preset.id: preset for preset in await self._chat.presets.list_items()}
        return {}

    async def _default_preset(self) -> str | None:
        with suppress(WiresideError):
            return await self._chat.presets.default_id()
        return None

    def connect(self, views: ChatViews) -> None:
        """Set the elements of the page."""
        self._views = views
        self.transcript.view = views.transcript
        self.sidebar.view = views.sidebar
        self.models.picker, self.models.welcome = views.picker, views.welcome
        self._find.view = views.transcript
        self._actions.composer = views.composer

    async def begin(self, opening: Opening, turn_id: str | None) -> None:
        """Fill the elements, which were created with ``opening``; scroll to a turn.

        Raises:
            StoreError: the turns can't be read.
        """
        self._missing = opening.missing
        if opening.conversation is not None:
            self._heading = _heading(opening.conversation.info)
            self._right = self._chat.library.right_on(opening.conversation) or "own"
        await self._show_allowance()
        if opening.problem:
            self._show_problem(opening.problem)
        if opening.conversation is not None:
            await self._show(opening.conversation)
            await self._jump(turn_id)

    def show_start(self, texts: Start) -> None:
        """Show the texts of an empty chat for this user."""
        text = texts.welcome or self._welcome
        welcome = render(text, self._markup) if text else ""
        self._views.welcome.show_start(welcome, texts.starters)

    def watch(self) -> None:
        """Start watching the library and the store."""
        self.sidebar.begin()
        self._chat.saving.bell.add_listener(self, self.updates.wake)
        if self._chat.administration is not None:
            self._chat.administration.bell.add_listener(self, self.updates.wake)

    def close(self) -> None:
        """End everything that the page has started."""
        if self._suggesting is not None:
            self._suggesting.cancel()
        self.transcript.close()
        self.sidebar.close()
        self._discard_temporary()
        self._chat.saving.bell.remove_listener(self)
        if self._chat.administration is not None:
            self._chat.administration.bell.remove_listener(self)

    async def update(self) -> None:
        """Show all changes since the last update."""
        if await self.sidebar.update():
            await self._show_title()
        self._views.frame.show_saving(self._chat.saving.is_behind)
        self._show_banners()
        conversation = self.transcript.conversation
        if conversation is None:
            return
        is_shape_new = self.transcript.is_shape_new
        if is_shape_new:
            if conversation.is_deleted or self._chat.library.right_on(conversation) is None:
                return await self._change_to(conversation.id)
            self._show_right()
            await self._show_title()
            self._show_choice(conversation)
        await self.transcript.update()
        if is_shape_new and conversation is self.transcript.conversation:
            self._views.welcome.show("hidden" if self.transcript.total else "empty")
        if self._show_answering():
            self._begin_suggesting(conversation)
            await self._show_allowance()
        await self._show_context(conversation)

    def _begin_suggesting(self, conversation: Conversation) -> None:
        """Ask for questions to ask next, after an answer that was shown while it was written."""
        self.transcript.forget_suggestions()
        if self._suggesting is not None:
            self._suggesting.cancel()
            self._suggesting = None
        if self._chat.suggests_follow_ups and not self._is_answering:
            self._suggesting = asyncio.create_task(self._suggest(conversation), name="follow-ups")

    async def _suggest(self, conversation: Conversation) -> None:
        with suppress(WiresideError):
            turn = await self.transcript.last_turn()
            if turn is not None and not turn.is_live:
                questions = await self._chat.follow_ups(conversation, turn)
                is_shown = conversation is self.transcript.conversation
                if is_shown and turn.depth + 1 == conversation.total and not self._is_answering:
                    self.transcript.suggest(turn, questions)

    async def _show_context(self, conversation: Conversation) -> None:
        """Show how much of the model's context is used, if that may have changed."""
        model = self._options.model
        cause = (
            conversation.id,
            conversation.shown,
            conversation.total,
            self.transcript.changed_answers,
            self.models.context_tokens(model),
        )
        if cause == self._context_cause or self._is_answering:
            return
        self._context_cause = cause
        row = None
        try:
            if conversation.total:
                use = await self._chat.context_use(conversation)
                row = context_row(use, self.models.context_tokens(model))
        except WiresideError:
            self._context_cause = ()  # read again with the next change
        if row != self._context and conversation is self.transcript.conversation:
            self._context = row
            self._views.composer.show_context(row)

    @property
    def banners(self) -> Sequence[Banner]:
        """The banners of administrators that are shown now."""
        administration = self._chat.administration
        return () if administration is None else administration.banners

    def _show_banners(self) -> None:
        if (banners := self.banners) != self._banners:
            self._banners = banners
            self._views.banners.show(banners)

    # ---- choice of the conversation ----------------------------------------------------------

    async def open(self, conversation_id: str, turn_id: str | None) -> None:
        """Switch to another conversation ("" for a new one) without a reload; scroll to a turn.

        Has no further effect when another one is opened before its data is read.
        """
        self._openings += 1
        number = self._openings
        shown = self.transcript.conversation
        if shown is None or conversation_id != shown.id:
            await self._change_to(conversation_id)
        if number != self._openings:
            return
        if conversation_id:
            options = self._options if self.transcript.conversation else None
            self._views.composer.set_choice(conversation_id, options)
        await self._jump(turn_id)
        if not conversation_id:
            await self._read_start(number)

    async def _read_start(self, number: int) -> None:
        """Show the texts for this user in a new chat, unless another one was opened meanwhile."""
        if not self._chat.caller.may("chat"):
            return
        texts = await self._chat.read_start_texts()
        if texts is not None and number == self._openings:
            self.show_start(texts)

    async def _change_to(self, conversation_id: str) -> None:
        number = self._openings
        conversation, problem = await self._read(conversation_id)
        if number != self._openings:
            return
        if conversation is not None:
            try:
                await self._show(conversation)
            except StoreError as error:
                conversation, problem = None, error
        if number != self._openings:
            return
        if conversation is None:
            self._options = Options()
            self.transcript.clear()
            self._discard_temporary()
            self._context, self._context_cause = None, ()
            self._views.composer.show_context(None)
            self._show_right()
            await self._show_title()
        self._missing = conversation_id if conversation is None else ""
        self._views.welcome.show(_welcome(conversation, self._missing))
        self._show_problem(problem)
        if self._missing and not problem:
            self._views.composer.lose(conversation_id)
        self.sidebar.set_current(conversation.id if conversation else "")
        self._show_answering()

    async def _read(self, conversation_id: str) -> tuple[Conversation | None, StoreError | None]:
        try:
            found = (
                await self._chat.library.find_readable(conversation_id) if conversation_id else None
            )
        except StoreError as error:
            return None, error
        else:
            return found, None

    async def _show(self, conversation: Conversation) -> None:
        self._options = Options()
        await self.transcript.open(conversation)
        self._discard_temporary()
        if conversation.is_temporary:
            self._temporary = conversation
        self._options = await self._chat.options_of(conversation)
        self._show_right()
        await self._show_title()

    def _discard_temporary(self) -> None:
        """End the temporary conversation that the page has shown, which nobody can open again."""
        if self._temporary is not None and self._temporary is not self.transcript.conversation:
            self._chat.library.discard_temporary(self._temporary)
            self._temporary = None

    async def _jump(self, turn_id: str | None) -> None:
        """Scroll to a turn, for example a search result."""
        conversation = self.transcript.conversation
        if not turn_id or conversation is None:
            return
        with suppress(WiresideError):  # the turn is gone: show the conversation only
            turn = await self._chat.show_turn(conversation, turn_id)
            await self.transcript.update_shape()
            self._views.transcript.jump(turn.depth)

    # ---- questions ---------------------------------------------------------------------------

    async def send(self, sending: Sending) -> None:
        """Ask a question, in a new conversation if none is shown."""
        composer = self._views.composer
        if sending.invalid:
            sentence = words_in(self._language)[f"invalid_{sending.invalid}"]
            return composer.refused(sending.turn_id, sentence)
        before = self.transcript.conversation
        try:
            conversation = await self._ask(sending)
        except WiresideError as error:
            sentence = sentence_in(self._language, error)
            return composer.refused(sending.turn_id, sentence, error.retry_after)
        shown_id = "" if conversation.is_temporary else conversation.id
        composer.accepted(sending.turn_id, shown_id)
        if (conversation is not before or conversation.is_temporary) and not sending.is_once:
            self._options = sending.options
            composer.set_choice(shown_id, sending.options)
        await self._show_allowance()
        self.sidebar.set_current(shown_id)

    async def _ask(self, sending: Sending) -> Conversation:
        conversation = self.transcript.conversation
        if conversation is None or conversation.is_temporary != sending.is_temporary:
            conversation = await self._new_conversation(sending)
            await self._show(conversation)
        if sending.compared and sending.edits is None:
            await self._chat.compare(
                conversation,
                sending.question,
                turn_id=sending.turn_id,
                models=sending.compared,
                options=sending.options,
                attachments=sending.attachments,
            )
        elif sending.edits is None:
            await self._chat.send_question(
                conversation,
                sending.question,
                turn_id=sending.turn_id,
                options=sending.options,
                attachments=sending.attachments,
                steers=sending.steers,
            )
        else:
            await self._chat.edit_turn(
                conversation,
                sending.edits,
                sending.question,
                new_turn_id=sending.turn_id,
                options=sending.options,
                attachments=sending.attachments,
            )
        return conversation

    async def _new_conversation(self, sending: Sending) -> Conversation:
        if sending.is_temporary:
            return self._chat.library.new_temporary_conversation()
        return await self._chat.conversation_for(sending.turn_id)

    async def stop(self) -> None:
        """Stop the answers in progress that are shown."""
        conversation = self.transcript.conversation
        try:
            for turn in tuple(conversation.live.values()) if conversation else ():
                if conversation and self.transcript.shows(turn):
                    await self._chat.stop_stream(turn.segments[-1])
        except WiresideError as error:
            self._tell(error)

    async def compact(self) -> None:
        """Let the model summarise the older turns."""
        composer, words = self._views.composer, words_in(self._language)
        conversation = self.transcript.conversation
        try:
            if conversation is not None:
                outcome = await self._chat.compact(conversation)
                if outcome != "done":
                    composer.tell(words[f"compact_{outcome}"])
        except WiresideError as error:
            self._tell(error)
        finally:
            composer.compacting(False)

    async def edit_last(self) -> None:
        """Load the last question into the composer."""
        try:
            if self._right == "own" and (turn := await self.transcript.last_turn()):
                self._views.composer.edit(turn.id, turn.question, files_of(turn))
        except StoreError as error:
            self._tell(error)

    async def choose(self, conversation_id: str, options: Options) -> None:
        """Store the model and settings chosen for a conversation."""
        conversation = self.transcript.conversation
        if conversation is not None and conversation.id == conversation_id:
            self._options = options  # before the first await: the next event may use them
        try:
            if conversation is None or conversation.id != conversation_id:
                conversation = await self._chat.library.open_conversation(conversation_id)
            if conversation is not None and self._chat.library.right_on(conversation) == "own":
                await self._chat.choose_options(conversation, options)
        except WiresideError as error:
            self._tell(error)

    async def offer_preset(self, conversation_id: str) -> None:
        """Offer the model and settings of a conversation as a preset."""
        try:
            conversation = await self._chat.library.open_conversation(conversation_id)
            if conversation is not None and self._chat.caller.may("chat"):
                self._views.sidebar.offer_preset(await self._chat.options_of(conversation))
        except WiresideError as error:
            self._tell(error)

    # ---- turns -------------------------------------------------------------------------------

    async def act(self, action: Action) -> None:
        """Perform an action on a turn."""
        conversation = self.transcript.conversation
        if conversation is None:
            return
        try:
            await self._actions.perform(conversation, action)
        except NotFound:
            self.transcript.note_change(None)  # another tab was faster: show the current state
        except WiresideError as error:
            self._tell(error)
            self.transcript.resend(action.row_id)

    async def rewrite(self, turn_id: str, text: str, new_turn_id: str) -> str:
        """Put a text in the place of an answer; return why that is not possible, or ""."""
        conversation = self.transcript.conversation
        try:
            if conversation is None:
                raise NotFound
            await self._chat.edit_answer(conversation, turn_id, text, new_turn_id=new_turn_id)
        except WiresideError as error:
            return sentence_in(self._language, error)
        return ""

    async def answer_question(self, answer: GivenAnswer) -> None:
        """Answer the open question of a turn, which then goes on."""
        conversation = self.transcript.conversation
        if conversation is None:
            return
        try:
            await self._chat.answer_question(
                conversation, answer.row_id, answer.part_id, answer.value
            )
        except NotFound:
            self.transcript.note_change(None)
        except WiresideError as error:
            self._tell(error)
            self.transcript.resend(answer.row_id)

    async def give_rows(self, page: int) -> None:
        """Show a page of earlier turns."""
        try:
            await self.transcript.give_rows(page)
        except StoreError as error:
            self._tell(error)

    async def find(self, query: str) -> None:
        """Search the shown turns; a newer search cancels an older one."""
        try:
            await self._find.find(query)
        except StoreError as error:
            self._tell(error)

    async def answer_text(self, turn_id: str) -> str:
        """Return the Markdown of an answer, "" if it can't be read."""
        if self.transcript.conversation is None:
            return ""
        try:
            return (await self._chat.library.read_turn(self.transcript.conversation, turn_id)).text
        except WiresideError:
            return ""

    # ---- elements ----------------------------------------------------------------------------

    def _tell(self, error: WiresideError) -> None:
        self._views.composer.tell(sentence_in(self._language, error), error.retry_after)

    def _show_problem(self, problem: StoreError | None) -> None:
        sentence = sentence_in(self._language, problem) if problem else ""
        self._views.welcome.show_problem(sentence)

    async def _show_title(self) -> None:
        conversation = self.transcript.conversation
        title = seen(conversation.title) if conversation else ""
        if conversation and conversation.is_temporary:
            title = words_in(self._language)["temporary_chat"]
        self._views.frame.set_title(title, len(self.sidebar.asking))
        is_temporary = conversation is not None and conversation.is_temporary
        info = None
        if conversation and not is_temporary:
            info = self._chat.library.view_of(conversation.info)
        heading = _heading(info)
        if heading != self._heading:
            self._heading = heading
            shared = await self._shared_with(conversation)
            if conversation is self.transcript.conversation:
                self._views.header.show(info, shared)

    def _show_right(self) -> None:
        """Show what the user may do with the conversation, if that has changed."""
        conversation = self.transcript.conversation
        right = self._chat.library.right_on(conversation) if conversation else "own"
        if right is not None and right != self._right:
            self._right = right
            self._views.composer.set_right(right)
            self._views.transcript.set_right(right)

    async def _shared_with(self, conversation: Conversation | None) -> SharedWith | None:
        """Return who can see a conversation; None where it can't be shared or that is unknown."""
        library = self._chat.library
        if conversation is None or conversation.is_temporary:
            return None
        right = library.right_on(conversation) or "read"
        if right == "own" and not library.members.is_on:
            return None
        with suppress(StoreError):
            audience = await library.members.audience_of(conversation.info)
            if right != "own":
                return SharedWith(right=right, owner=seen(audience.owner))
            return SharedWith(names=tuple(seen(one.name) for one in audience.members))
        return None

    def _show_choice(self, conversation: Conversation) -> None:
        """Show the model and settings that another page has chosen for the conversation."""
        if self._right != "own":
            return  # the settings of another user stay private
        if conversation.options is not None and conversation.options != self._options:
            self._options = conversation.options
            self._views.composer.set_choice(conversation.id, self._options)

    def _show_answering(self) -> bool:
        """Show whether an answer is in progress; return whether that has changed."""
        is_answering = self.transcript.is_answering
        is_new = is_answering != self._is_answering
        if is_new:
            self._is_answering = is_answering
            self._views.composer.answering(is_answering)
        return is_new

    async def _show_allowance(self) -> None:
        """Show the limits that are nearly used up."""
        sentence = nearly_used_up(await self._chat.allowance(), self._language)
        if sentence != self._allowance:
            self._allowance = sentence
            self._views.composer.allow(sentence)

    def _note_listed(self, conversation_id: str) -> None:
        """Show the new title of the conversation, or reopen it if it was deleted and is back."""
        conversation = self.transcript.conversation
        if conversation is not None and conversation.id == conversation_id:
            self.transcript.note_change(None)  # shows its title
        if conversation_id == self._missing:
            self._come_back(conversation_id)

    def _come_back(self, conversation_id: str) -> None:
        self._views.composer.come_back(conversation_id)

    def _go_to(self, conversation_id: str) -> None:
        self._views.composer.go_to(conversation_id)


def _heading(info: ConversationInfo | None) -> tuple[object, ...]:
    """Return the fields of a conversation that the header shows."""
    if info is None:
        return ()
    is_pinned, is_archived = info.pinned_at is not None, info.archived_at is not None
    return info.id, info.title, is_pinned, is_archived, info.folder_id, info.tags, info.members


def _welcome(conversation: Conversation | None, missing: str) -> WelcomeState:
    if missing:
        return "missing"
    return "hidden" if conversation is not None and conversation.total else "empty"
