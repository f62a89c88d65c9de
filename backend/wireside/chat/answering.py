"""Runs the answers of conversations: starts their streams and waits for their ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from wireside.chat import tree
from wireside.chat.context import answer_messages, context_messages
from wireside.chat.conversation import Conversation, ConversationTurn, options_for
from wireside.chat.dependencies import ChatDependencies, ChatRules, accepts_images
from wireside.chat.models import CallerModels
from wireside.chat.opened import OpenConversations
from wireside.chat.slots import AnswerSlots
from wireside.chat.titles import ask_for_title
from wireside.chat.usage import UsageRecorder
from wireside.errors import Conflict, InternalError, Overloaded, WiresideError
from wireside.files.context import CanSee, with_contents
from wireside.generation.runner import Stream, new_stream_name
from wireside.identity import Caller
from wireside.messages import (
    End,
    Entry,
    Message,
    ModelRequest,
    Options,
    PartDelta,
    RequestContext,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.parts import (
    EDITED,
    DataPart,
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    ToolCallPart,
    is_hidden,
    is_note,
    states_of,
    upload_of,
)
from wireside.ports.observer import QuestionObserver
from wireside.ports.quotas import Quotas
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    Segment,
    TurnAdded,
    TurnRecord,
)

_log = structlog.get_logger(__name__)

GO_ON = Message.of_text(
    "user", "Go on exactly where your answer breaks off. Do not repeat anything of it."
)
"""The instruction sent to a model to continue an answer that was cut off."""


SUCCESSION_S = 1.0
"""How long a server whose answer has ended may take to begin the next one, in seconds."""


class ConversationRunner:
    """Answers the turns of conversations, one after another.

    Each answer is started by the transitions of its conversation, whose lock the caller of a method
    holds unless it says otherwise. Tokens are counted against the ``caller`` that is passed in; for
    a turn that has waited, that is the account that has asked it.
    """

    def __init__(
        self, parts: ChatDependencies, rules: ChatRules, conversations: OpenConversations
    ) -> None:
        self.slots = AnswerSlots(parts.quotas)
        self._rules = rules
        self._conversations = conversations
        self._runner = parts.runner
        self._models_of = partial(CallerModels, parts.models, parts.model_access)
        self._provider = parts.provider
        self._saving = parts.saving
        self._files = parts.files
        self._tasks = parts.tasks
        self._now = parts.wall_clock
        self._quotas = parts.quotas
        self._usage = parts.usage
        self._watcher = parts.watcher
        conversations.follow_elsewhere = self._follow_elsewhere
        self.after_answer: Callable[[Conversation], Awaitable[None]] = _do_nothing
        """Called after each complete answer behind which no question waits."""
        self._questions: WeakKeyDictionary[ConversationTurn, QuestionObserver] = WeakKeyDictionary()
        """Instrumentation of each question whose answer has not started.

        A question may wait and then start in the context of another request.
        """

    def observe_turn(self, turn: ConversationTurn, question: QuestionObserver) -> None:
        """Instrument the answer of a turn that waits by the observer of its question."""
        self._questions[turn] = question

    def schedule_next(self, conversation: Conversation, caller: Caller) -> None:
        """Answer the first waiting turn in a task, unless an answer is running.

        The lock need not be held.
        """
        if conversation.next_turn is not None:
            self._run_in_background(self._answer_next(conversation, caller))

    async def _answer_next(self, conversation: Conversation, caller: Caller) -> None:
        async def answer_waiting() -> None:
            while (turn_id := conversation.next_turn) is not None:
                if self._runner.is_draining:  # the next process answers it
                    break
                turn = await self._conversations.read_waiting_turn(conversation, turn_id)
                asker = _asker_of(conversation, turn, caller)
                self.slots.acquire_due(conversation, asker)
                await self.start_answer(conversation, turn, asker)
            # withdrawn or deleted between two answers, the next turn needs no slot
            self.slots.release_unneeded(conversation)

        try:
            await self._conversations.change(conversation, answer_waiting)
        except Overloaded:  # another server answers it, or the next look for waiting turns
            self.slots.release_unneeded(conversation)

    async def start_answer(
        self,
        conversation: Conversation,
        turn: ConversationTurn,
        caller: Caller,
        *,
        continues: bool = False,
        replaces: bool = False,
        options: Options | None = None,
        answer: str | None = None,
        results: Sequence[ToolDelta] = (),
        files: Sequence[ImagePart | FilePart] = (),
    ) -> None:
        """Start an answer to ``turn``; one that can't start counts as failed.

        Raises ``Conflict`` if the conversation must be loaded again; nothing has changed then.

        Args:
            conversation: the conversation of ``turn``.
            turn: the turn to answer.
            caller: the caller whose request started this answer.
            continues: continue the text of the turn's earlier segments.
            replaces: replace the earlier segments.
            options: used in place of those of the turn.
            answer: the answer to the turn's open question, as JSON text.
            results: the results of the tools that the turn's answer has requested of its client.
            files: the files with which the turn's questions were answered.
        """
        chosen = options_for(turn, options)
        question = self._questions.get(turn) or self._watcher.record_question("again")
        self._questions[turn] = question
        question.in_conversation(conversation.id)
        with question.being_asked():
            what = await self._request_for(
                conversation,
                conversation.branches,
                turn,
                options=chosen,
                caller=caller,
                continues=continues,
                answer=answer,
                results=results,
                files=files,
            )
            await self._start_segment(
                conversation,
                turn,
                what,
                caller,
                replaces=replaces,
                model=chosen.model,
                file_ids=tuple(filter(None, map(upload_of, files))),
                begins_with=results,
            )
        self._questions.pop(turn, None)

    async def add_written(
        self, conversation: Conversation, added: TurnAdded, text: str, model: str
    ) -> ConversationTurn:
        """Add a turn whose answer is ``text``, as its owner has written it.

        Raises the errors of ``OpenConversations.store_together``; nothing has changed then.
        """
        record = added.record
        end = End("stop")
        segment = self._new_segment(record, end, model)
        begun = conversation.begin_answer(record, segment)
        await self._conversations.store_together(conversation, added, begun)
        events = conversation.apply_change(added)
        stream = self._runner.written_answer(
            model,
            (PartDelta(DataPart(kind=EDITED, data="{}", text="(edited)")), TextDelta(text)),
            end,
            owner=conversation.info.owner,
            sanitize=segment.sanitize,
            stored_as=None if conversation.is_temporary else segment.stream,
        )
        events += conversation.start_answer(begun, stream)
        turn = conversation.live[record.id]
        self._conversations.publish_events(conversation, events)
        self._run_in_background(
            self._follow_stream(conversation, turn, stream, owner_of(conversation.info))
        )
        return turn

    async def add_note(
        self, conversation: Conversation, turn: ConversationTurn, part: DataPart
    ) -> Stream:
        """Add a part to an answer that has ended, in a segment with the same end.

        Returns the segment's stream, which ends by itself once the part is committed.

        Raises the errors of ``OpenConversations.store_together``; nothing has changed then.
        """
        before = turn.end or End("stop")
        end = End(before.reason, before.error)
        segment = self._new_segment(turn, end, turn.segments[-1].model)
        begun = conversation.begin_answer(turn, segment)
        await self._conversations.store_together(conversation, begun)
        stream = self._runner.written_answer(
            segment.model,
            (PartDelta(part),),
            end,
            owner=conversation.info.owner,
            sanitize=segment.sanitize,
            stored_as=None if conversation.is_temporary else segment.stream,
        )
        self._conversations.publish_events(conversation, conversation.start_answer(begun, stream))
        caller = owner_of(conversation.info)
        self._run_in_background(
            self._follow_stream(conversation, turn, stream, caller, is_note=True)
        )
        return stream

    async def add_and_answer(
        self,
        conversation: Conversation,
        added: TurnAdded,
        caller: Caller,
        question: QuestionObserver,
    ) -> ConversationTurn:
        """Add a turn that is answered at once: one commit stores it and the start of its answer.

        Raises the errors of ``OpenConversations.store_together``; nothing has changed then.
        """
        record, branch = added.record, added.branch
        question.in_conversation(conversation.id)
        with question.being_asked():
            branches = conversation.branches | {branch.id: branch}
            what = await self._request_for(
                conversation, branches, record, options=record.options, caller=caller
            )
            segment = self._new_segment(record, what, record.options.model)
            begun = conversation.begin_answer(record, segment)
            await self._conversations.store_together(conversation, added, begun)
            events = conversation.apply_change(added)
            stream = self._open_stream(conversation, begun, what, caller)
            events += conversation.start_answer(begun, stream)
        turn = conversation.live[record.id]
        self._conversations.publish_events(conversation, events)
        self._run_in_background(self._follow_stream(conversation, turn, stream, caller))
        return turn

    async def _request_for(
        self,
        conversation: Conversation,
        branches: Mapping[int, Branch],
        turn: ConversationTurn | TurnRecord,
        *,
        options: Options,
        caller: Caller,
        continues: bool = False,
        answer: str | None = None,
        results: Sequence[ToolDelta] = (),
        files: Sequence[ImagePart | FilePart] = (),
    ) -> ModelRequest | End:
        """Return the request that answers a turn of ``branches``, or why there can't be one."""
        try:
            messages, states = await self._context_for(conversation, branches, turn)
            if results:
                messages = (*messages, _with_results(turn.answer, results))
            elif continues and answer is None:
                messages = (*messages, *self._said_before(turn))
            models = self._models_of(caller)
            model = await models.resolve_model(options.model)
            sees = partial(accepts_images, models, model)
            messages = await self._with_files(conversation, messages, sees, caller)
            request = self._rules.model_request(messages, options, model)
            context = RequestContext(
                user_id=caller.host_id or caller.user_id,
                user_name=caller.name,
                user_groups=tuple(sorted(caller.groups)),
                conversation=conversation.id,
                turn=turn.id,
                options=options.values,
                states=states,
                answered_parts=turn.answer if continues else (),
                answer=answer,
                answered_files=await self._contents_of(conversation, files, sees, caller),
            )
            return replace(request, context=context)
        except Conflict:
            raise
        except WiresideError as error:
            return End(None, error)
        except Exception:  # otherwise the turns waiting for this answer would never start
            _log.exception("answer_failed", turn=turn.id)
            return End(None, InternalError())

    def _said_before(self, turn: ConversationTurn | TurnRecord) -> tuple[Message, ...]:
        """Return the messages that let a model continue an answer; none for an empty one."""
        answered = answer_messages(turn.answer, self._rules.history)
        return (*answered, GO_ON) if answered else ()

    async def cancel_waiting_from(
        self, conversation: Conversation, turn: ConversationTurn, caller: Caller
    ) -> None:
        """Cancel the waiting turns of the shown path from ``turn`` on."""
        for waiting_id in tuple(conversation.waiting):
            waiting = await self._conversations.read_waiting_turn(conversation, waiting_id)
            if waiting.depth >= turn.depth and conversation.is_on_shown_path(waiting):
                await self._start_segment(conversation, waiting, End("cancelled"), caller)

    async def _start_segment(
        self,
        conversation: Conversation,
        turn: ConversationTurn,
        what: ModelRequest | End,
        caller: Caller,
        *,
        replaces: bool = False,
        model: str | None = None,
        file_ids: tuple[str, ...] = (),
        begins_with: Sequence[Entry] = (),
    ) -> None:
        """Add a segment to ``turn``: a stream that starts, or one that could not.

        Raises ``Conflict`` if the conversation must be loaded again.
        """
        segment = self._new_segment(turn, what, model)
        begun = conversation.begin_answer(turn, segment, replaces=replaces, file_ids=file_ids)
        try:
            await self._conversations.store_together(conversation, begun)
        except Conflict:
            raise
        except WiresideError as error:
            what = End(None, error)
        except Exception:
            _log.exception("answer_failed", turn=turn.id)
            what = End(None, InternalError())
        stream = self._open_stream(conversation, begun, what, caller, begins_with)
        self._conversations.publish_events(conversation, conversation.start_answer(begun, stream))
        self._run_in_background(self._follow_stream(conversation, turn, stream, caller))

    def _new_segment(
        self, turn: ConversationTurn | TurnRecord, what: ModelRequest | End, model: str | None
    ) -> Segment:
        name = what.model if isinstance(what, ModelRequest) else model or turn.options.model or ""
        return Segment(
            stream=new_stream_name(),
            model=name,
            sanitize=turn.options.sanitize,
            created_at=self._now(),
        )

    def _open_stream(
        self,
        conversation: Conversation,
        begun: AnswerBegun,
        what: ModelRequest | End,
        caller: Caller,
        begins_with: Sequence[Entry] = (),
    ) -> Stream:
        """Start the stream of an answer whose begin is stored; a failure is the stream's end."""
        segment, owner = begun.segment, conversation.info.owner
        stored_as = None if conversation.is_temporary else segment.stream
        if conversation.is_deleted:  # while it was stored
            what = End("cancelled")
        if isinstance(what, ModelRequest):
            try:
                stream = self._runner.start_answer(
                    what,
                    owner=owner,
                    sanitize=segment.sanitize,
                    stored_as=stored_as,
                    begins_with=begins_with,
                )
            except WiresideError as error:
                what = End(None, error)
            except Exception:
                _log.exception("answer_failed", turn=begun.turn_id)
                what = End(None, InternalError())
            else:
                self._run_in_background(
                    count_tokens(self._quotas, self._usage, caller, stream, request_chars(what))
                )
                return stream
        return self._runner.failed_answer(segment.model, what, owner=owner, stored_as=stored_as)

    async def _follow_stream(
        self,
        conversation: Conversation,
        turn: ConversationTurn,
        stream: Stream,
        caller: Caller,
        *,
        is_note: bool = False,
    ) -> None:
        """Wait for the end of an answer, then start the next one. Does not need the lock."""
        self._conversations.announce_answering(conversation)
        try:
            await stream.wait_ended()
        finally:
            events = conversation.end_answer(turn, stream)
            self.slots.release_unneeded(conversation)
            self._conversations.publish_events(conversation, events)
            self._conversations.announce_answering(conversation)
        self.schedule_next(conversation, caller)
        if is_note:
            return await self._saving.wait_until_stream_stored(stream)
        end = stream.log.end
        is_untitled = conversation.info.title_source == "words" and not conversation.is_temporary
        if turn.depth == 0 and is_untitled and end and end.reason:
            await self._name_conversation(conversation, turn)
        if end and end.reason == "stop" and not conversation.waiting:
            await self.after_answer(conversation)
        await self._saving.wait_until_stream_stored(
            stream
        )  # keeps the turn in memory until the store has all of it

    def _follow_elsewhere(
        self, conversation: Conversation, turn: ConversationTurn, stream: Stream
    ) -> None:
        """Follow an answer that another server writes."""
        self._run_in_background(self._wait_for_elsewhere(conversation, turn, stream))

    async def _wait_for_elsewhere(
        self, conversation: Conversation, turn: ConversationTurn, stream: Stream
    ) -> None:
        """Wait for the end of another server's answer, which that server lets the next one follow.

        It may have ended too; each server that has the conversation open then begins the next
        answer, and the store accepts the first.
        """
        await stream.wait_ended()
        events = conversation.end_answer(turn, stream)
        self.slots.release_unneeded(conversation)
        self._conversations.publish_events(conversation, events)
        if conversation.next_turn is not None:
            await asyncio.sleep(SUCCESSION_S)
            self.schedule_next(conversation, owner_of(conversation.info))

    async def _name_conversation(self, conversation: Conversation, turn: ConversationTurn) -> None:
        """Let a model name the conversation after its first answer."""
        if self._rules.title_model is None or not turn.text:
            return
        model = self._rules.title_model or turn.segments[-1].model
        title = await ask_for_title(
            self._provider, model=model, question=turn.question, answer=turn.text
        )
        if not title:
            return

        async def rename() -> None:
            if conversation.info.title_source == "words" and not conversation.is_deleted:
                change = conversation.change_info(title=title, title_source="model")
                await self._conversations.perform_change(conversation, change)

        with suppress(WiresideError):  # the first words remain as its title
            await self._conversations.change(conversation, rename)

    async def _context_for(
        self,
        conversation: Conversation,
        branches: Mapping[int, Branch],
        turn: ConversationTurn | TurnRecord,
    ) -> tuple[tuple[Message, ...], tuple[DataPart, ...]]:
        """Return the context for the model, and the states that the turns before ``turn`` left.

        The context are the last turns before ``turn``, and its question.
        """
        limit = self._rules.history
        first, last = max(0, turn.depth - limit.messages // 2), turn.depth - 1
        spans = tree.clip_spans(tree.path_of_spans(branches, turn.branch), first, last)
        turns = [
            (earlier.question_parts, earlier.answer)
            for earlier in await self._conversations.read_turns(conversation, spans)
        ]
        states: dict[str, DataPart] = {}
        for _, answer in turns:
            states |= states_of(answer)
        return context_messages(turns, turn.question_parts, limit), tuple(states.values())

    async def _with_files(
        self,
        conversation: Conversation,
        messages: tuple[Message, ...],
        sees: CanSee,
        caller: Caller,
    ) -> tuple[Message, ...]:
        """Return messages with the contents of their files, as the model can read them."""
        files = self._files.for_caller(caller).within(conversation.id)
        return await with_contents(files, messages, can_see=sees)

    async def _contents_of(
        self,
        conversation: Conversation,
        files: Sequence[ImagePart | FilePart],
        sees: CanSee,
        caller: Caller,
    ) -> Mapping[str, Part]:
        """Return files with their contents, by their ids."""
        if not files:
            return {}
        asked = (Message("user", tuple(files)),)
        (filled,) = await self._with_files(conversation, asked, sees, caller)
        return {upload_of(file) or "": part for file, part in zip(files, filled.parts, strict=True)}

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work, name="conversation")


def _with_results(answer: Sequence[Part], results: Sequence[ToolDelta]) -> Message:
    """Return an answer as a message, with the results of the tools that it has requested."""
    by_call = {delta.identity: delta for delta in results}
    parts: list[Part] = []
    for part in answer:
        if isinstance(part, ReasoningPart) or is_hidden(part) or is_note(part):
            continue
        if isinstance(part, ToolCallPart):
            done = by_call.get((part.call, part.name, part.arguments))
            part = replace(part, state="done", result=done.result) if done else part
        parts.append(part)
    return Message("assistant", tuple(parts))


async def _do_nothing(_: Conversation) -> None:
    pass


def _asker_of(conversation: Conversation, turn: ConversationTurn, caller: Caller) -> Caller:
    """Return who has asked a turn that waits: ``caller``, or a caller for that account."""
    user_id = turn.asked_by or conversation.info.owner
    if caller.user_id == user_id:
        return caller
    return Caller(user_id=user_id, name="", role="user", is_stand_in=True)


def owner_of(info: ConversationInfo) -> Caller:
    """Return a caller for the owner of a conversation, for work that the server does in it."""
    return Caller(user_id=info.owner, name="", role="user", is_stand_in=True)


async def count_tokens(
    quotas: Quotas, recorder: UsageRecorder, caller: Caller, stream: Stream, request_chars: int
) -> None:
    """Count the tokens of an answer once it has ended, against quotas and in the usage.

    Without usage figures from the model, four characters count as one token.
    """
    await stream.wait_ended()
    end = stream.log.end
    usage = end.usage if end else Usage()
    read = request_chars // 4 if usage.input_tokens is None else usage.input_tokens
    wrote = stream.log.head // 4 if usage.output_tokens is None else usage.output_tokens
    if end is None or end.error is None or wrote:  # a model that did not answer used nothing
        recorder.record_answer(
            caller.user_id,
            stream.model,
            input_tokens=read,
            output_tokens=wrote,
            cost=end.cost if end else None,
        )
    await quotas.record_tokens(caller, read + wrote)


def request_chars(request: ModelRequest) -> int:
    """Return the number of characters of a request's messages."""
    return sum(message.chars for message in request.messages)
