"""What the operations of ``ChatService`` share: the caller, its rights, and safe changes.

The operations are classes, one a subject: ``Streams``, ``Asking``, ``Versions`` and ``Resuming``.
``ChatService`` inherits from them all, so that pages, sockets and doors have one object.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TypeVar

from wireside.chat.access import Right
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.digests import id_of_key
from wireside.chat.library import Library
from wireside.chat.saved import Presets, Prompts
from wireside.errors import BadMessage, NotFound, TooLarge
from wireside.generation.runner import new_stream_name
from wireside.identity import LOCAL, Caller
from wireside.messages import Options
from wireside.parts import Part
from wireside.ports.observer import Observer, QuestionObserver
from wireside.ports.quotas import Quotas
from wireside.records import TurnAdded

T = TypeVar("T")


class CallerChat:
    """The chat bound to a caller; the subclasses add operations, one subject a module."""

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
        return id_of_key(self.caller.user_id, key, asked)

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
        message: CountedMessage,
    ) -> ConversationTurn:
        """Ask in place of ``turn`` and leave the turns after it, whose answers stop."""
        stops = conversation.stop_from(turn)
        await self._answers.cancel_waiting_from(conversation, turn, self.caller)
        added = conversation.fork_turn(turn, turn_id, question, options, now=self._now())
        asked = await self._store_turn(conversation, added, message)
        self._conversations.publish_events(conversation, stops)
        return asked

    async def _store_turn(
        self, conversation: Conversation, added: TurnAdded, message: CountedMessage
    ) -> ConversationTurn:
        question = message.observer
        if conversation.answers_at_once:
            return await self._answers.add_and_answer(conversation, added, self.caller, question)
        await self._conversations.perform_change(conversation, added)
        turn = await self._conversations.read_turn(conversation, added.record.id)
        self._answers.observe_turn(turn, question)
        return turn

    def _new_message(self) -> CountedMessage:
        return CountedMessage(self._quotas, self.caller, self._watcher)


class CountedMessage:
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
