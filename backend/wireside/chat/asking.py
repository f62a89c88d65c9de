"""Questions in conversations: ask, queue, withdraw, and the options of the next answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wireside.chat import tree
from wireside.chat.caller_chat import CallerChat
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.dependencies import accepts_images
from wireside.chat.effort import effort_of, parameters_with
from wireside.errors import Conflict, NotFound
from wireside.files.context import check_images
from wireside.files.service import question_parts
from wireside.generation.runner import Stream
from wireside.generation.tasks import runs_to_completion
from wireside.messages import Options
from wireside.parts import STEER, DataPart

NEW = "new"
"""The conversation id that requests a new conversation."""


class Asking(CallerChat):
    """Asks in conversations."""

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
