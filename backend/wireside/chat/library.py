"""The conversations of an account: lists, search, changes, import and export.

Every change is sent to the watchers of the list, so that all open pages show the same state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakValueDictionary

from wireside.chat import tree
from wireside.chat.conversation import Conversation, Turn
from wireside.errors import BadMessage, NotFound
from wireside.generation.runner import Runner, new_name
from wireside.generation.tasks import Tasks, whole
from wireside.identity import LOCAL, NOBODY, Caller
from wireside.messages import TextDelta
from wireside.ports.audit import AuditRecorder, NullAuditRecorder
from wireside.ports.clock import Clock
from wireside.ports.store import Store
from wireside.records import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    Branch,
    ConversationInfo,
    Feedback,
    Hit,
    Imported,
    Listing,
    StoredConversation,
    TitleSource,
    TurnRecord,
)

MAX_TWINS = 4
"""Conversations that began at one time with which one of a file is compared."""

UNDO_S = 30.0
"""How long a deletion can be undone, in seconds."""

PAGE = 200
"""Number of turns read at a time when a whole conversation is iterated."""

MAX_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """Which conversations are deleted automatically.

    Those without a new turn for ``days``, and those beyond the ``count`` newest. None keeps all.
    Pinned conversations are kept.
    """

    days: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation was added to the list, or its entry has changed."""

    info: ConversationInfo


@dataclass(frozen=True, slots=True)
class Gone:
    """Conversations were deleted."""

    ids: tuple[str, ...]
    owner: str


@dataclass(frozen=True, slots=True)
class Answering:
    """The ids of all conversations of ``owner`` in which an answer is being generated."""

    ids: frozenset[str]
    owner: str


Change = Listed | Gone | Answering


class Library:
    """The conversations of the store, restricted to those of ``caller``.

    All methods must be called on the event loop. They raise ``StoreError`` when the store can't be
    read or written, and ``Forbidden`` when the caller lacks permission.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        tasks: Tasks,
        wall_clock: Clock,
        caller: Caller = LOCAL,
    ) -> None:
        """``wall_clock`` returns seconds since 1970."""
        self.caller = caller
        self.witness: AuditRecorder = NullAuditRecorder()
        """Audit log of deletions and exports."""
        self._store = store
        self._tasks = tasks
        self._runner = runner
        self._now = wall_clock
        self._open: WeakValueDictionary[str, Conversation] = WeakValueDictionary()
        self._answering: dict[str, set[str]] = {}
        """Conversations in which an answer is being generated, by owner."""
        self._watchers: dict[str, dict[object, Callable[[Change], None]]] = {}
        """Watchers of the list, by owner."""

    def of(self, caller: Caller) -> Library:
        """Return a view of the same library for ``caller``."""
        library = copy(self)
        library.caller = caller
        return library

    @property
    def _owner(self) -> str:
        return self.caller.user_id

    # ---- one conversation --------------------------------------------------------------------

    async def open(self, conversation_id: str) -> Conversation | None:
        """Return the conversation of that id, or None if the caller has none."""
        if conversation := self._open.get(conversation_id):
            is_there = not conversation.is_deleted and conversation.info.owner == self._owner
            return conversation if is_there else None
        stored = await self._store.conversation(conversation_id)
        if stored is None or stored.info.owner != self._owner:
            return None
        # another task may have opened it during the query
        return self._open.setdefault(conversation_id, Conversation(stored))

    def new(self) -> Conversation:
        """Return a conversation with an unguessable id; it is stored with its first turn."""
        now = self._now()
        info = ConversationInfo(
            id=new_name(), title="", created_at=now, updated_at=now, owner=self._owner
        )
        conversation = Conversation(
            StoredConversation(
                info=info, branches=(Branch(id=0, parent=None, first=0, last=-1),), shown=0
            ),
            is_kept=False,
        )
        self._open[conversation.id] = conversation
        return conversation

    async def keep(self, conversation: Conversation) -> None:
        """Store a new conversation."""
        if not conversation.is_kept:
            await self._store.create(conversation.info)
            conversation.is_kept = True

    async def turns(self, conversation: Conversation, first: int, last: int) -> list[Turn]:
        """Return the shown turns at the depths ``first`` … ``last``, both included."""
        self.caller.require("read")
        spans = tree.clip(conversation.path(), first, last)
        if not spans or not conversation.is_kept:
            return []
        records = await self._store.turns(conversation.id, spans)
        return conversation.take(spans, records, self._runner.known)

    async def turn(self, conversation: Conversation, turn_id: str) -> Turn:
        """Return a turn of any branch. Raises ``NotFound``."""
        if turn := conversation.known(turn_id):
            return turn
        record = await self._store.turn(turn_id)
        if record is None or record.conversation_id != conversation.id:
            raise NotFound("This message is not in the conversation any more.")
        return conversation.one(record, self._runner.known)

    # ---- lists of conversations --------------------------------------------------------------

    async def page(
        self,
        *,
        archived: bool = False,
        tag: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Listing:
        """Return a page of conversations: pinned ones first, then the newest."""
        self.caller.require("read")
        return await self._store.conversations(
            owner=self._owner, archived=archived, tag=tag, cursor=cursor, limit=limit
        )

    async def search(
        self, query: str, *, cursor: int | None = None, limit: int = 30
    ) -> Sequence[Hit]:
        """Return places that match each word of ``query``, newest first. See ``Store.search``."""
        self.caller.require("read")
        return await self._store.search(query, owner=self._owner, cursor=cursor, limit=limit)

    @property
    def answering(self) -> frozenset[str]:
        """Ids of the conversations in which an answer is being generated."""
        return frozenset(self._answering.get(self._owner, ()))

    def watch(self, changed: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``changed`` on each change; returns a function that unsubscribes.

        ``changed`` must be cheap.
        """
        key, owner = object(), self._owner
        self._watchers.setdefault(owner, {})[key] = changed

        def unwatch() -> None:
            watchers = self._watchers.get(owner, {})
            watchers.pop(key, None)
            if not watchers:
                self._watchers.pop(owner, None)

        return unwatch

    def tell_answering(self, conversation: Conversation, is_answering: bool) -> None:
        """Record whether an answer is being generated in a conversation, and notify watchers."""
        owner = conversation.info.owner
        ids = self._answering.setdefault(owner, set())
        before = len(ids)
        if is_answering:
            ids.add(conversation.id)
        else:
            ids.discard(conversation.id)
        if not ids:
            del self._answering[owner]
        if len(ids) != before:
            self._tell(owner, Answering(frozenset(ids), owner))

    def touched(self, conversation: Conversation, at: float) -> None:
        """Record that a turn was added at ``at``: the conversation becomes the newest."""
        conversation.info = replace(conversation.info, updated_at=at)
        self._tell_of(conversation.info)

    def _tell_of(self, info: ConversationInfo) -> None:
        self._tell(info.owner, Listed(info))

    def _tell(self, owner: str, change: Change) -> None:
        for tell in tuple(self._watchers.get(owner, {}).values()):
            tell(change)

    # ---- changes by the user -----------------------------------------------------------------

    @whole
    async def create(self, title: str) -> ConversationInfo:
        """Create an empty conversation. Raises ``BadMessage``."""
        self.caller.require("chat")
        conversation = self.new()
        title = _title(title)
        conversation.info = replace(conversation.info, title=title, title_source="person")
        await self.keep(conversation)
        self._tell_of(conversation.info)
        return conversation.info

    async def rename(
        self, conversation_id: str, title: str, *, source: TitleSource = "person"
    ) -> ConversationInfo:
        """Rename a conversation. Raises ``NotFound``, ``BadMessage``."""
        return await self._change(conversation_id, {"title": _title(title), "title_source": source})

    async def pin(self, conversation_id: str, is_pinned: bool) -> ConversationInfo:
        """Pin or unpin a conversation. Raises ``NotFound``."""
        return await self._change(
            conversation_id, {"pinned_at": self._now() if is_pinned else None}
        )

    async def archive(self, conversation_id: str, is_archived: bool) -> ConversationInfo:
        """Archive or unarchive a conversation. Raises ``NotFound``."""
        return await self._change(
            conversation_id, {"archived_at": self._now() if is_archived else None}
        )

    async def tag(self, conversation_id: str, tags: Sequence[str]) -> ConversationInfo:
        """Set the tags of a conversation. Raises ``NotFound``, ``BadMessage``."""
        clean = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags))
        if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG_CHARS for tag in clean):
            raise BadMessage(f"tags: at most {MAX_TAGS}, of 1 to {MAX_TAG_CHARS} characters each.")
        return await self._change(conversation_id, {"tags": clean})

    @whole
    async def delete(self, conversation_ids: Sequence[str]) -> None:
        """Delete conversations and stop their answers. Can be undone for ``UNDO_S``."""
        self.caller.require("chat")
        gone = await self._delete(conversation_ids, self._owner)
        for conversation_id in gone:
            self.witness.saw(self.caller, "conversation_deleted", conversation_id)

    async def _delete(self, conversation_ids: Sequence[str], owner: str) -> Sequence[str]:
        gone = await self._store.delete(conversation_ids, self._now(), owner=owner)
        for conversation_id in gone:
            if conversation := self._open.get(conversation_id):
                self._end(conversation)
        self._tell(owner, Gone(tuple(gone), owner))
        return gone

    @whole
    async def restore(self, conversation_ids: Sequence[str]) -> list[ConversationInfo]:
        """Undo a deletion; returns the restored conversations."""
        self.caller.require("chat")
        infos: list[ConversationInfo] = []
        for conversation_id in await self._store.restore(conversation_ids, owner=self._owner):
            if known := self._open.get(conversation_id):
                known.is_deleted = False
                for waiting in known.waiting.values():
                    if waiting is not None:
                        waiting.begun.clear()
                known.changed()
            if conversation := await self.open(conversation_id):
                infos.append(conversation.info)
                self._tell_of(conversation.info)
        return infos

    async def clean_up(self, retention: Retention) -> None:
        """Purge deleted conversations after ``UNDO_S``, and delete those past their retention."""
        now = self._now()
        await self._store.purge(now - UNDO_S)
        if retention.days is None and retention.count is None:
            return
        before = None if retention.days is None else now - retention.days * 86_400
        count = 0
        try:
            while old := await self._store.outdated(updated_before=before, keep=retention.count):
                for owner in {owner for _, owner in old}:
                    theirs = [name for name, its_owner in old if its_owner == owner]
                    count += len(await self._delete(theirs, owner))
        finally:
            if count:
                by_itself = replace(NOBODY, user_id="")
                self.witness.saw(by_itself, "conversations_expired", f"{count} conversations")

    def forget_all_of(self, owner: str) -> None:
        """Stop all answers of an account that was removed with its data."""
        for conversation in list(self._open.values()):
            if conversation.info.owner == owner:
                self._end(conversation)

    @whole
    async def _change(self, conversation_id: str, changes: dict[str, Any]) -> ConversationInfo:
        self.caller.require("chat")
        conversation = await self.open(conversation_id)
        if conversation is None:
            raise NotFound("There is no such conversation.")
        async with conversation.lock:
            info = replace(conversation.info, **changes)
            await self._store.update(info)
            conversation.info = info
        conversation.changed()
        self._tell_of(info)
        return info

    def _end(self, conversation: Conversation) -> None:
        conversation.is_deleted = True
        for turn in conversation.live.values():
            turn.segments[-1].stop()
        for waiting in conversation.waiting.values():
            if waiting is not None:
                waiting.begun.set()  # releases a request that waits for the answer
        conversation.changed()

    # ---- import and export -------------------------------------------------------------------

    async def walk(
        self, conversation: Conversation, which: Literal["shown", "all"]
    ) -> AsyncIterator[TurnRecord]:
        """Iterate over the shown turns, or over those of all branches, one page at a time."""
        self.caller.require("read")
        async for record in walk(self._store, conversation, which):
            yield record

    @whole
    async def add(self, imported: Imported) -> ConversationInfo:
        """Store a conversation that was read from a file."""
        self.caller.require("chat")
        info = replace(imported.info, owner=self._owner)
        await self._store.add_conversation(info, imported.branches, imported.shown, imported.turns)
        self._tell_of(info)
        return info

    async def known_imports(self) -> dict[int | str, list[str]]:
        """Return the ids of the caller's conversations by time of creation, in milliseconds, and by
        title.

        ``merge`` uses it to find conversations that a file contains again.
        """
        known: dict[int | str, list[str]] = {}
        for conversation_id, title, created_at in await self._store.titles_and_times(self._owner):
            for key in (_milliseconds(created_at), title):
                known.setdefault(key, []).append(conversation_id)
        return known

    async def merge(
        self, imported: Imported, known: dict[int | str, list[str]]
    ) -> tuple[Literal["added", "updated", "unchanged"], str]:
        """Store a conversation of a file, unless it is already present.

        Two conversations are the same if they were created in the same millisecond (if the file has
        no times: have the same title) and all turns of one are in the other. If the file has more
        turns, the stored one is replaced, keeping the caller's title, tags, pin, options, feedback
        and shares; if the stored one has more, it stays as it is. The newest ``MAX_TWINS`` stored
        conversations are compared, since a file may give all of its own the same time.

        Returns:
            What was done, and the id of the conversation.
        """
        created_at = _milliseconds(imported.info.created_at)
        new_turns = Counter(map(_fingerprint, imported.turns))
        outdated: Conversation | None = None
        feedback: dict[tuple[str, str], Feedback] = {}
        key = created_at if imported.is_dated else imported.info.title
        for conversation_id in known.get(key, [])[-MAX_TWINS:]:
            found = await self.open(conversation_id)
            if found is None:
                continue
            records = [
                (_fingerprint(turn), turn.feedback)
                async for turn in walk(self._store, found, "all")
            ]
            its_turns = Counter(fingerprint for fingerprint, _ in records)
            if new_turns <= its_turns:
                return "unchanged", conversation_id
            if its_turns < new_turns and found.id not in self._answering.get(self._owner, ()):
                outdated = found
                feedback = {key: given for key, given in records if given is not None}
        if outdated is None:
            info = await self.add(imported)
        else:
            info = await self._replace(outdated, imported, feedback)
        for key in (created_at, imported.info.title):
            known.setdefault(key, []).append(info.id)
        return ("added" if outdated is None else "updated"), info.id

    async def _replace(
        self,
        outdated: Conversation,
        imported: Imported,
        feedback: Mapping[tuple[str, str], Feedback],
    ) -> ConversationInfo:
        """Keep a conversation of a file in place of an earlier state of it."""
        turns = [
            replace(turn, feedback=turn.feedback or feedback.get(_fingerprint(turn)))
            for turn in imported.turns
        ]
        info = _with_choices(imported.info, outdated.info)
        info = await self.add(replace(imported, info=info, turns=tuple(turns)))
        if outdated.options is not None:
            await self._store.keep_options(info.id, outdated.options)
            if opened := self._open.get(info.id):
                opened.options = outdated.options
        await self._store.move_shares(outdated.id, info.id)
        await self.delete([outdated.id])
        return info


async def walk(
    store: Store, conversation: Conversation, which: Literal["shown", "all"]
) -> AsyncIterator[TurnRecord]:
    """Iterate over the shown turns, or over those of all branches, one page at a time."""
    if which == "shown":
        for first in range(0, conversation.total, PAGE):
            spans = tree.clip(conversation.path(), first, first + PAGE - 1)
            for record in await store.turns(conversation.id, spans):
                yield record
        return
    after: tuple[int, int] | None = None
    while records := await store.all_turns(conversation.id, after=after, limit=PAGE):
        for record in records:
            yield record
        after = records[-1].branch, records[-1].depth


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) // 1000  # truncated, not rounded, as exports write times


def _fingerprint(turn: TurnRecord) -> tuple[str, str]:
    """Return what identifies a turn both in the store and in a file."""
    text = "".join(
        entry.text
        for segment in turn.segments
        for entry in segment.entries
        if isinstance(entry, TextDelta)
    )
    return turn.question, text


def _with_choices(info: ConversationInfo, earlier: ConversationInfo) -> ConversationInfo:
    """Return an imported conversation with the owner's choices for the earlier one."""
    has_own_title = earlier.title_source == "person"
    return replace(
        info,
        title=earlier.title if has_own_title else info.title,
        title_source=earlier.title_source if has_own_title else info.title_source,
        pinned_at=earlier.pinned_at or info.pinned_at,
        archived_at=earlier.archived_at or info.archived_at,
        tags=tuple(dict.fromkeys((*earlier.tags, *info.tags)))[:MAX_TAGS],
    )


def _title(text: str) -> str:
    title = " ".join(text.split())
    if not 0 < len(title) <= MAX_TITLE_CHARS:
        raise BadMessage(f"title: 1 to {MAX_TITLE_CHARS} characters.")
    return title
