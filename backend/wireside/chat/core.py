"""The state of the chat that all callers share; ``ChatService`` is a caller's view of it."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

import structlog

from wireside.chat.answering import ConversationRunner, owner_of
from wireside.chat.batches import BatchRun
from wireside.chat.compaction import Compactor
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.models import CallerModels
from wireside.chat.opened import OpenConversations
from wireside.errors import StoreError
from wireside.identity import Caller

_log = structlog.get_logger(__name__)

ASKED_KEYS = 100_000
"""Number of keys of single questions remembered, so that one sent again is answered once."""

KEYED_REQUEST_S = 3600.0
"""How long servers that share a store remember such a key, in seconds."""

LOOK_S = 1.0
"""Seconds between two looks for requested stops."""

LOOKS = 5
"""A look for changes of conversations follows each of that many looks for requested stops."""

TAKE_OVER_S = 2.0
"""Seconds between two checks for answers that removed replicas have left."""

STOPPED_BATCHES = 10_000
"""Number of stopped batches remembered by key, so that one sent again stays stopped."""


class ChatCore:
    """Conversations in memory, running answers, and what was asked under a client's key.

    Digests identify a request by its owner, key and content.
    """

    def __init__(self, parts: ChatDependencies, rules: ChatRules) -> None:
        self.parts = parts
        self.rules = rules
        self.conversations = OpenConversations(parts)
        self.answers = ConversationRunner(parts, rules, self.conversations)
        self.compactor = Compactor(parts, rules, self.conversations, self.answers)
        self.follow_ups: OrderedDict[str, asyncio.Future[tuple[str, ...]]] = OrderedDict()
        """Suggested questions by the stream of the answer that they follow."""
        self.batches: WeakValueDictionary[bytes, BatchRun] = WeakValueDictionary()
        """Running batches by digest."""
        self.may_take_over: Callable[[], bool] = lambda: True
        """Whether this server begins what removed replicas have left."""
        self._asked: OrderedDict[bytes, str] = OrderedDict()
        self._stopped_batches: OrderedDict[bytes, frozenset[int]] = OrderedDict()
        self._seen_waiting: frozenset[str] = frozenset()

    def models_of(self, caller: Caller) -> CallerModels:
        """Return the models that a caller may use."""
        return CallerModels(self.parts.models, self.parts.model_access, caller)

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in a task that outlives the caller's connection."""
        self.parts.tasks.create_task(work, name="conversation")

    async def resume_waiting(self) -> None:
        """At start-up, end the answers that a killed process left and answer waiting turns."""
        count = await self.parts.store.interrupt_all()
        if count:
            _log.warning("answers_interrupted", answers=count)
        await self._answer_waiting(await self.parts.store.conversations_with_waiting_turns())

    async def _answer_waiting(self, conversation_ids: Collection[str]) -> None:
        for conversation_id in conversation_ids:
            try:
                if conversation := await self.conversations.open_conversation(conversation_id):
                    self.answers.schedule_next(conversation, owner_of(conversation.info))
            except StoreError:
                raise
            except Exception:  # a fault in one conversation must not stop the others
                _log.exception("waiting_not_answered", conversation=conversation_id)

    async def take_over_until_cancelled(self, is_due: asyncio.Event) -> None:
        """Take over every few seconds and when ``is_due`` is set, until cancelled."""
        while True:
            is_due.clear()
            if self.may_take_over():
                try:
                    await self.take_over()
                except StoreError:  # its cause has been logged by the store
                    _log.warning("take_over_failed")
                except Exception:
                    _log.exception("take_over_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(TAKE_OVER_S):
                    await is_due.wait()

    async def take_over(self) -> None:
        """End the answers that removed replicas left, and answer what waits behind them.

        Each of several servers does so.
        """
        ended = await self.parts.store.interrupt_orphans()
        if ended:
            _log.warning("answers_interrupted", answers=len(ended))
            await self._answer_waiting({conversation_id for _, conversation_id in ended})

    # ---- several servers on one store --------------------------------------------------------

    @property
    def is_shared(self) -> bool:
        """Whether other servers change the conversations of the store too."""
        return self.parts.is_shared

    async def look_until_cancelled(self) -> None:
        """Look for what other servers have changed, in case that no announcement arrives."""
        for count in itertools.count():
            try:
                await self.stop_requested_answers()
                if count % LOOKS == 0:
                    await self.look_for_changes()
            except StoreError:  # its cause has been logged by the store
                _log.warning("look_failed")
            except Exception:
                _log.exception("look_failed")
            await asyncio.sleep(LOOK_S)

    async def look_for_changes(self) -> None:
        """Load older conversations again, and answer turns whose server has ended."""
        await self.refresh_conversations()
        await self.conversations.refresh_answering()
        waiting = frozenset(await self.parts.store.conversations_with_waiting_turns())
        # a server that runs begins an answer at once; what still waits has none
        if self.may_take_over():
            await self._answer_waiting(waiting & self._seen_waiting)
        self._seen_waiting = waiting
        await self.parts.store.forget_requests(self.parts.wall_clock() - KEYED_REQUEST_S)

    async def refresh_conversations(self, conversation_ids: Collection[str] | None = None) -> None:
        """Load those open conversations again of which the store has a newer version.

        Lists of conversations that are watched are notified of the others. ``conversation_ids`` are
        those that another server has changed; None: all that are open. Raises ``StoreError``.
        """
        await self.conversations.refresh_older(conversation_ids)

    async def stop_requested_answers(self) -> None:
        """Stop those answers of this server whose stop others have requested."""
        for name in await self.parts.store.requested_stops():
            self.stop_answer(name)

    def stop_answer(self, name: str) -> None:
        """Stop an answer that this server writes; does nothing to others."""
        stream = self.parts.runner.stream_in_memory(name)
        if stream is not None and not stream.is_elsewhere:
            stream.stop_answer()

    # ---- what was asked under a client's key -------------------------------------------------

    async def claim_request(self, digest: bytes, stream: str) -> str:
        """Make ``stream`` the answer to a request; return the name of the one that is it.

        That is another one if a server has begun to answer the request before.
        """
        if not self.is_shared:
            return stream
        now = self.parts.wall_clock()
        return await self.parts.store.claim_request(digest.hex(), stream, now)

    async def asked_stream(self, digest: bytes) -> str | None:
        """Return the name of the stream that answers the request ``digest``."""
        name = self._asked.get(digest)
        if name is None and self.is_shared:
            return await self.parts.store.find_request(digest.hex())
        return name

    def remember_asked(self, digest: bytes, stream: str) -> None:
        """Remember which stream answers the request ``digest``."""
        self._asked[digest] = stream
        while len(self._asked) > ASKED_KEYS:
            self._asked.popitem(last=False)

    async def forget_asked(self, digest: bytes, stream: str) -> None:
        """Forget a request that ``stream`` answers, so that its key can be used again."""
        if self._asked.get(digest) == stream:
            del self._asked[digest]
        if self.is_shared:
            await self.parts.store.forget_request(digest.hex(), stream)

    def stopped_questions(self, digest: bytes) -> frozenset[int]:
        """Return the indexes of a batch's questions that were stopped before they were asked."""
        return self._stopped_batches.get(digest, frozenset())

    def remember_stopped(self, digest: bytes, indexes: frozenset[int]) -> None:
        """Remember the indexes of a batch's questions that were stopped."""
        self._stopped_batches[digest] = indexes
        while len(self._stopped_batches) > STOPPED_BATCHES:
            self._stopped_batches.popitem(last=False)
