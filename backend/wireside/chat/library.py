"""All conversations: which there are, and those that are open now. What lists of them show.

Every change is told to those who watch the list, so that all open pages show the same.
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
from wireside.chat.importing import MAX_TAG_CHARS, MAX_TAGS, Imported
from wireside.errors import BadMessage, NotFound
from wireside.generation.runner import Runner, new_name
from wireside.generation.tasks import Tasks, whole
from wireside.identity import LOCAL, NOBODY, Caller
from wireside.messages import TextDelta
from wireside.ports import Blind, Clock, Store, Witness
from wireside.records import (
    Branch,
    ConversationInfo,
    Feedback,
    Hit,
    Listing,
    StoredConversation,
    TitleSource,
    TurnRecord,
)

UNDO_S = 30.0
"""How long a deletion can be taken back, in seconds."""

PAGE = 200
"""Turns that are read at a time when a whole conversation is gone through."""

MAX_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """What is deleted by itself: conversations that nobody has gone on with for ``days``, and those
    beyond the ``count`` newest. None keeps all. Pinned ones stay.
    """

    days: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation is new in the list, or looks different there."""

    info: ConversationInfo


@dataclass(frozen=True, slots=True)
class Gone:
    """Conversations are deleted."""

    ids: tuple[str, ...]
    owner: str


@dataclass(frozen=True, slots=True)
class Answering:
    """In which conversations of ``owner`` an answer is being made now."""

    ids: frozenset[str]
    owner: str


Change = Listed | Gone | Answering


class Library:
    """The conversations of the store, as ``caller`` may use them: others' are not there. Every
    method belongs to the event loop, and raises ``StoreError`` when the store can't be read or
    written, ``Forbidden`` where the caller may not do it.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        tasks: Tasks,
        wall_clock: Clock,
        caller: Caller = LOCAL,
    ) -> None:
        """``wall_clock`` gives seconds since 1970."""
        self.caller = caller
        self.witness: Witness = Blind()
        """Who keeps in mind what is deleted and exported."""
        self._store = store
        self._tasks = tasks
        self._runner = runner
        self._now = wall_clock
        self._open: WeakValueDictionary[str, Conversation] = WeakValueDictionary()
        self._answering: dict[str, set[str]] = {}
        """The conversations in which an answer is being made, by owner."""
        self._watchers: dict[str, dict[object, Callable[[Change], None]]] = {}
        """Who watches the list, by owner."""

    def of(self, caller: Caller) -> Library:
        """Return the same conversations as ``caller`` may use them."""
        library = copy(self)
        library.caller = caller
        return library

    @property
    def _owner(self) -> str:
        return self.caller.user_id

    # ---- one conversation --------------------------------------------------------------------

    async def open(self, conversation_id: str) -> Conversation | None:
        """Return the conversation of that id, None when the caller has none."""
        if conversation := self._open.get(conversation_id):
            is_there = not conversation.is_deleted and conversation.info.owner == self._owner
            return conversation if is_there else None
        stored = await self._store.conversation(conversation_id)
        if stored is None or stored.info.owner != self._owner:
            return None
        # somebody else may have opened it while the store was asked
        return self._open.setdefault(conversation_id, Conversation(stored))

    def new(self) -> Conversation:
        """Return a conversation that is kept with its first turn, under an unguessable id."""
        now = self._now()
        info = ConversationInfo(new_name(), "", now, now, owner=self._owner)
        conversation = Conversation(
            StoredConversation(info, (Branch(0, None, 0, -1),), 0), is_kept=False
        )
        self._open[conversation.id] = conversation
        return conversation

    async def keep(self, conversation: Conversation) -> None:
        """Put a new conversation into the store."""
        if not conversation.is_kept:
            await self._store.create(conversation.info)
            conversation.is_kept = True

    async def turns(self, conversation: Conversation, first: int, last: int) -> list[Turn]:
        """Return the shown turns of the depths ``first`` … ``last``, both included."""
        self.caller.require("read")
        spans = tree.clip(conversation.path(), first, last)
        if not spans or not conversation.is_kept:
            return []
        records = await self._store.turns(conversation.id, spans)
        return conversation.take(spans, records, self._runner.known)

    async def turn(self, conversation: Conversation, turn_id: str) -> Turn:
        """Return a turn, on whatever branch. Raises ``NotFound``."""
        if turn := conversation.known(turn_id):
            return turn
        record = await self._store.turn(turn_id)
        if record is None or record.conversation_id != conversation.id:
            raise NotFound("This message is not in the conversation any more.")
        return conversation.one(record, self._runner.known)

    # ---- what a list shows -------------------------------------------------------------------

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
        """Return places where all words of ``query`` begin a word, the newest first."""
        self.caller.require("read")
        return await self._store.search(query, owner=self._owner, cursor=cursor, limit=limit)

    @property
    def answering(self) -> frozenset[str]:
        """The conversations in which an answer is being made."""
        return frozenset(self._answering.get(self._owner, ()))

    def watch(self, changed: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``changed``, which must be cheap, at each change; returns what ends that."""
        key, owner = object(), self._owner
        self._watchers.setdefault(owner, {})[key] = changed

        def unwatch() -> None:
            watchers = self._watchers.get(owner, {})
            watchers.pop(key, None)
            if not watchers:
                self._watchers.pop(owner, None)

        return unwatch

    def tell_answering(self, conversation: Conversation, is_answering: bool) -> None:
        """An answer has begun, or none is being made any more."""
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
        """A turn was added: the conversation is the newest now."""
        conversation.info = replace(conversation.info, updated_at=at)
        self._tell_of(conversation.info)

    def _tell_of(self, info: ConversationInfo) -> None:
        self._tell(info.owner, Listed(info))

    def _tell(self, owner: str, change: Change) -> None:
        for tell in tuple(self._watchers.get(owner, {}).values()):
            tell(change)

    # ---- what a person changes ---------------------------------------------------------------

    @whole
    async def create(self, title: str) -> ConversationInfo:
        """Begin an empty conversation. Raises ``BadMessage``."""
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
        """Give it another title. Raises ``NotFound``, ``BadMessage``."""
        return await self._change(conversation_id, {"title": _title(title), "title_source": source})

    async def pin(self, conversation_id: str, is_pinned: bool) -> ConversationInfo:
        """Keep it on top, or no more. Raises ``NotFound``."""
        return await self._change(
            conversation_id, {"pinned_at": self._now() if is_pinned else None}
        )

    async def archive(self, conversation_id: str, is_archived: bool) -> ConversationInfo:
        """Put it away, or back. Raises ``NotFound``."""
        return await self._change(
            conversation_id, {"archived_at": self._now() if is_archived else None}
        )

    async def tag(self, conversation_id: str, tags: Sequence[str]) -> ConversationInfo:
        """Set its tags. Raises ``NotFound``, ``BadMessage``."""
        clean = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags))
        if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG_CHARS for tag in clean):
            raise BadMessage(f"tags: at most {MAX_TAGS}, of 1 to {MAX_TAG_CHARS} characters each.")
        return await self._change(conversation_id, {"tags": clean})

    @whole
    async def delete(self, conversation_ids: Sequence[str]) -> None:
        """Delete conversations and stop their answers. It can be taken back for ``UNDO_S``."""
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
        """Take a deletion back; returns what is there again."""
        self.caller.require("chat")
        infos: list[ConversationInfo] = []
        for conversation_id in await self._store.restore(conversation_ids, owner=self._owner):
            if known := self._open.get(conversation_id):
                known.is_deleted = False
                known.changed()
            if conversation := await self.open(conversation_id):
                infos.append(conversation.info)
                self._tell_of(conversation.info)
        return infos

    async def clean_up(self, retention: Retention) -> None:
        """Remove for good what was deleted a while ago, and delete what is kept no longer."""
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
        """An account was removed with all it had: stop its answers."""
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
        conversation.changed()

    # ---- in and out --------------------------------------------------------------------------

    async def walk(
        self, conversation: Conversation, which: Literal["shown", "all"]
    ) -> AsyncIterator[TurnRecord]:
        """Go through the turns that are shown, or those of all branches, a page at a time."""
        self.caller.require("read")
        async for record in walk(self._store, conversation, which):
            yield record

    @whole
    async def add(self, imported: Imported) -> ConversationInfo:
        """Keep a conversation that was read from a file."""
        self.caller.require("chat")
        info = replace(imported.info, owner=self._owner)
        await self._store.add_conversation(info, imported.branches, imported.shown, imported.turns)
        self._tell_of(info)
        return info

    async def known_imports(self) -> dict[int | str, list[str]]:
        """Return the ids of the caller's conversations by time of creation, in milliseconds, and by
        title.

        ``merge`` looks there for conversations that a file holds again.
        """
        known: dict[int | str, list[str]] = {}
        for conversation_id, title, created_at in await self._store.titles_and_times(self._owner):
            for key in (_milliseconds(created_at), title):
                known.setdefault(key, []).append(conversation_id)
        return known

    async def merge(
        self, imported: Imported, known: dict[int | str, list[str]]
    ) -> tuple[Literal["added", "updated", "unchanged"], str]:
        """Keep a conversation of a file, unless it is here already.

        A conversation is the same when it began at the same millisecond (without times in the
        file: has the same title) and all turns of one are in the other. One that the file
        continues is replaced, with the caller's title, tags, pin, options, feedback and shares; one
        that was continued here stays as it is.

        Returns:
            What was done, and the id of the conversation.
        """
        created_at = _milliseconds(imported.info.created_at)
        new_turns = Counter(map(_fingerprint, imported.turns))
        outdated: Conversation | None = None
        feedback: dict[tuple[str, str], Feedback] = {}
        for conversation_id in known.get(
            created_at if imported.is_dated else imported.info.title, ()
        ):
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
    """Go through the turns that are shown, or those of all branches, a page at a time."""
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
    return round(seconds * 1_000_000) // 1000  # as exports write times: cut, not rounded


def _fingerprint(turn: TurnRecord) -> tuple[str, str]:
    """Return what makes a turn the same in the store and in a file."""
    text = "".join(
        entry.text
        for segment in turn.segments
        for entry in segment.entries
        if isinstance(entry, TextDelta)
    )
    return turn.question, text


def _with_choices(info: ConversationInfo, earlier: ConversationInfo) -> ConversationInfo:
    """Return a conversation of a file with what its owner chose for the earlier one."""
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
