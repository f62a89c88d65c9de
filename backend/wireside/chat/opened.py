"""The conversations in memory: stores their changes, then shows them to readers.

Where several servers share the store, a conversation in memory may be older than it. A change that
was made for an older version is refused by the store (``Conflict``); the conversation is then
loaded again, in place, and the change made again (``change``). Changes of other servers that no own
change meets are found by their announcements and by a look at the versions (``refresh_older``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TypeVar, assert_never
from weakref import WeakValueDictionary

from wireside.chat.access import list_keys
from wireside.chat.changes import (
    AnsweredElsewhere,
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
    QuestionAnsweredElsewhere,
    QuestionsChanged,
    StopAnswer,
    TurnChanged,
)
from wireside.chat.conversation import DELETED, Conversation, ConversationTurn, StreamOf
from wireside.chat.dependencies import ChatDependencies
from wireside.chat.watchers import (
    Answering,
    AnsweringLists,
    AskingChanged,
    FoldersChanged,
    Gone,
    ListChange,
    Listed,
    SharedChanged,
    Watchers,
)
from wireside.errors import BadMessage, Conflict, NotFound, Overloaded, StoreError
from wireside.generation.runner import Stream, new_stream_name
from wireside.records import (
    AnswerBegun,
    ConversationInfo,
    ConversationVersion,
    Segment,
    Span,
    TurnAdded,
    TurnRecord,
    TurnWithdrawn,
)

ATTEMPTS = 30
"""How often a change is made before it is refused, because others are always first."""

PAUSE_S = 0.003
"""Pause before a change is made again, in seconds; it grows by as much each time."""

STOP_AGAIN_S = 0.5
"""Pause after the request of a stop could not be stored, in seconds."""

READ_ATTEMPTS = 5
"""How often turns are read, while changes move them to other places."""

T = TypeVar("T")


class OpenConversations:
    """Holds each conversation that is in use as one object, and executes its changes."""

    def __init__(self, parts: ChatDependencies) -> None:
        self.list_watchers: Watchers[ListChange] = Watchers()
        """Watchers of the lists of conversations, by owner."""
        self.answering = AnsweringLists()
        """The conversations in memory in which an answer is being generated."""
        self._answering_elsewhere = AnsweringLists()
        """Others of which another server has announced it."""
        self.watchers: Watchers[str | None] = Watchers()
        """Watchers by conversation. They receive the id of a changed turn.

        None if the shown turns, the title or the options have changed.
        """
        self.comment_watchers: Watchers[None] = Watchers()
        """Watchers of the comments on turns, by conversation."""
        self._stopping: set[Stream] = set()
        """Answers of other servers whose stop is being stored."""
        self.is_shared = parts.is_shared
        """Whether other servers change the conversations too."""
        self.follow_elsewhere: Callable[[Conversation, ConversationTurn, Stream], None] = (
            lambda conversation, turn, stream: None
        )
        """Called with each answer that another server has begun."""
        self._others = parts.others
        self._handlers = parts.handlers
        self._tasks = parts.tasks
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
            if conversation.is_deleted and self.is_shared and not conversation.is_temporary:
                await self.refresh(conversation)  # it may have been restored elsewhere
            is_hidden = conversation.is_deleted or conversation.is_temporary
            return None if is_hidden else conversation
        if self.is_shared:
            return await self._open_shared(conversation_id)
        stored = await self._store.conversation(conversation_id)
        if stored is None:
            return None
        # another task may have opened it during the query
        return self._open.setdefault(conversation_id, Conversation(stored))

    async def _open_shared(self, conversation_id: str) -> Conversation | None:
        """Open a conversation with the answers that other servers are writing in it."""
        found = await self._store.conversation_with_turns(conversation_id, ())
        if found is None:
            return None
        stored, records = found
        opened = Conversation(stored)
        conversation = self._open.setdefault(conversation_id, opened)
        if conversation is opened:
            stream_of = self._streams_of(conversation)
            events = conversation.reload_from(stored, records, stream_of, looked_up=())
            kinds = AnsweredElsewhere | AnsweringChanged
            self.publish_events(conversation, [one for one in events if isinstance(one, kinds)])
        return conversation

    def new_conversation(
        self, owner: str, conversation_id: str | None = None, *, is_temporary: bool = False
    ) -> Conversation:
        """Return a conversation, which is stored with its first turn.

        ``conversation_id`` is unguessable unless it is given; one that is in memory is returned.
        One that ``is_temporary`` is never stored, and only its creator can open it.
        """
        now = self._now()
        info = ConversationInfo(
            id=conversation_id or new_stream_name(),
            title="",
            created_at=now,
            updated_at=now,
            owner=owner,
        )
        fresh = Conversation.new(info, is_temporary=is_temporary)
        return self._open.setdefault(info.id, fresh)

    def conversation_in_memory(self, conversation_id: str) -> Conversation | None:
        """Return a conversation that is in memory, even if it is deleted."""
        return self._open.get(conversation_id)

    def conversations_in_memory(self, owner: str) -> list[Conversation]:
        """Return the conversations of ``owner`` that are in memory."""
        return [one for one in list(self._open.values()) if one.info.owner == owner]

    def forget_stored(self) -> None:
        """Forget the stored conversations, so that they are read from the store again.

        Objects that are still in use start no answer.
        """
        for conversation_id, conversation in tuple(self._open.items()):
            if not conversation.is_temporary:
                conversation.waiting.clear()
                del self._open[conversation_id]

    async def read_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Return a turn of any branch.

        Raises:
            NotFound: there is none of that id.
            Conflict: the conversation must be loaded again.
        """
        if turn := conversation.turn_in_memory(turn_id):
            return turn
        can_read = conversation.is_stored and not conversation.is_temporary
        record = await self._store.read_turn(turn_id) if can_read else None
        if record is None or record.conversation_id != conversation.id:
            raise NotFound("This message is not in the conversation any more.")
        self._check_places(conversation, [record])
        return conversation.load_turn(record, self._streams_of(conversation))

    async def read_waiting_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Return a turn that waits.

        Raises ``Conflict`` if it was withdrawn, or its answer begun, at another server.
        """
        try:
            turn = await self.read_turn(conversation, turn_id)
        except NotFound:
            if self.is_shared:
                raise Conflict from None
            raise
        if self.is_shared and not turn.waiting:
            raise Conflict
        return turn

    async def read_turns(
        self, conversation: Conversation, spans: Sequence[Span]
    ) -> list[ConversationTurn]:
        """Return the turns of ``spans``, in order of their depth.

        Raises:
            Conflict: the conversation must be loaded again.
        """
        if not spans:
            return []
        if conversation.is_temporary:
            return conversation.load_turns(spans, (), self._streams_of(conversation))
        records = await self._store.read_turns(conversation.id, spans)
        self._check_places(conversation, records)
        turns = conversation.load_turns(spans, records, self._streams_of(conversation))
        if self.is_shared and len(turns) != sum(1 + span.last - span.first for span in spans):
            raise Conflict
        return turns

    def _check_places(self, conversation: Conversation, records: Iterable[TurnRecord]) -> None:
        if self.is_shared and not all(map(conversation.has_place_of, records)):
            raise Conflict

    def stream_of(self, segment: Segment, owner: str) -> Stream:
        """Return the stream of a stored segment: in memory, at another server, or ended."""
        if stream := self._runner.stream_in_memory(segment.stream):
            return stream
        if segment.end is not None or not self.is_shared:
            return Stream.from_segment(segment, owner)
        stream = self._others.follow_answer(segment, owner)
        stream.stop_elsewhere = self.request_stop
        return stream

    def _streams_of(self, conversation: Conversation) -> StreamOf:
        return partial(self.stream_of, owner=conversation.info.owner)

    # ---- several servers ---------------------------------------------------------------------

    async def change(
        self, conversation: Conversation, make_change: Callable[[], Awaitable[T]]
    ) -> T:
        """Call ``make_change`` under the conversation's lock, again after each ``Conflict``.

        ``make_change`` performs transitions from their checks to the events. It must be repeatable:
        what it has stored before a conflict is stored.

        Raises:
            Overloaded: other servers change the conversation all the time.
        """
        async with self.transition_lock(conversation):
            for attempt in range(ATTEMPTS):
                try:
                    return await make_change()
                except Conflict:
                    await asyncio.sleep(PAUSE_S * attempt)
                    await self._reload(conversation)
        raise Overloaded(
            "Many requests change this conversation at the same time; try again in a moment."
        )

    async def read_current(self, conversation: Conversation, read: Callable[[], Awaitable[T]]) -> T:
        """Call ``read`` without the conversation's lock, again after each ``Conflict``."""
        for _ in range(READ_ATTEMPTS):
            try:
                return await read()
            except Conflict:
                await self.refresh(conversation)
        raise Overloaded

    async def refresh(self, conversation: Conversation) -> None:
        """Load a conversation again."""
        async with self.transition_lock(conversation):
            await self._reload(conversation)

    async def refresh_older(self, conversation_ids: Collection[str] | None = None) -> None:
        """Load those open conversations again of which the store has a newer version.

        Lists that are watched are notified of the others. ``conversation_ids`` are those to look
        at; None: all that are open.
        """
        ids = tuple(self._open.keys() if conversation_ids is None else conversation_ids)
        versions = await self._store.versions(ids) if ids else {}
        for conversation_id in ids:
            version = versions.get(conversation_id)
            conversation = self._open.get(conversation_id)
            if conversation is not None:
                can_be_older = conversation.is_stored and not conversation.is_temporary
                if can_be_older and _is_older(conversation, version):
                    await self.refresh(conversation)
            elif version is not None and self.list_watchers.is_watched(version.owner):
                await self._notify_list(conversation_id, version)

    async def _notify_list(self, conversation_id: str, version: ConversationVersion) -> None:
        stored = None if version.is_deleted else await self._store.conversation(conversation_id)
        owner = version.owner
        change = Listed(stored.info) if stored else Gone((conversation_id,), owner)
        self.list_watchers.notify_watchers(owner, change)
        self.list_watchers.notify_watchers(owner, AskingChanged(owner))

    async def _reload(self, conversation: Conversation) -> None:
        """Make a conversation what the store has. Its lock is held."""
        turn_ids = conversation.turns_in_memory
        had_members = conversation.info.members
        found = await self._store.conversation_with_turns(conversation.id, turn_ids)
        if found is not None:
            stored, records = found
            stream_of = self._streams_of(conversation)
            events = conversation.reload_from(stored, records, stream_of, looked_up=turn_ids)
            self.publish_events(conversation, events)
            if had_members != stored.info.members:
                self.note_shared(list_keys(had_members))
        elif not conversation.is_deleted:
            owner = conversation.info.owner
            self.publish_events(conversation, conversation.delete())
            self.list_watchers.notify_watchers(owner, Gone((conversation.id,), owner))
            self.note_shared(list_keys(had_members))
            self.stop_waiting(owner, frozenset((conversation.id,)))

    def request_stop(self, stream: Stream) -> None:
        """Request the stop of an answer that another server writes."""
        self._others.announce_stop(stream.name)
        if stream not in self._stopping:
            self._stopping.add(stream)
            self._tasks.create_task(self._store_stop(stream), name="request stop")

    async def _store_stop(self, stream: Stream) -> None:
        """Store the request, which the announcement alone may not bring, until the answer ends."""
        try:
            while stream.is_live:
                try:
                    await self._store.request_stop(stream.name)
                    return
                except StoreError:  # its cause has been logged by the store
                    await asyncio.sleep(STOP_AGAIN_S)
        finally:
            self._stopping.discard(stream)

    def stop_waiting(self, owner: str, conversation_ids: Collection[str] | None) -> None:
        """Stop handlers that wait for an answer; their clean-up must not delay what stops them."""
        work = self._handlers.stop_waiting(owner, conversation_ids)
        self._tasks.create_task(work, name="stop waiting handlers")

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
            Conflict: the conversation must be loaded again.
            BadMessage, Overloaded: see ``store_together``.
        """
        if conversation.is_temporary:
            return
        match change:
            case TurnAdded() | TurnWithdrawn():
                await self.store_together(conversation, change)
                return
            case ConversationCreated(info):
                await self._store.create_conversation(info)
            case InfoChanged(info, version):
                await self._store.update_conversation(info, version=version)
            case BranchShown(branch, version):
                await self._store.set_shown_branch(conversation.id, branch, version=version)
            case FeedbackGiven(turn_id, feedback, version):
                await self._store.set_feedback(conversation.id, turn_id, feedback, version=version)
            case OptionsChosen(options, is_stored, version):
                if is_stored:
                    await self._store.keep_options(conversation.id, options, version=version)
            case _:
                assert_never(change)
        self._others.announce_changes((conversation.id,))

    async def store_together(
        self, conversation: Conversation, *changes: TurnAdded | TurnWithdrawn | AnswerBegun
    ) -> None:
        """Store changes that answers depend on, in one commit; queued while the store fails.

        Those of a temporary conversation are not stored.

        Raises:
            Conflict: the conversation must be loaded again.
            BadMessage: the id of an added turn is taken.
            NotFound: an added turn creates a conversation that was deleted and is not purged yet.
            Overloaded: too many questions wait for the store.
        """
        if conversation.is_temporary:
            return
        added = next((change for change in changes if isinstance(change, TurnAdded)), None)
        if await self._saving.commit_writes(*changes, refusable=added is not None):
            self._others.announce_changes({change.conversation_id for change in changes})
            return
        if added and added.creates and await self._store.read_turn(added.record.id) is None:
            raise NotFound(DELETED)  # the id of the turn is free, or belongs to a deleted turn
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
                    self._publish_entry(conversation, info)
                case AnsweringChanged(is_answering):
                    self._publish_answering(conversation, is_answering)
                case QuestionsChanged():
                    self.list_watchers.notify_watchers(owner, AskingChanged(owner))
                case StopAnswer(stream):
                    stream.stop_answer()
                case AnsweredElsewhere(turn_id, stream):
                    self._follow_elsewhere(conversation, turn_id, stream)
                case QuestionAnsweredElsewhere():
                    self.stop_waiting(owner, frozenset((conversation.id,)))
                case _:
                    assert_never(event)

    def _publish_entry(self, conversation: Conversation, info: ConversationInfo) -> None:
        if not conversation.is_temporary:
            self.list_watchers.notify_watchers(info.owner, Listed(info))
            if info.members:
                self.note_shared(list_keys(info.members))

    def _publish_answering(self, conversation: Conversation, is_answering: bool) -> None:
        owner = conversation.info.owner
        if self.answering.set_answering(owner, conversation.id, is_answering):
            self._notify_answering(owner)

    def answering_ids(self, owner: str) -> frozenset[str]:
        """Return the ids of an owner's conversations in which an answer is being generated."""
        here = self.answering.answering_ids(owner)
        return here | self._answering_elsewhere.answering_ids(owner)

    def announce_answering(self, conversation: Conversation) -> None:
        """Announce to other servers whether an answer of a conversation is running."""
        if not conversation.is_temporary:
            self._others.announce_answering(
                conversation.info.owner, conversation.id, is_answering=bool(conversation.live)
            )

    def note_answering(self, owner: str, conversation_id: str, *, is_answering: bool) -> None:
        """Note what another server has announced of its answers."""
        if self._answering_elsewhere.set_answering(owner, conversation_id, is_answering):
            self._notify_answering(owner)
            # the end of an answer may leave a question
            self.list_watchers.notify_watchers(owner, AskingChanged(owner))

    async def refresh_answering(self) -> None:
        """Read which conversations are being answered, in case that no announcement arrives."""
        found: dict[str, set[str]] = {}
        for owner, conversation_id in await self._store.answering_conversations():
            if conversation_id not in self.answering.answering_ids(owner):
                found.setdefault(owner, set()).add(conversation_id)
        for owner in self._answering_elsewhere.replace_all(found):
            self._notify_answering(owner)
            self.list_watchers.notify_watchers(owner, AskingChanged(owner))

    # ---- folders -----------------------------------------------------------------------------

    async def forget_folder(self, owner: str, folder_id: str) -> None:
        """Take the conversations in memory out of a folder that the store has removed."""
        for conversation in self.conversations_in_memory(owner):
            if conversation.info.folder_id != folder_id:
                continue
            if self.is_shared:
                await self.refresh(conversation)
                continue
            async with self.transition_lock(conversation):
                self.publish_events(conversation, conversation.forget_folder(folder_id))

    def announce_folders(self, owner: str) -> None:
        """Notify the pages of all servers that the folders of an owner have changed."""
        self._others.announce_folders(owner)
        self.note_folders(owner)

    def note_folders(self, owner: str | None) -> None:
        """Notify the pages of this server; None: those of all owners."""
        owners = self.list_watchers.watched_keys() if owner is None else (owner,)
        for one in owners:
            self.list_watchers.notify_watchers(one, FoldersChanged(one))

    # ---- sharing -----------------------------------------------------------------------------

    def announce_shared(self, keys: Collection[str]) -> None:
        """Notify the pages of all servers that what is shared has changed in the lists of keys."""
        self._others.announce_shared(keys)
        self.note_shared(keys)

    def note_shared(self, keys: Collection[str] | None) -> None:
        """Notify the pages of this server; None: those of all lists."""
        for key in self.list_watchers.watched_keys() if keys is None else keys:
            self.list_watchers.notify_watchers(key, SharedChanged())

    def announce_comments(self, conversation_id: str) -> None:
        """Notify the pages of all servers that the comments of a conversation have changed."""
        self._others.announce_comments(conversation_id)
        self.note_comments(conversation_id)

    def note_comments(self, conversation_id: str | None) -> None:
        """Notify the pages of this server; None: those of all conversations."""
        watched = self.comment_watchers.watched_keys()
        for key in watched if conversation_id is None else (conversation_id,):
            self.comment_watchers.notify_watchers(key, None)

    def _notify_answering(self, owner: str) -> None:
        change = Answering(self.answering_ids(owner), owner)
        self.list_watchers.notify_watchers(owner, change)

    def _follow_elsewhere(self, conversation: Conversation, turn_id: str, stream: Stream) -> None:
        turn = conversation.turn_in_memory(turn_id)
        if turn is not None and stream.is_elsewhere:
            self.follow_elsewhere(conversation, turn, stream)

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


def _is_older(conversation: Conversation, version: ConversationVersion | None) -> bool:
    """Return whether a conversation is older than the store's."""
    if version is None or version.is_deleted:
        return not conversation.is_deleted
    return conversation.is_deleted or version.version > conversation.version
