"""The state of the chat that all callers share; ``ChatService`` is a caller's view of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any
from weakref import WeakValueDictionary

import structlog

from wireside.chat.answering import ConversationRunner, owner_of
from wireside.chat.batches import BatchRun
from wireside.chat.conversation import Conversation
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.models import CallerModels
from wireside.chat.opened import OpenConversations
from wireside.identity import Caller

_log = structlog.get_logger(__name__)

ASKED_KEYS = 100_000
"""Number of keys of single questions remembered, so that one sent again is answered once."""

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
        self.beginning: WeakValueDictionary[tuple[str, str], Conversation] = WeakValueDictionary()
        """New conversations by owner and first turn."""
        self.batches: WeakValueDictionary[bytes, BatchRun] = WeakValueDictionary()
        """Running batches by digest."""
        self._asked: OrderedDict[bytes, str] = OrderedDict()
        self._stopped_batches: OrderedDict[bytes, int] = OrderedDict()

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
        for conversation_id in await self.parts.store.conversations_with_waiting_turns():
            if conversation := await self.conversations.open_conversation(conversation_id):
                self.answers.schedule_next(conversation, owner_of(conversation.info))

    def asked_stream(self, digest: bytes) -> str | None:
        """Return the name of the stream that answers the request ``digest``."""
        return self._asked.get(digest)

    def remember_asked(self, digest: bytes, stream: str) -> None:
        """Remember which stream answers the request ``digest``."""
        self._asked[digest] = stream
        while len(self._asked) > ASKED_KEYS:
            self._asked.popitem(last=False)

    def forget_asked(self, digest: bytes) -> None:
        """Forget a request, so that its key can be used again."""
        del self._asked[digest]

    def stopped_at(self, digest: bytes) -> int | None:
        """Return the index at which a batch was stopped."""
        return self._stopped_batches.get(digest)

    def remember_stopped(self, digest: bytes, index: int) -> None:
        """Remember the index at which a batch was stopped."""
        self._stopped_batches[digest] = index
        while len(self._stopped_batches) > STOPPED_BATCHES:
            self._stopped_batches.popitem(last=False)
