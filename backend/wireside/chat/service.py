"""The one entry for pages and sockets: ask, stop, find again, go on.

A stream belongs to the server. Whoever asked may leave; whoever knows its name may read it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from wireside.chat.conversation import Answer, Conversation, Turn
from wireside.chat.history import HistoryLimit, recent
from wireside.errors import BadMessage, NotFound, TooLarge, TooMany, WiresideError
from wireside.generation.runner import Runner, Stream
from wireside.generation.tasks import Tasks
from wireside.messages import Message, ModelInfo, ModelRequest, Options

WAITING_TURNS = 20
"""Questions that may wait in one conversation."""

GO_ON = Message("user", "Go on exactly where your answer breaks off. Do not repeat anything of it.")
"""What a model is told after an answer that was cut off."""

KEPT_CONVERSATIONS = 2_000
"""Conversations held in memory; the one that was used longest ago goes first."""


class Models(Protocol):
    """Which models there are, and which one a name means."""

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models on offer, the default first. Raises ``WiresideError``."""
        ...

    async def resolve(self, name: str | None) -> str:
        """Return the model to use. Raises ``UnknownModel`` or another ``WiresideError``."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """A question with its context, outside of any conversation.

    ``messages`` ends with the question. ``key`` is the client's name for the request: the same
    key with the same content is answered once within the resume window.
    """

    messages: tuple[Message, ...]
    options: Options = Options()
    key: str | None = None
    sanitize: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What the service holds everybody to."""

    history: HistoryLimit = HistoryLimit()
    max_message_chars: int = 100_000
    system: str | None = None


class ChatService:
    """What a person, or a program, can do. Every method belongs to the event loop."""

    def __init__(self, runner: Runner, models: Models, rules: Rules, tasks: Tasks) -> None:
        self._runner = runner
        self._models = models
        self._rules = rules
        self._asked: OrderedDict[bytes, str] = OrderedDict()
        self._conversations: OrderedDict[str, Conversation] = OrderedDict()
        self._opened_by: OrderedDict[str, str] = OrderedDict()
        self._tasks = tasks
        self._answering: set[str] = set()

    @property
    def history_limit(self) -> HistoryLimit:
        """How much of a conversation a model is given."""
        return self._rules.history

    @property
    def max_message_chars(self) -> int:
        """Characters of one question, at most."""
        return self._rules.max_message_chars

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models on offer, the default first. Raises ``WiresideError``."""
        return await self._models.models()

    # ---- one question ------------------------------------------------------------------------

    async def ask(self, ask: Ask) -> Stream:
        """Begin an answer, or return the one that the same request began before.

        Returns before the model is called. Raises ``UnknownModel``, ``Overloaded`` or what keeps
        the list of models from being read.
        """
        if ask.key is None:
            return await self._begin(ask)
        digest = _digest(ask)
        if stream := self._asked_before(digest):
            return stream
        model = await self._models.resolve(ask.options.model)
        if stream := self._asked_before(digest):  # while the list of models was read
            return stream
        stream = self._start(ask, model)
        self._remember(digest, stream)
        return stream

    def find(self, name: str) -> Stream:
        """Return the stream of that name. Raises ``Expired`` or ``NotFound``."""
        return self._runner.find(name)

    async def stop(self, stream: Stream) -> None:
        """Stop an answer; returns when the upstream response is closed and the end is told."""
        stream.stop()
        await stream.ended()

    async def _begin(self, ask: Ask) -> Stream:
        return self._start(ask, await self._models.resolve(ask.options.model))

    def _start(self, ask: Ask, model: str) -> Stream:
        system = self._rules.system if ask.options.system is None else ask.options.system
        messages = ask.messages
        if system:
            messages = (Message("system", system), *messages)
        request = ModelRequest(model, messages, ask.options.temperature, ask.options.max_tokens)
        return self._runner.start(request, sanitize=ask.sanitize)

    def _asked_before(self, digest: bytes) -> Stream | None:
        name = self._asked.get(digest)
        if name is None:
            return None
        try:
            return self._runner.find(name)
        except WiresideError:  # it has left the resume window: the key may be used anew
            del self._asked[digest]
            return None

    def _remember(self, digest: bytes, stream: Stream) -> None:
        self._asked[digest] = stream.name
        while len(self._asked) > 100_000:
            self._asked.popitem(last=False)

    # ---- conversations -----------------------------------------------------------------------

    def start_conversation(self, *, first_turn: str | None = None) -> Conversation:
        """Open an empty conversation under an unguessable id, or return the one that the same
        ``first_turn`` opened before: a page whose acknowledgement was lost sends it again.
        """
        if opened := self._conversations.get(self._opened_by.get(first_turn or "", "")):
            return opened
        conversation = Conversation(secrets.token_urlsafe(16))
        if first_turn:
            self._opened_by[first_turn] = conversation.id
        self._conversations[conversation.id] = conversation
        self._forget_oldest()
        return conversation

    def open(self, conversation_id: str) -> Conversation | None:
        """Return the conversation of that id, None when there is none."""
        conversation = self._conversations.get(conversation_id)
        if conversation is not None:
            self._conversations.move_to_end(conversation_id)
        return conversation

    async def send(
        self, conversation: Conversation, question: str, *, turn_id: str, options: Options
    ) -> Turn:
        """Ask in a conversation. Sent twice under one ``turn_id``, it is asked once.

        While an answer is being made the turn waits and starts by itself. Raises ``BadMessage``,
        ``TooLarge``, ``TooMany``, ``UnknownModel``, ``Overloaded``: then nothing was kept.
        """
        if turn := conversation.find(turn_id):
            return turn
        self._check(question)
        path = conversation.path()
        if sum(turn.waiting for turn in path) >= WAITING_TURNS:
            raise TooMany(f"{WAITING_TURNS} messages are waiting already.")
        await self._models.resolve(options.model)
        if turn := conversation.find(turn_id):  # the same, while the list of models was read
            return turn
        turn = Turn(turn_id, question, options, conversation.leaf)
        conversation.add(turn)
        self._answer_waiting(conversation)
        return turn

    def withdraw(self, conversation: Conversation, turn_id: str) -> str:
        """Take back a turn that still waits; returns its question. Raises ``NotFound``."""
        turn = conversation.turn(turn_id)
        if not turn.waiting:
            raise NotFound("This message is being answered already.")
        conversation.remove(turn)
        return turn.question

    async def retry(
        self, conversation: Conversation, turn_id: str, *, model: str | None = None
    ) -> None:
        """Answer the same question anew; the earlier answer is kept beside it.

        Does nothing while an answer to it is being made.
        """
        turn = conversation.turn(turn_id)
        if turn.is_live or turn.waiting:
            return
        if model is not None:
            turn.options = replace(turn.options, model=model)
        turn.answers.append(Answer([await self._ask_in(conversation, turn)]))
        conversation.changed()

    async def continue_answer(self, conversation: Conversation, turn_id: str) -> None:
        """Go on with an answer that was cut off, in the same message."""
        turn = conversation.turn(turn_id)
        if not turn.answers or turn.is_live:
            return
        answer = turn.answers[-1]
        so_far = (Message("assistant", answer.text), GO_ON) if answer.text else ()
        answer.segments.append(await self._ask_in(conversation, turn, so_far))
        conversation.changed()

    async def edit(
        self, conversation: Conversation, turn_id: str, question: str, *, new_turn_id: str
    ) -> Turn:
        """Ask anew from this turn on; what followed leaves the shown branch."""
        turn = conversation.turn(turn_id)
        if known := conversation.find(new_turn_id):
            return known
        self._check(question)
        await self._models.resolve(turn.options.model)
        path = conversation.path()
        for later in path[path.index(turn) :]:
            if later.is_live:
                later.answers[-1].segments[-1].stop()
        edited = Turn(new_turn_id, question, turn.options, turn.parent)
        conversation.add(edited)
        self._answer_waiting(conversation)
        return edited

    def _check(self, question: str) -> None:
        if not question.strip():
            raise BadMessage("The message is blank.")
        limit = self._rules.max_message_chars
        if len(question) > limit:
            raise TooLarge(f"The message has {len(question):,} characters; at most {limit:,} fit.")

    def _answer_waiting(self, conversation: Conversation) -> None:
        """See to it that somebody answers what waits in ``conversation``: one task at most."""
        if conversation.id not in self._answering:
            self._answering.add(conversation.id)
            self._tasks.create_task(self._answer_all(conversation), name="waiting turns")

    async def _answer_all(self, conversation: Conversation) -> None:
        try:
            while turn := conversation.first_waiting():
                if live := conversation.live_stream():
                    await live.ended()
                    continue  # the turn may have been taken back meanwhile
                turn.waiting = False
                conversation.changed()
                turn.answers.append(Answer([await self._ask_in(conversation, turn)]))
                conversation.changed()
        finally:
            self._answering.discard(conversation.id)

    async def _ask_in(
        self, conversation: Conversation, turn: Turn, so_far: tuple[Message, ...] = ()
    ) -> Stream:
        """Begin an answer to ``turn``; one that can't begin is a stream that has failed."""
        context = recent(conversation.context_of(turn), self._rules.history)
        try:
            return await self._begin(Ask((*context, *so_far), turn.options))
        except WiresideError as error:
            return self._runner.failed(turn.options.model or "", error)

    def _forget_oldest(self) -> None:
        while len(self._conversations) > KEPT_CONVERSATIONS:
            self._conversations.popitem(last=False)
        while len(self._opened_by) > KEPT_CONVERSATIONS:
            self._opened_by.popitem(last=False)


def _digest(ask: Ask) -> bytes:
    """Name a request by its key and its content, so that a key that two clients happen to share,
    or that one guesses, never shows one of them what the other asked.
    """
    return hashlib.sha256(repr(ask).encode()).digest()
