"""The chat service used by pages and sockets: ask, stop, resume and continue.

A stream belongs to the server, so it continues when its caller disconnects. Streams and
conversations belong to an account; each caller has a ``ChatService`` view (``of``) from which those
of other accounts are not accessible.

A conversation is changed under its lock. A question is first stored as a waiting turn; the first
waiting turn is answered once no other answer of the conversation is running, and its end starts the
next one. Each running answer holds a slot of its owner's concurrent answers (``Quotas.occupy``),
which is reserved before anything is awaited and passed on to the next waiting turn.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

import structlog

from wireside.chat import tree
from wireside.chat.batches import BatchItem, BatchQuestions, BatchRun
from wireside.chat.context import ContextLimit, recent
from wireside.chat.conversation import Conversation, Turn, title_of
from wireside.chat.library import Library
from wireside.chat.titles import ask_for_title
from wireside.errors import (
    BadMessage,
    InternalError,
    NotFound,
    TooLarge,
    TooMany,
    WiresideError,
)
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, Stream, new_name
from wireside.generation.tasks import Tasks, whole
from wireside.identity import LOCAL, Caller
from wireside.messages import End, Message, ModelInfo, ModelRequest, Options, Usage
from wireside.ports.clock import Clock
from wireside.ports.observer import NULL_OBSERVER, Observer, QuestionObserver
from wireside.ports.provider import Provider
from wireside.ports.quotas import Quotas, QuotaState, Unlimited
from wireside.ports.store import Store
from wireside.records import Branch, ConversationInfo, Feedback, Segment, TurnRecord

_log = structlog.get_logger(__name__)

WAITING_TURNS = 20
"""Maximum number of waiting questions in one conversation."""

NEW = "new"
"""The conversation id that requests a new conversation."""

STOPPED_BATCHES = 10_000
"""Number of stopped batches remembered by key, so that one sent again stays stopped."""

GO_ON = Message("user", "Go on exactly where your answer breaks off. Do not repeat anything of it.")
"""The instruction sent to a model to continue an answer that was cut off."""


class Models(Protocol):
    """Lists the available models and resolves their names."""

    async def models(self) -> Sequence[ModelInfo]:
        """Return the available models, the default first. Raises ``WiresideError``."""
        ...

    async def resolve(self, name: str | None) -> str:
        """Return the model to use. Raises ``UnknownModel`` or another ``WiresideError``."""
        ...


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRules:
    """Server-wide limits and defaults."""

    history: ContextLimit = ContextLimit()
    max_message_chars: int = 100_000
    system: str | None = None
    title_model: str | None = None
    """The model that generates titles; "" is the one that answered, None disables titles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDependencies:
    """Dependencies of the service. ``wall_clock`` returns seconds since 1970."""

    runner: Runner
    models: Models
    provider: Provider
    store: Store
    saving: GroupCommit
    tasks: Tasks
    wall_clock: Clock
    quotas: Quotas = Unlimited()
    watcher: Observer = NULL_OBSERVER


class ChatService:
    """The operations available to a user or a program.

    All methods must be called on the event loop; they raise ``Forbidden`` when ``caller`` lacks
    permission.
    """

    def __init__(self, parts: ChatDependencies, rules: ChatRules, caller: Caller = LOCAL) -> None:
        self.caller = caller
        self._runner = parts.runner
        self._models = parts.models
        self._provider = parts.provider
        self._store = parts.store
        self._saving = parts.saving
        self._tasks = parts.tasks
        self._now = parts.wall_clock
        self._quotas = parts.quotas
        self._watcher = parts.watcher
        self._questions: WeakKeyDictionary[Turn, QuestionObserver] = WeakKeyDictionary()
        """Instrumentation of each question whose answer has not started.

        A question may wait and then start in the context of another request.
        """
        self._rules = rules
        self._asked: OrderedDict[bytes, str] = OrderedDict()
        self._beginning: WeakValueDictionary[tuple[str, str], Conversation] = WeakValueDictionary()
        """New conversations by owner and first turn."""
        self._batches: WeakValueDictionary[bytes, BatchRun] = WeakValueDictionary()
        """Running batches by owner, key and content."""
        self._stopped_batches: OrderedDict[bytes, int] = OrderedDict()
        """The index at which a batch with a key was stopped."""
        self.library = Library(
            store=parts.store,
            runner=parts.runner,
            tasks=parts.tasks,
            wall_clock=parts.wall_clock,
            caller=caller,
        )
        """The conversations: lists, search and changes."""

    def of(self, caller: Caller) -> ChatService:
        """Return a view of the same service for ``caller``."""
        chat = copy(self)
        chat.caller = caller
        chat.library = self.library.of(caller)
        return chat

    @property
    def saving(self) -> GroupCommit:
        """Reports whether what is shown is already stored."""
        return self._saving

    @property
    def history_limit(self) -> ContextLimit:
        """Limits on the context that a model gets."""
        return self._rules.history

    @property
    def max_message_chars(self) -> int:
        """Maximum number of characters in one question."""
        return self._rules.max_message_chars

    async def models(self) -> Sequence[ModelInfo]:
        """Return the available models, the default first. Raises ``WiresideError``."""
        return await self._models.models()

    # ---- single questions --------------------------------------------------------------------

    async def ask(self, ask: Ask) -> Stream:
        """Start an answer, or return the one started earlier by the same request.

        Returns before the model is called. Raises ``TooMany``, ``RateLimited``, ``UnknownModel``,
        ``Overloaded``, or the error that prevents the list of models from being read.
        """
        self.caller.require("chat")
        with self._watcher.question("ask").being_asked():
            return await self._ask(ask)

    async def _ask(self, ask: Ask) -> Stream:
        digest = None if ask.key is None else _digest(self.caller.user_id, ask)
        if stream := self._asked_before(digest):
            return stream
        with ExitStack() as undo:
            free = self._quotas.occupy(self.caller)
            undo.callback(free)
            model = await self._models.resolve(ask.options.model)
            await self._quotas.take(self.caller)
            if stream := self._asked_before(digest):  # started in the meantime
                return stream
            stream = self._start(ask, model, free)
            undo.pop_all()
        if digest is not None:
            self._remember(digest, stream)
        return stream

    def ask_all(self, ask: BatchQuestions) -> BatchRun:
        """Start a batch, or return the one started earlier by the same request.

        The server asks its questions one after another, even if the caller disconnects. An error
        that prevents an answer is the outcome of its question.
        """
        self.caller.require("chat")
        digest = _sha256(("batch", self.caller.user_id, ask))
        if ask.key is not None and (known := self._batches.get(digest)):
            return known
        batch = BatchRun(len(ask.questions), self._stopped_batches.get(digest))
        if ask.key is not None:
            self._batches[digest] = batch
        self._soon(self._run_batch(batch, ask, digest))
        return batch

    async def _run_batch(self, batch: BatchRun, ask: BatchQuestions, digest: bytes) -> None:
        conversation = ask.conversation

        async def begin(index: int) -> BatchItem:
            nonlocal conversation
            key = None if ask.key is None else f"batch {index} {ask.key}"
            question = ask.questions[index]
            if conversation is None:
                messages, sanitize = (Message("user", question),), ask.options.sanitize
                stream = await self.ask(
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
            await batch.run(begin)
        finally:
            if ask.key is not None and batch.stopped_at is not None:
                self._stopped_batches[digest] = batch.stopped_at
                while len(self._stopped_batches) > STOPPED_BATCHES:
                    self._stopped_batches.popitem(last=False)

    async def find(self, name: str) -> Stream:
        """Return the stream of that name, from memory or from the store.

        Raises ``Expired`` for a stream that was never stored and has left the resume window, and
        ``NotFound`` for unknown streams and those of other accounts.
        """
        self.caller.require("read", "chat")
        owner = self.caller.user_id
        if self._runner.known(name) is None and (stored := await self._store.segment(name)):
            segment, conversation_id = stored
            if await self.library.open(conversation_id):
                return Stream.restored(segment, owner)
        return self._runner.find(name, owner)

    async def stop(self, stream: Stream) -> None:
        """Stop an answer; returns when the upstream response is closed and the end published."""
        self.caller.require("chat")
        stream.stop()
        await stream.ended()

    async def allowance(self) -> QuotaState:
        """Return what the caller may still use."""
        return await self._quotas.allowance(self.caller)

    async def _count(self, stream: Stream, request_chars: int) -> None:
        """Count the tokens of an answer once it has ended.

        Without usage figures from the model, four characters count as one token.
        """
        await stream.ended()
        usage = stream.log.end.usage if stream.log.end else Usage()
        read = request_chars // 4 if usage.input_tokens is None else usage.input_tokens
        wrote = stream.log.head // 4 if usage.output_tokens is None else usage.output_tokens
        await self._quotas.spend(self.caller, read + wrote)

    def _start(self, ask: Ask, model: str, free: Callable[[], None]) -> Stream:
        request = self._model_request(ask.messages, ask.options, model)
        stream = self._runner.start(request, owner=self.caller.user_id, sanitize=ask.sanitize)
        stream.at_end(free)
        self._soon(self._count(stream, _chars(request)))
        return stream

    async def _request(self, messages: tuple[Message, ...], options: Options) -> ModelRequest:
        return self._model_request(messages, options, await self._models.resolve(options.model))

    def _model_request(
        self, messages: tuple[Message, ...], options: Options, model: str
    ) -> ModelRequest:
        system = options.system
        if system is None and not any(message.role == "system" for message in messages):
            system = self._rules.system
        if system:
            messages = (Message("system", system), *messages)
        return ModelRequest(
            model=model,
            messages=messages,
            temperature=options.temperature,
            max_tokens=options.max_tokens,
        )

    def _asked_before(self, digest: bytes | None) -> Stream | None:
        if digest is None or (name := self._asked.get(digest)) is None:
            return None
        try:
            return self._runner.find(name, self.caller.user_id)
        except WiresideError:  # it has left the resume window, so the key may be used again
            del self._asked[digest]
            return None

    def _remember(self, digest: bytes, stream: Stream) -> None:
        self._asked[digest] = stream.name
        while len(self._asked) > 100_000:
            self._asked.popitem(last=False)

    # ---- conversations -----------------------------------------------------------------------

    async def conversation_for(self, turn_id: str) -> Conversation:
        """Return a new conversation, or the one that the same first turn started before.

        A page whose acknowledgement was lost sends the turn again.
        """
        self.caller.require("chat")
        name = (self.caller.user_id, turn_id)
        if conversation := self._beginning.get(name):
            return conversation
        record = await self._store.turn(turn_id)
        if record is not None and (known := await self.library.open(record.conversation_id)):
            return known
        return self._beginning.setdefault(name, self.library.new())

    async def ask_in(
        self, conversation_id: str, question: str, *, key: str | None, options: Options
    ) -> tuple[Conversation, Turn]:
        """Ask in the conversation of that id, "new" for a new one.

        The same ``key`` with the same content is asked once. Raises the errors of ``send``.
        """
        asked = (self.caller.user_id, conversation_id, question, options, key)
        turn_id = f"key-{_sha256(asked).hex()[:40]}" if key else new_name()
        if conversation_id == NEW:
            conversation: Conversation | None = await self.conversation_for(turn_id)
        else:
            conversation = await self.library.open(conversation_id)
        if conversation is None:
            raise NotFound("conversation: there is none of that id.")
        turn = await self.send(conversation, question, turn_id=turn_id, options=options)
        return conversation, turn

    async def answer_in(
        self, conversation_id: str, question: str, *, key: str | None, options: Options
    ) -> tuple[Stream, str]:
        """Ask as ``ask_in`` does and wait until the answer starts.

        Returns its stream and the id of the conversation. Also raises ``NotFound`` if the question
        is withdrawn before that.
        """
        conversation, turn = await self.ask_in(conversation_id, question, key=key, options=options)
        await turn.begun.wait()
        if not turn.segments:
            if conversation.is_deleted:
                raise NotFound("conversation: it was deleted before this was answered.")
            raise NotFound("message: it was taken back before it was answered.")
        return turn.segments[0], conversation.id

    @whole
    async def send(
        self, conversation: Conversation, question: str, *, turn_id: str, options: Options
    ) -> Turn:
        """Ask in a conversation. Idempotent for a ``turn_id``: a turn sent twice is asked once.

        While another answer is being generated, the turn waits and starts automatically. Nothing is
        stored if an error is raised.

        Raises:
            BadMessage, TooLarge, TooMany, RateLimited, UnknownModel, Overloaded, NotFound,
                StoreError: the question is refused.
        """
        self.caller.require("chat")
        async with conversation.lock:
            if turn := await self._sent_before(conversation, turn_id):
                return turn
            self._check(question)
            if len(conversation.waiting) >= WAITING_TURNS:
                raise TooMany(f"{WAITING_TURNS} messages are waiting already.")
            with self._place(conversation):
                await self._models.resolve(options.model)
                await self._quotas.take(self.caller)
                if not conversation.title:
                    conversation.info = replace(conversation.info, title=title_of(question))
                branch = tree.longer(conversation.branches, conversation.shown)
                turn = self._new_turn(turn_id, question, options, branch.id, branch.last)
                await self._add(conversation, turn, branch)
        self._soon(self._answer_next(conversation))
        return turn

    @whole
    async def withdraw(self, conversation: Conversation, turn_id: str) -> str:
        """Withdraw a waiting turn; returns its question. Raises ``NotFound``."""
        self.caller.require("chat")
        async with conversation.lock:
            turn = await self.library.turn(conversation, turn_id)
            if not turn.waiting:
                raise NotFound("This message is being answered already.")
            await self._saving.keep(lambda: self._store.remove_turn(turn_id))
            branch = conversation.branches[turn.branch]
            conversation.branches[turn.branch] = replace(branch, last=branch.last - 1)
            del conversation.waiting[turn_id]
            conversation.forget(turn)
        turn.waiting = False
        turn.begun.set()
        conversation.changed()
        return turn.question

    @whole
    async def choose(self, conversation: Conversation, options: Options) -> None:
        """Store the model and settings for the next answers in a conversation.

        Notifies every page that shows the conversation. Nothing is stored for a conversation
        without turns: its first turn keeps the options that it was asked with.
        """
        self.caller.require("chat")
        async with conversation.lock:
            if conversation.options == options:
                return
            if conversation.is_kept:
                await self._store.keep_options(conversation.id, options)
            conversation.options = options
        conversation.changed()

    async def options_of(self, conversation: Conversation) -> Options:
        """Return the options for the next answer in a conversation.

        These are the options chosen for it, otherwise those of the last shown turn.
        """
        if conversation.options is not None:
            return conversation.options
        last = conversation.total - 1
        for turn in await self.library.turns(conversation, last, last) if last >= 0 else ():
            return replace(turn.options, sanitize=False)
        return Options()

    @whole
    async def retry(
        self, conversation: Conversation, turn_id: str, options: Options | None = None
    ) -> Turn:
        """Answer the same question again, with ``options`` or those of the turn.

        The earlier answer is kept: the new one is a sibling turn, and the turns after it leave the
        shown path. An answer without text is replaced.

        Does nothing while the turn is being answered, or while the same question with the same
        options waits for the first text of an answer: a double click asks once.
        """
        self.caller.require("chat")
        async with conversation.lock:
            turn = await self.library.turn(conversation, turn_id)
            if turn.is_live or turn.waiting:
                return turn
            if known := self._asked_again(conversation, turn, options):
                return known
            with self._place(conversation, at_once=not turn.text):
                await self._quotas.take(self.caller)
                if not turn.text:
                    await self._begin_answer(conversation, turn, anew=True, options=options)
                    return turn
                again = self._beside(conversation, turn, new_name(), turn.question, options)
                await self._leave(conversation, turn)
                await self._add(conversation, again, self._fork(conversation, turn))
        self._soon(self._answer_next(conversation))
        return again

    @whole
    async def edit(
        self,
        conversation: Conversation,
        turn_id: str,
        question: str,
        *,
        new_turn_id: str,
        options: Options | None = None,
    ) -> Turn:
        """Ask a changed question in place of a turn, with ``options`` or those of the turn.

        The turns after it leave the shown path. Raises the errors of ``send``.
        """
        self.caller.require("chat")
        async with conversation.lock:
            if known := await self._sent_before(conversation, new_turn_id):
                return known
            turn = await self.library.turn(conversation, turn_id)
            self._check(question)
            with self._place(conversation):
                await self._models.resolve((options or turn.options).model)
                await self._quotas.take(self.caller)
                edited = self._beside(conversation, turn, new_turn_id, question, options)
                await self._leave(conversation, turn)
                await self._add(conversation, edited, self._fork(conversation, turn))
        self._soon(self._answer_next(conversation))
        return edited

    @whole
    async def continue_answer(
        self, conversation: Conversation, turn_id: str, options: Options | None = None
    ) -> None:
        """Continue an answer that was cut off, with ``options`` or those of the turn."""
        self.caller.require("chat")
        async with conversation.lock:
            turn = await self.library.turn(conversation, turn_id)
            if not turn.segments or turn.is_live:
                return
            with self._place(conversation, at_once=True):
                await self._quotas.take(self.caller)
                so_far = (Message("assistant", turn.text), GO_ON) if turn.text else ()
                await self._begin_answer(conversation, turn, so_far, options=options)

    @whole
    async def turn_over(self, conversation: Conversation, turn_id: str, step: int) -> None:
        """Show the next (1) or previous (-1) sibling of a turn, and the turns that follow it.

        Does nothing past the first and the last sibling.
        """
        self.caller.require("chat")
        async with conversation.lock:
            turn = await self.library.turn(conversation, turn_id)
            beside = tree.siblings(conversation.branches, turn.branch, turn.depth)
            place = beside.index(turn.branch) + step
            if 0 <= place < len(beside):
                await self._show(conversation, beside[place], turn.depth)

    @whole
    async def lead_to(self, conversation: Conversation, turn_id: str) -> Turn:
        """Put a turn on the shown path and return it. Raises ``NotFound``."""
        turn = await self.library.turn(conversation, turn_id)
        async with conversation.lock:
            if not conversation.shows(turn) and self.caller.may("chat"):
                await self._show(conversation, turn.branch, turn.depth)
        return turn

    @whole
    async def judge(
        self, conversation: Conversation, turn_id: str, feedback: Feedback | None
    ) -> None:
        """Store feedback on an answer, or remove it. Raises ``NotFound``."""
        self.caller.require("chat")
        turn = await self.library.turn(conversation, turn_id)
        await self._store.judge(turn_id, feedback)
        turn.feedback = feedback
        conversation.changed(turn_id)

    async def take_up(self) -> None:
        """At start-up, end the answers that a killed process left and answer waiting turns."""
        count = await self._store.interrupt_all()
        if count:
            _log.warning("answers_interrupted", answers=count)
        for conversation_id in await self._store.waiting():
            if stored := await self._store.conversation(conversation_id):
                library = self.library.of(owner_of(stored.info))
                if conversation := await library.open(conversation_id):
                    self._soon(self._answer_next(conversation))

    # ---- internals -----------------------------------------------------------------------------

    def _check(self, question: str) -> None:
        if not question.strip():
            raise BadMessage("The message is blank.")
        limit = self._rules.max_message_chars
        if len(question) > limit:
            raise TooLarge(f"The message has {len(question):,} characters; at most {limit:,} fit.")

    @contextmanager
    def _place(self, conversation: Conversation, *, at_once: bool = False) -> Iterator[None]:
        """Reserve a slot for one more answer before the first await.

        The slot is released if the answer can't start. A turn that waits for another answer takes
        over its slot; an answer that starts ``at_once`` needs an additional one. Raises
        ``TooMany``.
        """
        conversation.wanted = len(conversation.live) + 1 if at_once else 1
        try:
            while len(conversation.places) < conversation.wanted:
                conversation.places.append(self._quotas.occupy(self.caller))
            yield
        finally:
            conversation.wanted = 0
            conversation.settle()

    async def _sent_before(self, conversation: Conversation, turn_id: str) -> Turn | None:
        if conversation.is_deleted:
            raise NotFound("This conversation was deleted.")
        try:
            return await self.library.turn(conversation, turn_id)
        except NotFound:
            return None

    def _new_turn(
        self, turn_id: str, question: str, options: Options, branch: int, depth: int
    ) -> Turn:
        turn = Turn(
            id=turn_id,
            question=question,
            options=options,
            branch=branch,
            depth=depth,
            created_at=self._now(),
            waiting=True,
        )
        self._questions[turn] = self._watcher.question("turn")
        return turn

    def _fork(self, conversation: Conversation, turn: Turn) -> Branch:
        return tree.fork(conversation.branches, turn.branch, turn.depth)

    def _beside(
        self,
        conversation: Conversation,
        turn: Turn,
        turn_id: str,
        question: str,
        options: Options | None,
    ) -> Turn:
        branch = self._fork(conversation, turn)
        chosen = _for_turn(turn, options)
        return self._new_turn(turn_id, question, chosen, branch.id, turn.depth)

    def _asked_again(
        self, conversation: Conversation, turn: Turn, options: Options | None
    ) -> Turn | None:
        """Return a sibling of ``turn`` with the same question and options and no text yet."""
        branches = tree.siblings(conversation.branches, turn.branch, turn.depth)
        waiting = [conversation.known(waiting_id) for waiting_id in conversation.waiting]
        for other in (*conversation.live.values(), *waiting):
            if (
                other is not None
                and other is not turn
                and other.depth == turn.depth
                and other.branch in branches
                and other.question == turn.question
                and other.options == _for_turn(turn, options)
                and not other.text
            ):
                return other
        return None

    async def _leave(self, conversation: Conversation, turn: Turn) -> None:
        """Stop the running answers and cancel the waiting turns from ``turn`` on."""
        for later in conversation.live.values():
            if later.depth >= turn.depth and conversation.shows(later):
                later.segments[-1].stop()
        for waiting_id in tuple(conversation.waiting):
            waiting = await self.library.turn(conversation, waiting_id)
            if waiting.depth >= turn.depth and conversation.shows(waiting):
                await self._attach(conversation, waiting, End("cancelled"))

    async def _add(self, conversation: Conversation, turn: Turn, branch: Branch) -> None:
        """Store a new turn at the end of ``branch``, which becomes the shown branch."""
        is_new = not conversation.is_kept
        record = TurnRecord(
            id=turn.id,
            conversation_id=conversation.id,
            branch=turn.branch,
            depth=turn.depth,
            question=turn.question,
            created_at=turn.created_at,
            options=turn.options,
            is_waiting=True,
        )
        info = conversation.info

        async def write() -> None:
            if is_new:
                await self._store.create(info)
            if not await self._store.add_turn(record, [branch], branch.id):
                raise BadMessage("turn_id: it is taken; choose another one.")

        await self._saving.keep(write, refusable=True)
        conversation.is_kept = True
        self._beginning.pop((conversation.info.owner, turn.id), None)
        conversation.branches[branch.id] = branch
        conversation.shown = branch.id
        conversation.waiting[turn.id] = turn
        conversation.remember(turn)
        self.library.touched(conversation, turn.created_at)
        conversation.changed()

    async def _show(self, conversation: Conversation, branch: int, depth: int) -> None:
        shown = tree.tip(conversation.branches, branch, depth)
        await self._store.show(conversation.id, shown)
        conversation.shown = shown
        conversation.changed()

    async def _answer_next(self, conversation: Conversation) -> None:
        """Answer the first waiting turn, unless an answer is being generated."""
        async with conversation.lock:
            while conversation.waiting and not conversation.live and not conversation.is_deleted:
                turn = await self.library.turn(conversation, next(iter(conversation.waiting)))
                if not conversation.places:  # it was accepted before the server restarted
                    owner = owner_of(conversation.info)
                    conversation.places.append(self._quotas.occupy(owner, is_due=True))
                await self._begin_answer(conversation, turn)

    async def _begin_answer(
        self,
        conversation: Conversation,
        turn: Turn,
        so_far: tuple[Message, ...] = (),
        *,
        anew: bool = False,
        options: Options | None = None,
    ) -> None:
        """Add a segment to ``turn``; an answer that can't start counts as failed.

        ``options`` are used in place of those of the turn.
        """
        chosen = _for_turn(turn, options)
        question = self._questions.pop(turn, None) or self._watcher.question("again")
        question.in_conversation(conversation.id)
        with question.being_asked():
            try:
                context = await self._context(conversation, turn)
                what: ModelRequest | End = await self._request((*context, *so_far), chosen)
            except WiresideError as error:
                what = End(None, error)
            except Exception:  # otherwise the turns waiting for this answer would never start
                _log.exception("answer_failed", turn=turn.id)
                what = End(None, InternalError())
            await self._attach(conversation, turn, what, anew=anew, model=chosen.model)

    async def _attach(
        self,
        conversation: Conversation,
        turn: Turn,
        what: ModelRequest | End,
        *,
        anew: bool = False,
        model: str | None = None,
    ) -> None:
        """Add a segment to ``turn``: a stream that starts, or one that could not."""
        name, owner = new_name(), conversation.info.owner
        sanitize = turn.options.sanitize
        model = what.model if isinstance(what, ModelRequest) else model or turn.options.model or ""
        segment = Segment(stream=name, model=model, sanitize=sanitize, created_at=self._now())
        try:
            await self._saving.keep(lambda: self._store.begin(turn.id, segment, anew=anew))
            if isinstance(what, End):
                stream = self._runner.ended(model, what, owner=owner, stored_as=name)
            else:
                stream = self._runner.start(what, owner=owner, sanitize=sanitize, stored_as=name)
                asker = (
                    self if owner == self.caller.user_id else self.of(owner_of(conversation.info))
                )
                self._soon(asker._count(stream, _chars(what)))
        except WiresideError as error:
            stream = self._runner.ended(model, End(None, error), owner=owner, stored_as=name)
        except Exception:
            _log.exception("answer_failed", turn=turn.id)
            end = End(None, InternalError())
            stream = self._runner.ended(model, end, owner=owner, stored_as=name)
        turn.segments = [stream] if anew else [*turn.segments, stream]
        turn.waiting = False
        conversation.waiting.pop(turn.id, None)
        conversation.live[turn.id] = turn
        turn.begun.set()
        conversation.changed(turn.id)
        self.library.tell_answering(conversation, True)
        self._soon(self._attend(conversation, turn, stream))

    async def _attend(self, conversation: Conversation, turn: Turn, stream: Stream) -> None:
        """Wait for the end of an answer, then start the next one."""
        try:
            await stream.ended()
        finally:
            if turn.segments[-1] is stream:
                conversation.live.pop(turn.id, None)
                conversation.settle()
            self.library.tell_answering(conversation, bool(conversation.live))
        conversation.changed(turn.id)
        self._soon(self._answer_next(conversation))
        end = stream.log.end
        if turn.depth == 0 and conversation.info.title_source == "words" and end and end.reason:
            await self._name(conversation, turn)
        await self._saving.saved(stream)  # keeps the turn in memory until the store has all of it

    async def _name(self, conversation: Conversation, turn: Turn) -> None:
        if self._rules.title_model is None or not turn.text:
            return
        model = self._rules.title_model or turn.segments[-1].model
        title = await ask_for_title(self._provider, model, turn.question, turn.text)
        if title and conversation.info.title_source == "words":
            with suppress(WiresideError):  # the first words remain as its title
                library = self.library.of(owner_of(conversation.info))
                await library.rename(conversation.id, title, source="model")

    async def _context(self, conversation: Conversation, turn: Turn) -> tuple[Message, ...]:
        """Return the context for the model: the last turns before ``turn``, and its question."""
        limit = self._rules.history
        spans = tree.path(conversation.branches, turn.branch)
        first, last = max(0, turn.depth - limit.messages // 2), turn.depth - 1
        spans = tree.clip(spans, first, last)
        records = await self._store.turns(conversation.id, spans) if spans else []
        messages: list[Message] = []
        for earlier in conversation.take(spans, records, self._runner.known):
            if text := earlier.text:
                messages += [Message("user", earlier.question), Message("assistant", text)]
        return recent([*messages, Message("user", turn.question)], limit)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work, name="conversation")


def owner_of(info: ConversationInfo) -> Caller:
    """Return a caller for the owner of a conversation, for work that the server does in it."""
    return Caller(user_id=info.owner, name="", role="user")


def _for_turn(turn: Turn, options: Options | None) -> Options:
    """Return ``options``, or those of ``turn``; ``sanitize`` is always that of the turn."""
    return turn.options if options is None else replace(options, sanitize=turn.options.sanitize)


def _chars(request: ModelRequest) -> int:
    return sum(len(message.text) for message in request.messages)


def _digest(owner: str, ask: Ask) -> bytes:
    """Identify a request by its owner, its key and its content.

    A key that two clients share by chance, or that one guesses, must not show one of them what the
    other asked.
    """
    return _sha256((owner, ask))


def _sha256(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()
