"""The chat service used by pages and sockets: ask, stop, resume and continue.

A stream belongs to the server, so it continues when its caller disconnects. Streams and
conversations belong to an account; each caller has a ``ChatService`` view (``for_caller``) from
which those of other accounts are not accessible.

A conversation is changed under its lock, by the transitions of ``Conversation``. A question is
first stored as a waiting turn; the first waiting turn is answered once no other answer of the
conversation is running, and its end starts the next one (``ConversationRunner``). Each running
answer holds a slot of its owner's concurrent answers (``AnswerSlots``), which is reserved before
anything is awaited and passed on to the next waiting turn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from wireside.chat.answering import count_tokens, request_chars
from wireside.chat.batches import BatchItem, BatchQuestions, BatchRun
from wireside.chat.context import ContextLimit
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import accepts_images
from wireside.chat.library import Library
from wireside.errors import AlreadyAnswered, BadMessage, NotFound, TooLarge, WiresideError
from wireside.extension.hooks import FeedbackEvent, Start
from wireside.extension.questions import (
    answered,
    answered_files,
    file_answer,
    open_question,
    wants_file,
)
from wireside.extension.turn import User
from wireside.files.context import check_images, with_contents
from wireside.files.service import question_parts
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Stream, new_stream_name
from wireside.generation.tasks import runs_to_completion
from wireside.identity import LOCAL, Caller
from wireside.messages import Message, ModelInfo, Options, RequestContext
from wireside.parts import DataPart, Part, has_files, with_text
from wireside.ports.quotas import QuotaState
from wireside.records import Feedback, TurnAdded

ASKED_TURNS = 50
"""Number of the last shown turns among which a question is looked up by its id."""

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
        if stream := self._asked_before(digest):
            return stream
        with ExitStack() as undo:
            release_slot = self._quotas.acquire_slot(self.caller)
            undo.callback(release_slot)
            model = await self._resolve_model(ask.options)
            sees = partial(accepts_images, self._models, model)
            messages = await with_contents(self.files, ask.messages, can_see=sees)
            await self._quotas.record_message(self.caller)
            if stream := self._asked_before(digest):  # started in the meantime
                return stream
            stream = self._start_stream(replace(ask, messages=messages), model, release_slot)
            undo.pop_all()
        if digest is not None:
            self.core.remember_asked(digest, stream.name)
        return stream

    def start_batch(self, ask: BatchQuestions) -> BatchRun:
        """Start a batch, or return the one started earlier by the same request.

        The server asks its questions one after another, even if the caller disconnects. An error
        that prevents an answer is the outcome of its question.
        """
        self.caller.require("chat")
        digest = _sha256_of_repr(("batch", self.caller.user_id, ask))
        if ask.key is not None and (known := self.core.batches.get(digest)):
            return known
        batch = BatchRun(len(ask.questions), self.core.stopped_at(digest))
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
            if ask.key is not None and batch.stopped_at is not None:
                self.core.remember_stopped(digest, batch.stopped_at)

    async def find_stream(self, name: str) -> Stream:
        """Return the stream of that name, from memory or from the store.

        Raises ``Expired`` for a stream that was never stored and has left the resume window, and
        ``NotFound`` for unknown streams and those of other accounts.
        """
        self.caller.require("read", "chat")
        owner = self.caller.user_id
        if self._runner.stream_in_memory(name) is None and (
            stored := await self._store.read_segment(name)
        ):
            segment, conversation_id = stored
            if await self.library.open_conversation(conversation_id):
                return Stream.from_segment(segment, owner)
        return self._runner.find_stream(name, owner)

    async def stop_stream(self, stream: Stream) -> None:
        """Stop an answer; returns when the upstream response is closed and the end published."""
        self.caller.require("chat")
        stream.stop_answer()
        await stream.wait_ended()

    async def allowance(self) -> QuotaState:
        """Return what the caller may still use."""
        return await self._quotas.allowance(self.caller)

    def _start_stream(self, ask: Ask, model: str, release_slot: Callable[[], None]) -> Stream:
        request = self._rules.model_request(ask.messages, ask.options, model)
        context = RequestContext(
            user_id=self.caller.host_id or self.caller.user_id,
            user_name=self.caller.name,
            user_groups=tuple(sorted(self.caller.groups)),
            options=ask.options.values,
        )
        request = replace(request, context=context)
        stream = self._runner.start_answer(
            request, owner=self.caller.user_id, sanitize=ask.sanitize
        )
        stream.call_at_end(release_slot)
        counting = count_tokens(self._quotas, self.caller, stream, request_chars(request))
        self.core.start_task(counting)
        return stream

    def _asked_before(self, digest: bytes | None) -> Stream | None:
        if digest is None or (name := self.core.asked_stream(digest)) is None:
            return None
        try:
            return self._runner.find_stream(name, self.caller.user_id)
        except WiresideError:  # it has left the resume window, so the key may be used again
            self.core.forget_asked(digest)
            return None

    # ---- conversations -----------------------------------------------------------------------

    async def conversation_for(self, turn_id: str) -> Conversation:
        """Return a new conversation, or the one that the same first turn started before.

        A page whose acknowledgement was lost sends the turn again.
        """
        self.caller.require("chat")
        name = (self.caller.user_id, turn_id)
        if conversation := self.core.beginning.get(name):
            return conversation
        record = await self._store.read_turn(turn_id)
        if record is not None and (
            known := await self.library.open_conversation(record.conversation_id)
        ):
            return known
        return self.core.beginning.setdefault(name, self.library.new_conversation())

    async def ask_in_conversation(
        self,
        conversation_id: str,
        question: str,
        *,
        key: str | None,
        options: Options,
        attachments: Sequence[str] = (),
    ) -> tuple[Conversation, ConversationTurn]:
        """Ask in the conversation of that id, "new" for a new one.

        The same ``key`` with the same content is asked once. Raises what ``send_question`` does.
        """
        asked = (self.caller.user_id, conversation_id, question, options, key, tuple(attachments))
        turn_id = f"key-{_sha256_of_repr(asked).hex()[:40]}" if key else new_stream_name()
        conversation: Conversation | None
        if conversation_id == NEW:
            conversation = (
                await self.conversation_for(turn_id) if key else self.library.new_conversation()
            )
        else:
            conversation = await self.library.open_conversation(conversation_id)
        if conversation is None:
            raise NotFound("conversation: there is none of that id.")
        turn = await self.send_question(
            conversation, question, turn_id=turn_id, options=options, attachments=attachments
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
    ) -> tuple[Stream, str]:
        """Ask as ``ask_in_conversation`` does and wait until the answer starts.

        Returns its stream and the id of the conversation. Also raises ``NotFound`` if the question
        is withdrawn before that.
        """
        conversation, turn = await self.ask_in_conversation(
            conversation_id, question, key=key, options=options, attachments=attachments
        )
        await self._conversations.wait_until(
            conversation, lambda: not turn.waiting or conversation.is_deleted
        )
        if not turn.segments:
            if conversation.is_deleted:
                raise NotFound("conversation: it was deleted before this was answered.")
            raise NotFound("message: it was taken back before it was answered.")
        return turn.segments[0], conversation.id

    @runs_to_completion
    async def send_question(
        self,
        conversation: Conversation,
        question: str,
        *,
        turn_id: str,
        options: Options,
        attachments: Sequence[str] = (),
    ) -> ConversationTurn:
        """Ask in a conversation. Idempotent for a ``turn_id``: a turn sent twice is asked once.

        While another answer is being generated, the turn waits and starts automatically. Nothing is
        stored if an error is raised. ``attachments`` are ids of files of the caller; with one, the
        text may be blank.

        Raises:
            BadMessage, TooLarge, TooMany, RateLimited, UnknownModel, Overloaded, NotFound,
                StoreError: the question is refused.
        """
        self.caller.require("chat")
        async with self._conversations.transition_lock(conversation):
            if turn := await self._sent_before(conversation, turn_id):
                return turn
            self._check_question(question, has_files=bool(attachments))
            conversation.check_queue()
            files = await self.files.attached_files(attachments)
            parts = question_parts(question, files)
            with self._answers.slots.reserve_slot(conversation, self.caller):
                model = await self._resolve_model(options)
                if files:
                    check_images(files, can_see=await accepts_images(self._models, model))
                await self._quotas.record_message(self.caller)
                added = conversation.append_turn(turn_id, parts, options, now=self._now())
                turn = await self._store_turn(conversation, added)
        self._answers.schedule_next(conversation, self.caller)
        return turn

    @runs_to_completion
    async def withdraw_turn(self, conversation: Conversation, turn_id: str) -> str:
        """Withdraw a waiting turn; returns its question. Raises ``NotFound``."""
        self.caller.require("chat")
        async with self._conversations.transition_lock(conversation):
            turn = await self.library.read_turn(conversation, turn_id)
            await self._conversations.perform_change(conversation, conversation.withdraw_turn(turn))
        return turn.question

    @runs_to_completion
    async def choose_options(self, conversation: Conversation, options: Options) -> None:
        """Store the model and settings for the next answers in a conversation.

        Notifies every page that shows the conversation. Nothing is stored for a conversation
        without turns: its first turn keeps the options that it was asked with.
        """
        self.caller.require("chat")
        async with self._conversations.transition_lock(conversation):
            change = conversation.choose_options(options)
            await self._conversations.perform_change(conversation, change)

    async def options_of(self, conversation: Conversation) -> Options:
        """Return the options for the next answer in a conversation.

        These are the options chosen for it, otherwise those of the last shown turn.
        """
        if conversation.options is not None:
            return conversation.options
        last = conversation.total - 1
        for turn in await self.library.read_turns(conversation, last, last) if last >= 0 else ():
            return replace(turn.options, sanitize=False)
        return Options()

    @runs_to_completion
    async def retry_turn(
        self, conversation: Conversation, turn_id: str, options: Options | None = None
    ) -> ConversationTurn:
        """Answer the same question again, with ``options`` or those of the turn.

        The earlier answer is kept: the new one is a sibling turn, and the turns after it leave the
        shown path. An answer without content is replaced.

        Does nothing while the turn is being answered, or while the same question with the same
        options waits for the first text of an answer: a double click asks once.
        """
        self.caller.require("chat")
        async with self._conversations.transition_lock(conversation):
            turn = await self.library.read_turn(conversation, turn_id)
            if known := conversation.retry_in_progress(turn, options):
                return known
            replaces = not turn.has_content
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=replaces):
                await self._quotas.record_message(self.caller)
                if replaces:
                    await self._answers.start_answer(
                        conversation, turn, self.caller, replaces=True, options=options
                    )
                    return turn
                again = await self._ask_in_place(
                    conversation,
                    turn,
                    turn_id=new_stream_name(),
                    question=turn.question_parts,
                    options=options,
                )
        self._answers.schedule_next(conversation, self.caller)
        return again

    @runs_to_completion
    async def edit_turn(
        self,
        conversation: Conversation,
        turn_id: str,
        question: str,
        *,
        new_turn_id: str,
        options: Options | None = None,
    ) -> ConversationTurn:
        """Ask a changed question in place of a turn, with ``options`` or those of the turn.

        The turns after it leave the shown path. Raises the errors of ``send_question``.
        """
        self.caller.require("chat")
        async with self._conversations.transition_lock(conversation):
            if known := await self._sent_before(conversation, new_turn_id):
                return known
            turn = await self.library.read_turn(conversation, turn_id)
            self._check_question(question, has_files=has_files(turn.question_parts))
            with self._answers.slots.reserve_slot(conversation, self.caller):
                await self._resolve_model(options or turn.options)
                await self._quotas.record_message(self.caller)
                parts = with_text(turn.question_parts, question)
                edited = await self._ask_in_place(
                    conversation, turn, turn_id=new_turn_id, question=parts, options=options
                )
        self._answers.schedule_next(conversation, self.caller)
        return edited

    @runs_to_completion
    async def continue_answer(
        self, conversation: Conversation, turn_id: str, options: Options | None = None
    ) -> None:
        """Continue an answer that was cut off, with ``options`` or those of the turn."""
        self.caller.require("chat")
        async with self._conversations.transition_lock(conversation):
            turn = await self.library.read_turn(conversation, turn_id)
            if not turn.can_continue:
                return
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await self._quotas.record_message(self.caller)
                await self._answers.start_answer(
                    conversation, turn, self.caller, continues=True, options=options
                )

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
        async with self._conversations.transition_lock(conversation):
            turn = await self._asking_turn(conversation, turn_id, part_id)
            if turn.is_live:
                raise AlreadyAnswered
            question = open_question(turn.answer)
            if question is None or question.id != part_id:
                raise AlreadyAnswered
            if wants_file(question):
                value = await self._file_answer(question, value)
            given = answered(question, value).part
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await self._answers.start_answer(
                    conversation,
                    turn,
                    self.caller,
                    continues=True,
                    answer=json.dumps(value),
                    files=answered_files((*turn.answer, given)),
                )
        return turn

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
            turns = [await self.library.read_turn(conversation, turn_id)]
        else:
            last = conversation.total - 1
            turns = await self.library.read_turns(conversation, max(0, last - ASKED_TURNS), last)
        for turn in reversed(turns):
            if any(isinstance(part, DataPart) and part.id == part_id for part in turn.answer):
                return turn
        raise NotFound("part: there is no such question.")

    async def read_data_part(self, turn_id: str, part_id: str) -> DataPart:
        """Return a part of an answer of the caller.

        Raises:
            NotFound: there is no such part.
            StoreError: the store can't be read.
        """
        record = await self._store.read_turn(turn_id)
        conversation = record and await self.library.open_conversation(record.conversation_id)
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
        conversation = await self.library.open_conversation(conversation_id)
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
        async with self._conversations.transition_lock(conversation):
            turn = await self.library.read_turn(conversation, turn_id)
            await self._conversations.perform_change(
                conversation, conversation.show_sibling(turn, step)
            )

    @runs_to_completion
    async def show_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Put a turn on the shown path and return it. Raises ``NotFound``."""
        turn = await self.library.read_turn(conversation, turn_id)
        if self.caller.may("chat"):
            async with self._conversations.transition_lock(conversation):
                await self._conversations.perform_change(conversation, conversation.show_turn(turn))
        return turn

    @runs_to_completion
    async def give_feedback(
        self, conversation: Conversation, turn_id: str, feedback: Feedback | None
    ) -> None:
        """Store feedback on an answer, or remove it, and call the hook. Raises ``NotFound``."""
        self.caller.require("chat")
        turn = await self.library.read_turn(conversation, turn_id)
        await self._conversations.perform_change(
            conversation, conversation.give_feedback(turn, feedback)
        )
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

    async def _resolve_model(self, options: Options) -> str:
        """Return the model that answers. Raises ``UnknownModel``, ``BadMessage`` and others."""
        model = await self._models.resolve_model(options.model)
        self.core.parts.check_options(model, options.values)
        return model

    def _check_question(self, question: str, *, has_files: bool) -> None:
        self._runner.check_accepting()
        if not question.strip() and not has_files:
            raise BadMessage("The message is blank.")
        limit = self._rules.max_message_chars
        if len(question) > limit:
            raise TooLarge(f"The message has {len(question):,} characters; at most {limit:,} fit.")

    async def _sent_before(
        self, conversation: Conversation, turn_id: str
    ) -> ConversationTurn | None:
        conversation.check_not_deleted()
        try:
            return await self.library.read_turn(conversation, turn_id)
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
    ) -> ConversationTurn:
        """Ask in place of ``turn`` and leave the turns after it."""
        added = conversation.fork_turn(turn, turn_id, question, options, now=self._now())
        await self._answers.stop_answers_from(conversation, turn, self.caller)
        return await self._store_turn(conversation, added)

    async def _store_turn(self, conversation: Conversation, added: TurnAdded) -> ConversationTurn:
        question = self._watcher.record_question("turn")
        if conversation.answers_at_once:
            turn = await self._answers.add_and_answer(conversation, added, self.caller, question)
        else:
            await self._conversations.perform_change(conversation, added)
            turn = await self.library.read_turn(conversation, added.record.id)
            self._answers.observe_turn(turn, question)
        self.core.beginning.pop((conversation.info.owner, added.record.id), None)
        return turn


def _request_digest(owner: str, ask: Ask) -> bytes:
    """Identify a request by its owner, its key and its content.

    A key that two clients share by chance, or that one guesses, must not show one of them what the
    other asked.
    """
    return _sha256_of_repr((owner, ask))


def _sha256_of_repr(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()
