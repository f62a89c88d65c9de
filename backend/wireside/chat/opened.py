"""The conversations in memory: stores their changes, then shows them to readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never
from weakref import WeakValueDictionary

from wireside.chat.changes import (
    AnsweringChanged,
    BranchShown,
    Change,
    ConversationChanged,
    ConversationCreated,
    EntryChanged,
    Event,
    FeedbackGiven,
    InfoChanged,
    OptionsChosen,
    QuestionsChanged,
    StopAnswer,
    TurnChanged,
)
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.dependencies import ChatDependencies
from wireside.chat.watchers import (
    Answering,
    AnsweringLists,
    AskingChanged,
    ListChange,
    Listed,
    Watchers,
)
from wireside.errors import BadMessage, NotFound
from wireside.generation.runner import new_stream_name
from wireside.records import AnswerBegun, ConversationInfo, Span, TurnAdded, TurnWithdrawn


class OpenConversations:
    """Holds each conversation that is in use as one object, and executes its changes."""

    def __init__(self, parts: ChatDependencies) -> None:
        self.list_watchers: Watchers[ListChange] = Watchers()
        """Watchers of the lists of conversations, by owner."""
        self.answering = AnsweringLists()
        self.watchers: Watchers[str | None] = Watchers()
        """Watchers by conversation. They receive the id of a changed turn.

        None if the shown turns, the title or the options have changed.
        """
        self._store = parts.store
        self._saving = parts.saving
        self._runner = parts.runner
        self._now = parts.wall_clock
        self._open: WeakValueDictionary[str, Conversation] = WeakValueDictionary()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # ---- reading -----------------------------------------------------------------------------

    async def open_conversation(self, conversation_id: str) -> Conversation | None:
        """Return the conversation of that id, None if there is none or it is deleted."""
        if conversation := self._open.get(conversation_id):
            return None if conversation.is_deleted else conversation
        stored = await self._store.conversation(conversation_id)
        if stored is None:
            return None
        # another task may have opened it during the query
        return self._open.setdefault(conversation_id, Conversation(stored))

    def new_conversation(self, owner: str) -> Conversation:
        """Return a conversation with an unguessable id; it is stored with its first turn."""
        now = self._now()
        info = ConversationInfo(
            id=new_stream_name(), title="", created_at=now, updated_at=now, owner=owner
        )
        conversation = Conversation.new(info)
        self._open[conversation.id] = conversation
        return conversation

    def conversation_in_memory(self, conversation_id: str) -> Conversation | None:
        """Return a conversation that is in memory, even if it is deleted."""
        return self._open.get(conversation_id)

    def conversations_in_memory(self, owner: str) -> list[Conversation]:
        """Return the conversations of ``owner`` that are in memory."""
        return [one for one in list(self._open.values()) if one.info.owner == owner]

    async def read_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Return a turn of any branch. Raises ``NotFound``."""
        if turn := conversation.turn_in_memory(turn_id):
            return turn
        record = await self._store.read_turn(turn_id) if conversation.is_stored else None
        if record is None or record.conversation_id != conversation.id:
            raise NotFound("This message is not in the conversation any more.")
        return conversation.load_turn(record, self._runner.stream_in_memory)

    async def read_turns(
        self, conversation: Conversation, spans: Sequence[Span]
    ) -> list[ConversationTurn]:
        """Return the turns of ``spans``, in order of their depth."""
        if not spans:
            return []
        records = await self._store.read_turns(conversation.id, spans)
        return conversation.load_turns(spans, records, self._runner.stream_in_memory)

    # ---- changing ----------------------------------------------------------------------------

    def transition_lock(self, conversation: Conversation) -> asyncio.Lock:
        """Return the lock to hold from a transition of a conversation until it is applied."""
        return self._locks.setdefault(conversation.id, asyncio.Lock())

    async def perform_change(self, conversation: Conversation, change: Change | None) -> None:
        """Store a change, then apply it and show it to readers; None is no change."""
        if change is not None:
            await self.store_change(conversation, change)
            self.publish_events(conversation, conversation.apply_change(change))

    async def store_change(self, conversation: Conversation, change: Change) -> None:
        """Store a change. Those that answers depend on are queued while the store fails.

        Raises:
            StoreError: the store can't be written.
            BadMessage, Overloaded: see ``store_together``.
        """
        match change:
            case TurnAdded() | TurnWithdrawn():
                await self.store_together(change)
            case ConversationCreated(info):
                await self._store.create_conversation(info)
            case InfoChanged(info):
                await self._store.update_conversation(info)
            case BranchShown(branch):
                await self._store.set_shown_branch(conversation.id, branch)
            case FeedbackGiven(turn_id, feedback):
                await self._store.set_feedback(turn_id, feedback)
            case OptionsChosen(options, is_stored):
                if is_stored:
                    await self._store.keep_options(conversation.id, options)
            case _:
                assert_never(change)

    async def store_together(self, *changes: TurnAdded | TurnWithdrawn | AnswerBegun) -> None:
        """Store changes that answers depend on, in one commit; queued while the store fails.

        Raises:
            BadMessage: the id of an added turn is taken.
            Overloaded: too many questions wait for the store.
        """
        is_question = any(isinstance(change, TurnAdded) for change in changes)
        if not await self._saving.commit_writes(*changes, refusable=is_question):
            raise BadMessage("turn_id: it is taken; choose another one.")

    # ---- readers -----------------------------------------------------------------------------

    def publish_events(self, conversation: Conversation, events: Iterable[Event]) -> None:
        """Send events to the watchers of a conversation and of its owner's list."""
        owner = conversation.info.owner
        for event in events:
            match event:
                case ConversationChanged():
                    self.watchers.notify_watchers(conversation.id, None)
                case TurnChanged(turn_id):
                    self.watchers.notify_watchers(conversation.id, turn_id)
                case EntryChanged(info):
                    self.list_watchers.notify_watchers(owner, Listed(info))
                case AnsweringChanged(is_answering):
                    if self.answering.set_answering(owner, conversation.id, is_answering):
                        change = Answering(self.answering.answering_ids(owner), owner)
                        self.list_watchers.notify_watchers(owner, change)
                case QuestionsChanged():
                    self.list_watchers.notify_watchers(owner, AskingChanged(owner))
                case StopAnswer(stream):
                    stream.stop_answer()
                case _:
                    assert_never(event)

    async def wait_until(self, conversation: Conversation, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` is true, which is checked at each change of a conversation."""
        has_changed = asyncio.Event()
        unwatch = self.watchers.add_watcher(conversation.id, lambda _: has_changed.set())
        try:
            while not condition():
                has_changed.clear()
                await has_changed.wait()
        finally:
            unwatch()
