"""The chat service used by pages and sockets: ask, stop, resume and continue.

A stream belongs to the server, so it continues when its caller disconnects. Streams and
conversations belong to an account; each caller has a ``ChatService`` view (``for_caller``) from
which those of other accounts are not accessible.

A conversation is changed under its lock, by the transitions of ``Conversation``, again if another
server has changed it meanwhile (``OpenConversations.change``). A question is first stored as a
waiting turn; the first waiting turn is answered once no other answer of the conversation is
running, and its end starts the next one (``ConversationRunner``). Each running answer holds a slot
of its owner's concurrent answers (``AnswerSlots``), which is reserved before anything is awaited
and passed on to the next waiting turn.

The operations are in one module a subject: ``streams``, ``asking``, ``versions`` and ``resuming``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from wireside.chat.administration import Administration
from wireside.chat.asking import Asking
from wireside.chat.batches import BatchItem, BatchQuestions, BatchRun
from wireside.chat.compaction import Outcome
from wireside.chat.context import ContextLimit, ContextUse
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.digests import sha256_of_repr
from wireside.chat.follow_ups import ask_for_follow_ups
from wireside.chat.resuming import Resuming
from wireside.chat.streams import Ask, Streams
from wireside.chat.versions import Versions
from wireside.extension.hooks import FeedbackEvent, Start
from wireside.extension.turn import User
from wireside.generation.commits import GroupCommit
from wireside.generation.tasks import runs_to_completion
from wireside.identity import Caller
from wireside.messages import Message, ModelInfo
from wireside.ports.quotas import QuotaState
from wireside.records import Feedback

KEPT_FOLLOW_UPS = 1_000
"""Number of answers whose suggested questions are kept in memory."""


class ChatService(Streams, Asking, Versions, Resuming):
    """The operations available to a user or a program.

    All methods must be called on the event loop; they raise ``Forbidden`` when ``caller`` lacks
    permission.
    """

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

    def start_batch(self, ask: BatchQuestions, *, parallel: int = 1) -> BatchRun:
        """Start a batch, or return the one started earlier by the same request.

        The server asks its questions in order, ``parallel`` of them at once, even if the caller
        disconnects. An error that prevents an answer is the outcome of its question.
        """
        self.caller.require("chat")
        digest = sha256_of_repr(("batch", self.caller.user_id, ask))
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
