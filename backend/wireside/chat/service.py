"""The chat service used by pages and sockets: ask, stop, resume and continue.

A stream belongs to the server, so it continues when its caller disconnects. Streams and
conversations belong to an account; each caller has a ``ChatService`` view (``for_caller``) from
which those of other accounts are not accessible.

A conversation is changed under its lock, by the transitions of ``Conversation``, again if another
server has changed it meanwhile (``OpenConversations.change``). A question is
first stored as a waiting turn; the first waiting turn is answered once no other answer of the
conversation is running, and its end starts the next one (``ConversationRunner``). Each running
answer holds a slot of its owner's concurrent answers (``AnswerSlots``), which is reserved before
anything is awaited and passed on to the next waiting turn.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import takewhile
from typing import Any, TypeVar

from wireside.chat import tree
from wireside.chat.access import Right
from wireside.chat.administration import Administration
from wireside.chat.answering import count_tokens, request_chars
from wireside.chat.batches import BatchItem, BatchQuestions, BatchRun
from wireside.chat.changes import StopAnswer
from wireside.chat.compaction import Outcome
from wireside.chat.comparison import (
    MAX_MODELS,
    MIN_MODELS,
    compared_part,
    comparison_of,
    is_kept,
    kept_part,
    turn_ids,
    without_comparison,
)
from wireside.chat.context import ContextLimit, ContextUse
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import accepts_images
from wireside.chat.effort import effort_of, parameters_with
from wireside.chat.follow_ups import ask_for_follow_ups
from wireside.chat.instructions import Instruction, instructed
from wireside.chat.library import Library
from wireside.chat.saved import Presets, Prompts
from wireside.errors import (
    AlreadyAnswered,
    BadMessage,
    Conflict,
    Expired,
    Forbidden,
    InvalidAttachment,
    NotFound,
    StoreError,
    TooLarge,
    TooMany,
    WiresideError,
)
from wireside.extension.hooks import FeedbackEvent, Start
from wireside.extension.questions import (
    answered,
    answered_files,
    file_answer,
    open_question,
    wants_file,
)
from wireside.extension.turn import User
from wireside.files.context import CANNOT_SEE, check_images, with_contents
from wireside.files.service import part_of_file, question_parts
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Stream, new_stream_name
from wireside.generation.tasks import runs_to_completion
from wireside.identity import LOCAL, Caller
from wireside.messages import (
    Entry,
    Message,
    ModelInfo,
    ModelRequest,
    Options,
    RequestContext,
    ToolDelta,
)
from wireside.parts import (
    STEER,
    DataPart,
    ImagePart,
    Part,
    ToolCallPart,
    has_files,
    upload_of,
    with_text,
)
from wireside.ports.observer import Observer, QuestionObserver
from wireside.ports.quotas import Quotas, QuotaState
from wireside.records import Feedback, Span, TurnAdded

ASKED_TURNS = 50
"""Number of the last shown turns among which a question is looked up by its id."""

KEPT_FOLLOW_UPS = 1_000
"""Number of answers whose suggested questions are kept in memory."""

MAX_ANSWER_CHARS = 800_000
"""Maximum number of characters of an answer that a user has edited."""

T = TypeVar("T")

NEW = "new"
"""The conversation id that requests a new conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question with its context, outside of any conversation.

    ``messages`` ends with the question. ``key`` is the client's name for the request: the same key
    with the same content is answered once within the resume window.
    """

    messages: tuple[Message, ...]
    options: Options = Options()
    key: str | None = None
    sanitize: bool = False


class ChatService:
    """The operations available to a user or a program.

    All methods must be called on the event loop; they raise ``Forbidden`` when ``caller`` lacks
    permission.
    """

    def __init__(self, core: ChatCore, caller: Caller = LOCAL) -> None:
        self.core = core
        self.caller = caller
        self.library = Library(core, caller)
        """The conversations: lists, search and changes."""
        self.files = self.library.files
        """The files, which questions can refer to."""
        self.prompts = Prompts(core, caller)
        """The prompts that the caller can use."""
        self.presets = Presets(core, caller)
        """The presets that the caller can use."""
        self._conversations = core.conversations
        self._answers = core.answers
        self._rules = core.rules
        self._runner = core.parts.runner
        self._models = core.models_of(caller)
        self._store = core.parts.store
        self._tasks = core.parts.tasks
        self._now = core.parts.wall_clock
        self._quotas = core.parts.quotas
        self._watcher = core.parts.watcher

    def for_caller(self, caller: Caller) -> ChatService:
        """Return a view of the same chat for ``caller``."""
        return ChatService(self.core, caller)

    @property
    def saving(self) -> GroupCommit:
        """Reports whether what is shown is already stored."""
        return self.core.parts.saving

    @property
    def administration(self) -> Administration | None:
        """What administrators set for all; None: nothing."""
        return self.core.parts.administration

    @property
    def history_limit(self) -> ContextLimit:
        """Limits on the context that a model gets."""
        return self._rules.history

    @property
    def max_message_chars(self) -> int:
        """Maximum number of characters in one question."""
        return self._rules.max_message_chars

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models that the caller may use, the default first.

        Raises:
            WiresideError: they can't be listed.
        """
        return await self._models.list_models()

    async def resolve_model(self, name: str | None) -> str:
        """Return the id of the model that answers for a name or an alias; None is the default.

        Raises:
            UnknownModel: there is no such model.
            WiresideError: the models can't be listed.
        """
        return await self._models.resolve_model(name)

    # ---- single questions --------------------------------------------------------------------

    async def start_stream(self, ask: Ask) -> Stream:
        """Start an answer, or return the one started earlier by the same request.

        Returns before the model is called. Raises ``TooMany``, ``RateLimited``, ``UnknownModel``,
        ``BadMessage`` for its options, ``Overloaded``, or the error that prevents the list of
        models from being read.
        """
        self.caller.require("chat")
        with self._watcher.record_question("ask").being_asked():
            return await self._start_or_find(ask)

    async def _start_or_find(self, ask: Ask) -> Stream:
        digest = None if ask.key is None else _request_digest(self.caller.user_id, ask)
        if stream := await self._asked_before(digest):
            return stream
        with ExitStack() as undo:
            release_slot = self._quotas.acquire_slot(self.caller)
            undo.callback(release_slot)
            model = await self._resolve_model(ask.options)
            sees = partial(accepts_images, self._models, model)
            if _has_images(ask.messages[-1]) and await sees() is False:
                raise InvalidAttachment(CANNOT_SEE)
            messages = await with_contents(self.files, ask.messages, can_see=sees)
            await self._quotas.claim_slots(self.caller)
            await self._quotas.record_message(self.caller)
            if stream := await self._asked_before(digest):  # started in the meantime
                return stream
            ask = replace(ask, messages=messages)
            request = self._model_request(ask, model)
            stream = self._runner.prepare_answer(
                request, owner=self.caller.user_id, sanitize=ask.sanitize
            )
            if digest is not None and (known := await self._claim_request(digest, stream)):
                return known
            try:
                self._runner.start_prepared(stream, request)
            except WiresideError:
                if digest is not None:
                    await self.core.forget_asked(digest, stream.name)
                raise
            undo.pop_all()
        stream.call_at_end(release_slot)
        counting = count_tokens(
            self._quotas, self.core.parts.usage, self.caller, stream, request_chars(request)
        )
        self.core.start_task(counting)
        return stream

    async def _claim_request(self, digest: bytes, stream: Stream) -> Stream | None:
        """Make ``stream`` the answer to a request; return the one that another server began."""
        try:
            claimed = await self.core.claim_request(digest, stream.name)
        except BaseException:
            self._runner.discard_prepared(stream)
            raise
        if claimed == stream.name:
            self.core.remember_asked(digest, stream.name)
            return None
        self._runner.discard_prepared(stream)
        return await self._find_unstored(claimed)

    def start_batch(self, ask: BatchQuestions, *, parallel: int = 1) -> BatchRun:
        """Start a batch, or return the one started earlier by the same request.

        The server asks its questions in order, ``parallel`` of them at once, even if the caller
        disconnects. An error that prevents an answer is the outcome of its question.
        """
        self.caller.require("chat")
        digest = _sha256_of_repr(("batch", self.caller.user_id, ask))
        if ask.key is not None and (known := self.core.batches.get(digest)):
            return known
        stopped = self.core.stopped_questions(digest)
        batch = BatchRun(len(ask.questions), parallel=parallel, stopped=stopped)
        if ask.key is not None:
            self.core.batches[digest] = batch
        self.core.start_task(self._run_batch(batch, ask, digest))
        return batch

    async def _run_batch(self, batch: BatchRun, ask: BatchQuestions, digest: bytes) -> None:
        conversation = ask.conversation

        async def start_item(index: int) -> BatchItem:
            nonlocal conversation
            key = None if ask.key is None else f"batch {index} {ask.key}"
            question = ask.questions[index]
            if conversation is None:
                messages, sanitize = (Message.of_text("user", question),), ask.options.sanitize
                stream = await self.start_stream(
                    Ask(messages=messages, options=ask.options, key=key, sanitize=sanitize)
                )
                begun = BatchItem(stream)
            else:
                stream, conversation = await self.answer_in(
                    conversation, question, key=key, options=ask.options
                )
                begun = BatchItem(stream, conversation)
            stream.index = index
            return begun

        try:
            await batch.answer_all(start_item)
        finally:
            if ask.key is not None and batch.stopped:
                self.core.remember_stopped(digest, frozenset(batch.stopped))

    async def find_stream(self, name: str, *, includes_shared: bool = False) -> Stream:
        """Return the stream of that name, from memory or from the store.

        With ``includes_shared``, it may be one of a conversation that others share with the caller,
        who must stop reading it as soon as ``watch_access`` says so.

        Raises ``Expired`` for a stream that was never stored and has left the resume window, and
        ``NotFound`` for unknown streams and those of other accounts.
        """
        self.caller.require("read", "chat")
        owner = self.caller.user_id
        if includes_shared and (conversation := await self._shared_conversation(name)):
            return await self._shared_stream(name, conversation)
        if (stream := self._runner.stream_in_memory(name)) is not None:
            if stream.is_stored and await self._is_deleted(stream):
                raise NotFound
        elif stored := await self._store.read_segment(name):
            segment, conversation_id = stored
            if await self.library.open_conversation(conversation_id):
                return self._conversations.stream_of(segment, owner)
        return await self._find_unstored(name)

    async def _shared_conversation(self, stream: str) -> Conversation | None:
        """Return the conversation of a stream, if it is one that others share with the caller."""
        known = self._runner.stream_in_memory(stream)
        if known is not None and (known.owner == self.caller.user_id or not known.is_stored):
            return None
        place = await self._store.turn_of_stream(stream)
        conversation = place and await self.library.find_readable(place[0])
        is_own = conversation and self.library.right_on(conversation) == "own"
        return None if is_own else conversation or None

    async def _shared_stream(self, name: str, conversation: Conversation) -> Stream:
        if stream := self._runner.stream_in_memory(name):
            return stream
        if stored := await self._store.read_segment(name):
            return self._conversations.stream_of(stored[0], conversation.info.owner)
        raise NotFound

    async def watch_access(
        self, stream: Stream, ended: Callable[[], None], conversation_id: str | None = None
    ) -> Callable[[], None]:
        """Call ``ended`` once the caller may no longer read a stream that others share with it.

        That is when sharing ends, or the conversation is deleted. Returns a function that
        unsubscribes. ``conversation_id`` is that of the stream, if it is known. Raises ``NotFound``
        if the caller may not read it already.
        """
        if stream.owner == self.caller.user_id or not stream.is_stored:
            return lambda: None
        if conversation_id is None:
            conversation = await self._shared_conversation(stream.name)
        else:
            conversation = await self.library.find_readable(conversation_id)
        if conversation is None:
            raise NotFound

        def check(_: str | None) -> None:
            if conversation.is_deleted or self.library.right_on(conversation) is None:
                ended()

        unwatch = self.watch_conversation(conversation, check)
        check(None)
        return unwatch

    async def may_stop(self, stream: Stream) -> bool:
        """Return whether the caller may stop a stream that it reads."""
        if not self.caller.may("chat"):
            return False
        if stream.owner == self.caller.user_id or not stream.is_stored:
            return True
        conversation = await self._shared_conversation(stream.name)
        return conversation is not None and self.library.right_on(conversation) == "reply"

    async def _find_unstored(self, name: str) -> Stream:
        """Return an answer outside of conversations, from the server that has it.

        Raises ``NotFound``, ``Expired`` or ``Overloaded``.
        """
        owner = self.caller.user_id
        try:
            return self._runner.find_stream(name, owner)
        except NotFound:
            if not self.core.is_shared:
                raise
        return await self.core.parts.others.find_answer(name, owner)

    async def _is_deleted(self, stream: Stream) -> bool:
        """Whether the conversation of a stored stream was deleted, or purged since."""
        try:
            place = await self._store.turn_of_stream(stream.name)
            if place is None:
                return stream.log.head > 0  # else it has failed because it could not be stored
            return await self.library.open_conversation(place[0]) is None
        except StoreError:  # what is in memory is readable without the store
            return False

    async def stop_stream(self, stream: Stream) -> None:
        """Stop an answer; returns when the upstream response is closed and the end published."""
        self.caller.require("chat")
        if not await self.may_stop(stream):
            raise Forbidden("This conversation is shared with you to read only.")
        stream.stop_answer()
        await stream.wait_ended()

    async def allowance(self) -> QuotaState:
        """Return what the caller may still use."""
        return await self._quotas.allowance(self.caller)

    async def transcribe(self, recording: bytes) -> str:
        """Return what is spoken in a recording, "" for no speech; it is not kept.

        It counts as a message, and in the usage as an answer of the model that transcribes.

        Raises:
            RateLimited: a quota of the caller is reached.
            WiresideError: see ``CallerFiles.transcribe_recording``.
        """
        owner = self.caller.user_id
        record = partial(self._quotas.record_message, self.caller)
        text, model = await self.files.transcribe_recording(recording, record)
        self.core.parts.usage.record_answer(
            owner, model, input_tokens=0, output_tokens=0, cost=None
        )
        return text

    def _model_request(self, ask: Ask, model: str) -> ModelRequest:
        request = self._rules.model_request(ask.messages, ask.options, model)
        context = RequestContext(
            user_id=self.caller.host_id or self.caller.user_id,
            user_name=self.caller.name,
            user_groups=tuple(sorted(self.caller.groups)),
            options=ask.options.values,
        )
        return replace(request, context=context)

    async def _asked_before(self, digest: bytes | None) -> Stream | None:
        if digest is None or (name := await self.core.asked_stream(digest)) is None:
            return None
        try:
            return await self._find_unstored(name)
        except (NotFound, Expired):  # it has left the resume window: the key may be used again
            await self.core.forget_asked(digest, name)
            return None

    # ---- conversations -----------------------------------------------------------------------

    async def conversation_for(self, turn_id: str) -> Conversation:
        """Return a new conversation, or the one that the same first turn started before.

        A page whose acknowledgement was lost sends the turn again.
        """
        self.caller.require("chat")
        record = await self._store.read_turn(turn_id)
        if record is not None and (
            known := await self.library.open_conversation(record.conversation_id)
        ):
            return known
        return self.library.new_conversation(turn_id)

    async def ask_in_conversation(
        self,
        conversation_id: str,
        question: str,
        *,
        key: str | None,
        options: Options,
        attachments: Sequence[str] = (),
        steers: bool = False,
    ) -> tuple[Conversation, ConversationTurn]:
        """Ask in the conversation of that id, "new" for a new one.

        The same ``key`` with the same content is asked once. Raises what ``send_question`` does.
        """
        asked: tuple[object, ...] = (conversation_id, question, options, tuple(attachments))
        asked += ("steers",) if steers else ()  # keys of earlier questions stay what they were
        turn_id = self._turn_id(key, asked)
        conversation: Conversation | None
        if conversation_id == NEW:
            conversation = (
                await self.conversation_for(turn_id) if key else self.library.new_conversation()
            )
        else:
            conversation = await self.library.find_readable(conversation_id)
        if conversation is None:
            raise NotFound("conversation: there is none of that id.")
        turn = await self.send_question(
            conversation,
            question,
            turn_id=turn_id,
            options=options,
            attachments=attachments,
            steers=steers,
        )
        return conversation, turn

    async def answer_in(
        self,
        conversation_id: str,
        question: str,
        *,
        key: str | None,
        options: Options,
        attachments: Sequence[str] = (),
        steers: bool = False,
    ) -> tuple[Stream, str]:
        """Ask as ``ask_in_conversation`` does and wait until the answer starts.

        Returns its stream and the id of the conversation. Also raises ``NotFound`` if the question
        is withdrawn before that.
        """
        conversation, turn = await self.ask_in_conversation(
            conversation_id,
            question,
            key=key,
            options=options,
            attachments=attachments,
            steers=steers,
        )
        return await self.wait_for_answer(conversation, turn), conversation.id

    async def ask_named(
        self,
        name: str,
        question: str,
        *,
        key: str | None,
        options: Options,
        attachments: Sequence[str] = (),
    ) -> tuple[Conversation, ConversationTurn]:
        """Ask in the conversation that a client's program names, which begins if there is none.

        ``name`` is the id of a conversation of the caller, or any name: the caller's programs find
        the conversation by it again. The same ``key`` with the same content is asked once. Raises
        what ``send_question`` does.
        """
        conversation = await self.library.open_or_create(name)
        asked = (conversation.id, question, options, tuple(attachments))
        turn = await self.send_question(
            conversation,
            question,
            turn_id=self._turn_id(key, asked),
            options=options,
            attachments=attachments,
        )
        return conversation, turn

    async def wait_for_answer(self, conversation: Conversation, turn: ConversationTurn) -> Stream:
        """Wait until the answer to a turn starts, and return its stream.

        Raises ``NotFound`` if the question is withdrawn or the conversation deleted before that.
        """
        await self._conversations.wait_until(
            conversation, lambda: not turn.waiting or conversation.is_deleted
        )
        if not turn.segments:
            if conversation.is_deleted:
                raise NotFound("conversation: it was deleted before this was answered.")
            raise NotFound("message: it was taken back before it was answered.")
        return turn.segments[0]

    def live_stream(self, conversation: Conversation) -> Stream | None:
        """Return the stream of the answer that runs in a conversation, None if none does."""
        return next((turn.segments[-1] for turn in conversation.live.values()), None)

    @runs_to_completion
    async def send_question(
        self,
        conversation: Conversation,
        question: str,
        *,
        turn_id: str,
        options: Options,
        attachments: Sequence[str] = (),
        steers: bool = False,
    ) -> ConversationTurn:
        """Ask in a conversation. Idempotent for a ``turn_id``: a turn sent twice is asked once.

        While another answer is being generated, the turn waits and starts automatically. With
        ``steers`` that answer ends where it is, and the turn goes on from it; turns that wait
        already stay before this one. Nothing is stored if an error is raised. ``attachments`` are
        ids of files of the caller; with one, the text may be blank.

        Raises:
            BadMessage, TooLarge, TooMany, RateLimited, UnknownModel, Overloaded, NotFound,
                StoreError: the question is refused.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def ask() -> ConversationTurn:
            if turn := await self._sent_before(conversation, turn_id):
                if steers and conversation.is_next(turn):
                    # the server that has stored it may have ended before it stopped the answer
                    stop_before(turn)
                return turn
            self._check_question(question, has_files=bool(attachments))
            conversation.check_queue()
            files = await self.files.attached_files(attachments)
            parts = question_parts(question, files)
            if steers and conversation.live:
                parts = (*parts, DataPart(kind=STEER, data="{}"))
            with self._answers.slots.reserve_slot(conversation, self.caller):
                model = await self._resolve_model(options)
                if files:
                    check_images(files, can_see=await accepts_images(self._models, model))
                await message.record()
                added = conversation.append_turn(
                    turn_id, parts, options, now=self._now(), asked_by=self._asker_in(conversation)
                )
                turn = await self._store_turn(conversation, added, message)
            if steers:
                stop_before(turn)
            return turn

        def stop_before(turn: ConversationTurn) -> None:
            self._conversations.publish_events(conversation, conversation.stop_before(turn))

        turn = await self._change(conversation, ask, needs="reply")
        self._answers.schedule_next(conversation, self.caller)
        return turn

    def _asker_in(self, conversation: Conversation) -> str | None:
        """Return the account that asks in a conversation, None for its owner."""
        user_id = self.caller.user_id
        return None if user_id == conversation.info.owner else user_id

    @runs_to_completion
    async def compare(
        self,
        conversation: Conversation,
        question: str,
        *,
        turn_id: str,
        models: Sequence[str],
        options: Options,
        attachments: Sequence[str] = (),
    ) -> ConversationTurn:
        """Ask several models at once; each answers in a version of the turn ``turn_id``.

        Each is a message and takes a slot. Idempotent for ``turn_id``. Returns the first version,
        which is shown.

        Raises:
            BadMessage: the number of models is not from 2 to 4.
            TooMany: an answer is running or a question waits, or there are not enough slots.
            TooLarge, RateLimited, UnknownModel, Overloaded, NotFound, StoreError: the question is
                refused.
        """
        self.caller.require("chat")
        if not MIN_MODELS <= len(set(models)) <= MAX_MODELS:
            raise BadMessage(f"models: expected {MIN_MODELS} to {MAX_MODELS} different ones.")
        chosen = [_options_with(options, model) for model in dict.fromkeys(models)]
        versions = [
            _Version(one_id, one, self._new_message())
            for one_id, one in zip(turn_ids(turn_id, len(chosen)), chosen, strict=True)
        ]

        async def ask() -> ConversationTurn:
            missing = [
                version
                for version in versions
                if await self._sent_before(conversation, version.turn_id) is None
            ]
            if len(missing) == len(versions) and not conversation.answers_at_once:
                raise TooMany("Several models can be asked once the running answer has ended.")
            if missing:
                await self._ask_compared(conversation, turn_id, missing, question, attachments)
            first = await self._conversations.read_turn(conversation, turn_id)
            await self._conversations.perform_change(conversation, conversation.show_turn(first))
            return first

        return await self._change(conversation, ask)

    async def _ask_compared(
        self,
        conversation: Conversation,
        first_id: str,
        versions: Sequence[_Version],
        question: str,
        attachments: Sequence[str],
    ) -> None:
        """Ask versions of one turn at once; what would be refused is refused before the first."""
        self._check_question(question, has_files=bool(attachments))
        files = await self.files.attached_files(attachments)
        parts = (*question_parts(question, files), compared_part(first_id))
        with self._answers.slots.reserve_slot(
            conversation, self.caller, at_once=True, count=len(versions)
        ):
            for version in versions:
                model = await self._resolve_model(version.options)
                if files:
                    check_images(files, can_see=await accepts_images(self._models, model))
            for version in versions:
                await version.message.record()
            for version in versions:
                await self._ask_version(conversation, first_id, version, parts)

    async def _ask_version(
        self, conversation: Conversation, first_id: str, version: _Version, parts: tuple[Part, ...]
    ) -> None:
        now = self._now()
        if version.turn_id == first_id:
            added = conversation.append_turn(first_id, parts, version.options, now=now)
        else:
            first = await self._conversations.read_turn(conversation, first_id)
            added = conversation.fork_turn(first, version.turn_id, parts, version.options, now=now)
        observer = version.message.observer
        await self._answers.add_and_answer(conversation, added, self.caller, observer)

    async def compared_turns(
        self, conversation: Conversation, turn: ConversationTurn
    ) -> list[ConversationTurn]:
        """Return the versions of a turn that models answer side by side, in their order.

        None, if it is no comparison, one was kept, or the conversation has gone on.
        """
        self.library.check_right(conversation, "read")
        first = comparison_of(turn.question_parts)
        if first is None or turn.depth + 1 != conversation.total:
            return []

        async def read() -> list[ConversationTurn]:
            branches = tree.sibling_branches(conversation.branches, turn.branch, turn.depth)
            spans = [Span(branch, turn.depth, turn.depth) for branch in branches]
            return await self._conversations.read_turns(conversation, spans)

        found = await self._conversations.read_current(conversation, read)
        turns = [one for one in found if comparison_of(one.question_parts) == first]
        if len(turns) < MIN_MODELS or any(is_kept(one.answer) for one in turns):
            return []
        order = turn_ids(first, MAX_MODELS)
        return sorted(turns, key=lambda one: order.index(one.id) if one.id in order else len(order))

    @runs_to_completion
    async def keep_answer(self, conversation: Conversation, turn_id: str) -> None:
        """Keep one of the answers that are shown side by side; the conversation goes on from it.

        The others stop and stay as versions. Raises ``NotFound``, ``TooMany`` if it is still being
        written, or ``StoreError``.
        """
        self.caller.require("chat")

        async def keep() -> None:
            turn = await self._conversations.read_turn(conversation, turn_id)
            if not turn.can_continue:
                raise TooMany("The answer is still being written; keep it after its end.")
            turns = await self.compared_turns(conversation, turn)
            if not turns:
                return
            await self._conversations.perform_change(conversation, conversation.show_turn(turn))
            await self._answers.add_note(conversation, turn, kept_part())
            others = [StopAnswer(one.segments[-1]) for one in turns if one.is_live and one != turn]
            self._conversations.publish_events(conversation, others)

        await self._change(conversation, keep)

    async def check_question(
        self, conversation: Conversation, question: str, options: Options, *, file_count: int
    ) -> None:
        """Check a question whose files are not kept yet, so that no file of a refused one is.

        Raises:
            BadMessage, TooLarge, TooMany, UnknownModel, Overloaded, NotFound: ``send_question``
                would refuse it.
        """
        self.caller.require("chat")
        self.library.check_right(conversation, "reply")
        conversation.check_not_deleted()
        conversation.check_queue()
        self._check_question(question, has_files=bool(file_count))
        self.files.check_count(file_count)
        await self._resolve_model(options)

    @runs_to_completion
    async def ask_after(
        self,
        previous_id: str,
        question: str,
        *,
        conversation: Conversation,
        turn_id: str,
        options: Options,
        attachments: Sequence[str] = (),
    ) -> ConversationTurn:
        """Ask after a turn; if others follow it, the question is a sibling of the next one.

        The turns after ``previous_id`` leave the shown path. While another answer is being written,
        the turn waits as in ``send_question``. Idempotent for a ``turn_id``.

        Raises the errors of ``send_question``.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def ask() -> ConversationTurn:
            if turn := await self._sent_before(conversation, turn_id):
                return turn
            self._check_question(question, has_files=bool(attachments))
            conversation.check_queue()
            files = await self.files.attached_files(attachments)
            parts = question_parts(question, files)
            previous = await self._conversations.read_turn(conversation, previous_id)
            with self._answers.slots.reserve_slot(conversation, self.caller):
                model = await self._resolve_model(options)
                if files:
                    check_images(files, can_see=await accepts_images(self._models, model))
                await message.record()
                shown = conversation.show_turn(previous)
                await self._conversations.perform_change(conversation, shown)
                if previous.depth + 1 == conversation.total:
                    added = conversation.append_turn(turn_id, parts, options, now=self._now())
                else:
                    depth = previous.depth + 1
                    spans = tree.clip_spans(conversation.shown_path(), depth, depth)
                    following = await self._conversations.read_turns(conversation, spans)
                    if len(following) != 1:
                        raise Conflict
                    added = conversation.fork_turn(
                        following[0], turn_id, parts, options, now=self._now()
                    )
                return await self._store_turn(conversation, added, message)

        turn = await self._change(conversation, ask)
        self._answers.schedule_next(conversation, self.caller)
        return turn

    @runs_to_completion
    async def withdraw_turn(self, conversation: Conversation, turn_id: str) -> str:
        """Withdraw a waiting turn; returns its question. Raises ``NotFound``."""
        self.caller.require("chat")

        async def withdraw() -> str:
            turn = await self._conversations.read_turn(conversation, turn_id)
            self._check_asker(conversation, turn)
            await self._conversations.perform_change(conversation, conversation.withdraw_turn(turn))
            return turn.question

        return await self._change(conversation, withdraw, needs="reply")

    @runs_to_completion
    async def choose_options(self, conversation: Conversation, options: Options) -> None:
        """Store the model and settings for the next answers in a conversation.

        Notifies every page that shows the conversation. Nothing is stored for a conversation
        without turns: its first turn keeps the options that it was asked with.
        """
        self.caller.require("chat")

        async def choose() -> None:
            change = conversation.choose_options(options)
            await self._conversations.perform_change(conversation, change)

        await self._change(conversation, choose)

    async def options_of(self, conversation: Conversation) -> Options:
        """Return the options for the next answer in a conversation.

        These are the options chosen for it, otherwise those of the last shown turn. In a
        conversation of another account only its model: the owner's settings stay private.
        """
        options = await self._options_of(conversation)
        is_own = self.library.right_on(conversation) == "own"
        return options if is_own else Options(model=options.model)

    async def _options_of(self, conversation: Conversation) -> Options:
        if conversation.options is not None:
            return conversation.options
        last = conversation.total - 1
        for turn in await self.library.read_turns(conversation, last, last) if last >= 0 else ():
            effort = effort_of(turn.options.parameters)
            return replace(turn.options, sanitize=False, parameters=parameters_with("", effort))
        return Options()

    @runs_to_completion
    async def retry_turn(
        self,
        conversation: Conversation,
        turn_id: str,
        options: Options | None = None,
        *,
        new_turn_id: str | None = None,
        instruction: Instruction | None = None,
    ) -> ConversationTurn:
        """Answer the same question again, with ``options`` or those of the turn.

        An ``instruction`` is added to the question as a part of its own; it takes the place of the
        one that an earlier retry has added.

        The earlier answer is kept: the new one is a sibling turn, and the turns after it leave the
        shown path. An answer without content is replaced. The same ``new_turn_id`` makes one
        sibling.

        Does nothing while the turn is being answered, or while the same question with the same
        options waits for the first text of an answer: a double click asks once.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def retry() -> ConversationTurn:
            if new_turn_id and (known := await self._sent_before(conversation, new_turn_id)):
                return known
            turn = await self._conversations.read_turn(conversation, turn_id)
            question = without_comparison(turn.question_parts)
            if instruction is not None:
                question = instructed(question, instruction)
            if known := conversation.retry_in_progress(turn, options, question):
                return known
            replaces = not turn.has_content and instruction is None
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=replaces):
                await message.record()
                if replaces:
                    await self._answers.start_answer(
                        conversation, turn, self.caller, replaces=True, options=options
                    )
                    return turn
                return await self._ask_in_place(
                    conversation,
                    turn,
                    turn_id=new_turn_id or new_stream_name(),
                    question=question,
                    options=options,
                    message=message,
                )

        again = await self._change(conversation, retry)
        self._answers.schedule_next(conversation, self.caller)
        return again

    @runs_to_completion
    async def edit_answer(
        self, conversation: Conversation, turn_id: str, text: str, *, new_turn_id: str
    ) -> ConversationTurn:
        """Put ``text`` in the place of an answer: a sibling of the turn has it, with a mark.

        The original stays as a version of the turn, with the turns after it. Idempotent for
        ``new_turn_id``.

        Raises:
            BadMessage, TooLarge: the text is blank or too long.
            TooMany: the answer is still being written.
            NotFound, Overloaded, StoreError: the answer can't be changed.
        """
        self.caller.require("chat")

        async def edit() -> ConversationTurn:
            if known := await self._sent_before(conversation, new_turn_id):
                return known
            self._check_answer(text)
            turn = await self._conversations.read_turn(conversation, turn_id)
            if not turn.can_continue:
                raise TooMany("The answer is still being written; edit it after its end.")
            stops = conversation.stop_from(turn)
            await self._answers.cancel_waiting_from(conversation, turn, self.caller)
            parts = without_comparison(turn.question_parts)
            added = conversation.fork_turn(turn, new_turn_id, parts, None, now=self._now())
            edited = await self._answers.add_written(
                conversation, added, text, turn.segments[-1].model
            )
            self._conversations.publish_events(conversation, stops)
            return edited

        return await self._change(conversation, edit)

    @property
    def suggests_follow_ups(self) -> bool:
        """Whether questions are suggested after an answer."""
        return self._rules.follow_ups and self.caller.may("chat")

    async def follow_ups(
        self, conversation: Conversation, turn: ConversationTurn
    ) -> tuple[str, ...]:
        """Return up to three questions to ask after a complete answer.

        The model is asked once for each answer, whichever pages show it; its tokens are counted.
        None for temporary conversations.
        """
        if not self.suggests_follow_ups or conversation.is_temporary or not turn.text:
            return ()
        if self.library.right_on(conversation) in (None, "read"):
            return ()
        if turn.end is None or turn.end.reason != "stop":
            return ()
        asked, stream = self.core.follow_ups, turn.segments[-1]
        found = asked.get(stream.name)
        if found is None:
            found = asked[stream.name] = asyncio.get_running_loop().create_future()
            while len(asked) > KEPT_FOLLOW_UPS:
                asked.popitem(last=False)
            self.core.start_task(self._find_follow_ups(turn, stream.model, found))
        return await asyncio.shield(found)

    async def _find_follow_ups(
        self, turn: ConversationTurn, model: str, found: asyncio.Future[tuple[str, ...]]
    ) -> None:
        questions: tuple[str, ...] = ()
        question, answer = turn.question, turn.text
        try:
            questions = await ask_for_follow_ups(
                self.core.parts.provider,
                model=self._rules.title_model or model,
                question=question,
                answer=answer,
            )
        finally:
            found.set_result(questions)
        chars = len(question) + len(answer) + sum(map(len, questions))
        await self._quotas.record_tokens(self.caller, chars // 4)

    async def context_use(self, conversation: Conversation) -> ContextUse:
        """Return how much of the context the next question of a conversation will use."""
        self.caller.require("read", "chat")
        self.library.check_right(conversation, "read")
        return await self.core.compactor.use_of(conversation)

    @runs_to_completion
    async def compact(self, conversation: Conversation) -> Outcome:
        """Let the model of the next answer summarise the older turns of a conversation.

        The summary takes their place in the context of later questions. It counts as a message.

        Raises:
            TooMany, RateLimited, UnknownModel, WiresideError: it can't be written now.
        """
        self.caller.require("chat")
        self.library.check_right(conversation, "own")
        conversation.check_not_deleted()
        model = await self._resolve_model(await self.options_of(conversation))
        await self._quotas.record_message(self.caller)
        return await self.core.compactor.compact(conversation, self.caller, model)

    @runs_to_completion
    async def undo_compaction(self, conversation: Conversation, turn_id: str) -> None:
        """Undo the summary in the answer of a turn. Raises ``NotFound``, ``TooMany``."""
        self.caller.require("chat")
        self.library.check_right(conversation, "own")
        await self.core.compactor.undo(conversation, turn_id)

    @runs_to_completion
    async def edit_turn(
        self,
        conversation: Conversation,
        turn_id: str,
        question: str,
        *,
        new_turn_id: str,
        options: Options | None = None,
        attachments: Sequence[str] | None = None,
    ) -> ConversationTurn:
        """Ask a changed question in place of a turn, with ``options`` or those of the turn.

        ``attachments`` are ids of files that take the place of those of the question; None keeps
        these. The turns after it leave the shown path. Raises the errors of ``send_question``.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def edit() -> ConversationTurn:
            if known := await self._sent_before(conversation, new_turn_id):
                return known
            turn = await self._conversations.read_turn(conversation, turn_id)
            files = await self.files.attached_files(attachments or ())
            parts = without_comparison(turn.question_parts)
            kept = with_text(parts, question if question.strip() else "")
            if attachments is not None:
                others = (part for part in kept if upload_of(part) is None)
                kept = (*others, *map(part_of_file, files))
            self._check_question(question, has_files=has_files(kept))
            with self._answers.slots.reserve_slot(conversation, self.caller):
                model = await self._resolve_model(options or turn.options)
                if files:
                    check_images(files, can_see=await accepts_images(self._models, model))
                await message.record()
                return await self._ask_in_place(
                    conversation,
                    turn,
                    turn_id=new_turn_id,
                    question=kept,
                    options=options,
                    message=message,
                )

        edited = await self._change(conversation, edit)
        self._answers.schedule_next(conversation, self.caller)
        return edited

    @runs_to_completion
    async def continue_answer(
        self, conversation: Conversation, turn_id: str, options: Options | None = None
    ) -> None:
        """Continue an answer that was cut off, with ``options`` or those of the turn."""
        self.caller.require("chat")
        message = self._new_message()

        async def go_on() -> None:
            turn = await self._conversations.read_turn(conversation, turn_id)
            if not turn.can_continue:
                return
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await message.record()
                await self._answers.start_answer(
                    conversation, turn, self.caller, continues=True, options=options
                )

        await self._change(conversation, go_on)

    @runs_to_completion
    async def answer_question(
        self, conversation: Conversation, turn_id: str | None, part_id: str, value: object
    ) -> ConversationTurn:
        """Answer the open question of a turn, which then goes on. The first answer counts.

        Args:
            conversation: the conversation.
            turn_id: the turn; None for the one among the last shown turns that has the question.
            part_id: id of the question.
            value: the answer, of the type that the question wants.

        Raises:
            NotFound: there is no such question.
            AlreadyAnswered: the question was answered before.
            BadMessage, InvalidAttachment: the answer does not fit the question.
            TooMany, Overloaded, StoreError: the answer can't be used now.
        """
        self.caller.require("chat")

        async def answer() -> ConversationTurn:
            turn = await self._asking_turn(conversation, turn_id, part_id)
            self._check_asker(conversation, turn)
            if turn.is_live:
                raise AlreadyAnswered
            question = open_question(turn.answer)
            if question is None or question.id != part_id:
                raise AlreadyAnswered
            its_value = await self._file_answer(question, value) if wants_file(question) else value
            given = answered(question, its_value).part
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await self._answers.start_answer(
                    conversation,
                    turn,
                    self.caller,
                    continues=True,
                    answer=json.dumps(its_value),
                    files=answered_files((*turn.answer, given)),
                )
            return turn

        return await self._change(conversation, answer, needs="reply")

    async def last_turn(self, conversation: Conversation) -> ConversationTurn | None:
        """Return the last shown turn of a conversation, None if it has none."""
        self.caller.require("read", "chat")
        self.library.check_right(conversation, "read")

        async def read() -> ConversationTurn | None:
            last = conversation.total - 1
            if last < 0 or not conversation.is_stored:
                return None
            spans = tree.clip_spans(conversation.shown_path(), last, last)
            turns = await self._conversations.read_turns(conversation, spans)
            return turns[-1] if turns else None

        return await self._conversations.read_current(conversation, read)

    @runs_to_completion
    async def give_results(
        self,
        conversation: Conversation,
        turn_id: str,
        results: Mapping[str, str],
        options: Options,
    ) -> Stream:
        """Give the results of tools that an answer has requested of its client; it goes on.

        Idempotent: the same calls are answered once.

        Args:
            conversation: the conversation.
            turn_id: the turn whose answer has requested the tools.
            results: the results by the ids of the calls.
            options: the options for the rest of the answer.

        Returns:
            The stream of the rest of the answer.

        Raises:
            NotFound: the answer has requested no such call.
            TooMany: the answer is still being written.
            RateLimited, UnknownModel, Overloaded, StoreError: the results can't be used now.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def give() -> Stream:
            turn = await self._conversations.read_turn(conversation, turn_id)
            if known := _stream_after(turn, results.keys()):
                return known
            if turn.is_live:
                raise TooMany("The answer is still being written; give results after its end.")
            done = [
                ToolDelta(part.call, part.name, "done", part.arguments, results[part.call])
                for part in turn.answer
                if isinstance(part, ToolCallPart)
                and part.state == "requested"
                and part.call in results
            ]
            if missing := results.keys() - {delta.call for delta in done}:
                raise NotFound(f"The answer has requested no tool by the id {min(missing)[:64]!r}.")
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await self._resolve_model(options)
                await message.record()
                await self._answers.start_answer(
                    conversation, turn, self.caller, continues=True, options=options, results=done
                )
            return turn.segments[-1]

        return await self._change(conversation, give)

    async def turn_of_stream(self, name: str) -> tuple[Conversation, ConversationTurn]:
        """Return the turn that a stored stream answers. Raises ``NotFound``."""
        self.caller.require("read", "chat")
        if place := await self._store.turn_of_stream(name):
            conversation_id, turn_id = place
            if conversation := await self.library.open_conversation(conversation_id):
                return conversation, await self.library.read_turn(conversation, turn_id)
        raise NotFound

    async def _file_answer(self, question: DataPart, value: object) -> dict[str, Any]:
        """Return an upload as the answer to a question.

        Raises ``BadMessage``, ``NotFound``, ``InvalidAttachment``.
        """
        if not isinstance(value, str):
            raise BadMessage("answer: this question wants the id of an upload.")
        (file,) = await self.files.attached_files([value])
        return file_answer(question, file)

    async def _asking_turn(
        self, conversation: Conversation, turn_id: str | None, part_id: str
    ) -> ConversationTurn:
        """Return the turn that has a question. Raises ``NotFound``."""
        conversation.check_not_deleted()
        if turn_id is not None:
            turns = [await self._conversations.read_turn(conversation, turn_id)]
        else:
            last = conversation.total - 1
            spans = tree.clip_spans(conversation.shown_path(), max(0, last - ASKED_TURNS), last)
            turns = await self._conversations.read_turns(conversation, spans)
        for turn in reversed(turns):
            if any(isinstance(part, DataPart) and part.id == part_id for part in turn.answer):
                return turn
        raise NotFound("part: there is no such question.")

    async def read_data_part(self, turn_id: str, part_id: str) -> DataPart:
        """Return a part of an answer that the caller may read.

        Raises:
            NotFound: there is no such part.
            StoreError: the store can't be read.
        """
        record = await self._store.read_turn(turn_id)
        conversation = record and await self.library.find_readable(record.conversation_id)
        if conversation:
            turn = await self.library.read_turn(conversation, turn_id)
            for part in turn.answer:
                if isinstance(part, DataPart) and part.id == part_id:
                    return part
        raise NotFound("part: there is no such part.")

    async def answer_question_in(
        self, conversation_id: str, part_id: str, value: object
    ) -> tuple[Stream, str]:
        """Answer a question in the conversation of that id; return the stream that goes on.

        Raises the errors of ``answer_question``.
        """
        conversation = await self.library.find_readable(conversation_id)
        if conversation is None:
            raise NotFound("conversation: there is none of that id.")
        turn = await self.answer_question(conversation, None, part_id, value)
        return turn.segments[-1], conversation.id

    @runs_to_completion
    async def show_sibling(self, conversation: Conversation, turn_id: str, step: int) -> None:
        """Show the next (1) or previous (-1) sibling of a turn, and the turns that follow it.

        Does nothing past the first and the last sibling.
        """
        self.caller.require("chat")

        async def show() -> None:
            turn = await self._conversations.read_turn(conversation, turn_id)
            await self._conversations.perform_change(
                conversation, conversation.show_sibling(turn, step)
            )

        await self._change(conversation, show)

    @runs_to_completion
    async def show_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Put a turn on the shown path and return it. Raises ``NotFound``."""
        if not self.caller.may("chat") or self.library.right_on(conversation) != "own":
            return await self.library.read_turn(conversation, turn_id)

        async def show() -> ConversationTurn:
            turn = await self._conversations.read_turn(conversation, turn_id)
            await self._conversations.perform_change(conversation, conversation.show_turn(turn))
            return turn

        return await self._change(conversation, show)

    @runs_to_completion
    async def give_feedback(
        self, conversation: Conversation, turn_id: str, feedback: Feedback | None
    ) -> None:
        """Store feedback on an answer, or remove it, and call the hook. Raises ``NotFound``."""
        self.caller.require("chat")

        async def give() -> None:
            turn = await self._conversations.read_turn(conversation, turn_id)
            given = replace(feedback, at=self._now()) if feedback else None
            change = conversation.give_feedback(turn, given)
            await self._conversations.perform_change(conversation, change)

        await self._change(conversation, give)
        event = FeedbackEvent(
            user=User.of(self.caller),
            conversation=conversation.id,
            turn=turn_id,
            value=feedback.verdict if feedback else None,
            text=feedback.words if feedback else "",
        )
        self.core.start_task(self.core.parts.hooks.feedback(event))

    async def read_start_texts(self) -> Start | None:
        """Return what the caller sees in an empty chat; None for what all users see."""
        return await self.core.parts.hooks.start(User.of(self.caller))

    def watch_conversation(
        self, conversation: Conversation, changed: Callable[[str | None], None]
    ) -> Callable[[], None]:
        """Call ``changed`` on each change of a conversation; returns a function that unsubscribes.

        ``changed`` receives the id of a changed turn, None if the shown turns, the title or the
        options have changed. It must be cheap.
        """
        return self._conversations.watchers.add_watcher(conversation.id, changed)

    # ---- internals -----------------------------------------------------------------------------

    async def _change(
        self,
        conversation: Conversation,
        make_change: Callable[[], Awaitable[T]],
        *,
        needs: Right = "own",
    ) -> T:
        """Change a conversation on which the caller has a right; see ``OpenConversations.change``.

        The right is checked at each attempt. Raises ``NotFound`` or ``Forbidden`` without it.
        """

        async def checked() -> T:
            self.library.check_right(conversation, needs)
            return await make_change()

        return await self._conversations.change(conversation, checked)

    def _check_asker(self, conversation: Conversation, turn: ConversationTurn) -> None:
        """Raise ``Forbidden`` unless the caller owns the conversation or has asked the turn."""
        if turn.asked_by is None or turn.asked_by != self.caller.user_id:
            self.library.check_right(conversation, "own")

    async def _resolve_model(self, options: Options) -> str:
        """Return the model that answers. Raises ``UnknownModel``, ``BadMessage`` and others."""
        model = await self._models.resolve_model(options.model)
        self.core.parts.handlers.check_options(model, options.values)
        return model

    def _turn_id(self, key: str | None, asked: tuple[object, ...]) -> str:
        """Return the id of a new turn: the same for the same key and content."""
        if not key:
            return new_stream_name()
        return f"key-{_sha256_of_repr((self.caller.user_id, key, asked)).hex()[:40]}"

    def _check_question(self, question: str, *, has_files: bool) -> None:
        self._runner.check_accepting()
        if not question.strip() and not has_files:
            raise BadMessage("The message is blank.")
        limit = self._rules.max_message_chars
        if len(question) > limit:
            raise TooLarge(f"The message has {len(question):,} characters; at most {limit:,} fit.")

    def _check_answer(self, text: str) -> None:
        self._runner.check_accepting()
        if not text.strip():
            raise BadMessage("The answer is blank.")
        if len(text) > MAX_ANSWER_CHARS:
            raise TooLarge(
                f"The answer has {len(text):,} characters; at most {MAX_ANSWER_CHARS:,} fit."
            )

    async def _sent_before(
        self, conversation: Conversation, turn_id: str
    ) -> ConversationTurn | None:
        conversation.check_not_deleted()
        try:
            return await self._conversations.read_turn(conversation, turn_id)
        except NotFound:
            return None

    async def _ask_in_place(
        self,
        conversation: Conversation,
        turn: ConversationTurn,
        *,
        turn_id: str,
        question: tuple[Part, ...],
        options: Options | None,
        message: _Message,
    ) -> ConversationTurn:
        """Ask in place of ``turn`` and leave the turns after it, whose answers stop."""
        stops = conversation.stop_from(turn)
        await self._answers.cancel_waiting_from(conversation, turn, self.caller)
        added = conversation.fork_turn(turn, turn_id, question, options, now=self._now())
        asked = await self._store_turn(conversation, added, message)
        self._conversations.publish_events(conversation, stops)
        return asked

    async def _store_turn(
        self, conversation: Conversation, added: TurnAdded, message: _Message
    ) -> ConversationTurn:
        question = message.observer
        if conversation.answers_at_once:
            return await self._answers.add_and_answer(conversation, added, self.caller, question)
        await self._conversations.perform_change(conversation, added)
        turn = await self._conversations.read_turn(conversation, added.record.id)
        self._answers.observe_turn(turn, question)
        return turn

    def _new_message(self) -> _Message:
        return _Message(self._quotas, self.caller, self._watcher)


class _Message:
    """A question, which counts once even if it is stored at a second attempt."""

    def __init__(self, quotas: Quotas, caller: Caller, watcher: Observer) -> None:
        self._quotas = quotas
        self._caller = caller
        self._watcher = watcher
        self._is_recorded = False

    async def record(self) -> None:
        """Count it against the limits of the caller. Raises ``RateLimited`` or ``TooMany``."""
        await self._quotas.claim_slots(self._caller)  # each attempt has a slot of its own
        if not self._is_recorded:
            await self._quotas.record_message(self._caller)
            self._is_recorded = True

    @cached_property
    def observer(self) -> QuestionObserver:
        """The instrumentation of the question."""
        return self._watcher.record_question("turn")


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of a turn that another model answers."""

    turn_id: str
    options: Options
    message: _Message


def _options_with(options: Options, model: str) -> Options:
    """Return options with another model, whose own options are not those of the chosen one."""
    return options if options.model == model else replace(options, model=model, values="")


def _stream_after(turn: ConversationTurn, calls: Collection[str]) -> Stream | None:
    """Return the stream that went on with the results of these calls; None if none did."""
    for stream in turn.segments[1:]:
        given = {
            entry.call
            for entry in takewhile(_is_result, stream.log.entries)
            if isinstance(entry, ToolDelta)
        }
        if given and given == set(calls):
            return stream
    return None


def _has_images(message: Message) -> bool:
    return any(isinstance(part, ImagePart) for part in message.parts)


def _is_result(entry: Entry) -> bool:
    return isinstance(entry, ToolDelta) and entry.state == "done"


def _request_digest(owner: str, ask: Ask) -> bytes:
    """Identify a request by its owner, its key and its content.

    A key that two clients share by chance, or that one guesses, must not show one of them what the
    other asked.
    """
    return _sha256_of_repr((owner, ask))


def _sha256_of_repr(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()
