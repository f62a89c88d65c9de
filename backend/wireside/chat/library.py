"""The conversations of an account: lists, search, changes, import and export.

Every change is sent to the watchers of the list, so that all open pages show the same state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from wireside.chat import tree
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.core import ChatCore
from wireside.chat.watchers import AskingChanged, Gone, ListChange, Listed
from wireside.errors import BadMessage, NotFound
from wireside.generation.tasks import runs_to_completion
from wireside.identity import NOBODY, Caller
from wireside.messages import Options, TextDelta
from wireside.ports.store import Store
from wireside.records import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    ConversationInfo,
    Feedback,
    Hit,
    Imported,
    Listing,
    TitleSource,
    TurnRecord,
)

MAX_TWINS = 4
"""Conversations that began at one time with which one of a file is compared."""

UNDO_S = 30.0
"""How long a deletion can be undone, in seconds."""

MAX_ASKING = 200
"""Maximum number of open questions that are looked for; older ones are not marked in lists."""

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


class Library:
    """The conversations of the store, restricted to those of ``caller``.

    All methods must be called on the event loop. They raise ``StoreError`` when the store can't be
    read or written, and ``Forbidden`` when the caller lacks permission.
    """

    def __init__(self, core: ChatCore, caller: Caller) -> None:
        self.caller = caller
        self.witness = core.parts.witness
        """Audit log of deletions and exports."""
        self.files = core.parts.files.for_caller(caller)
        """The files of the caller, to which questions can refer."""
        self._conversations = core.conversations
        self._store = core.parts.store
        self._tasks = core.parts.tasks
        self._now = core.parts.wall_clock

    @property
    def _owner_id(self) -> str:
        return self.caller.user_id

    # ---- one conversation --------------------------------------------------------------------

    async def open_conversation(self, conversation_id: str) -> Conversation | None:
        """Return the conversation of that id, or None if the caller has none."""
        conversation = await self._conversations.open_conversation(conversation_id)
        is_own = conversation is not None and conversation.info.owner == self._owner_id
        return conversation if is_own else None

    def new_conversation(self) -> Conversation:
        """Return a conversation with an unguessable id; it is stored with its first turn."""
        return self._conversations.new_conversation(self._owner_id)

    async def read_turns(
        self, conversation: Conversation, first: int, last: int
    ) -> list[ConversationTurn]:
        """Return the shown turns at the depths ``first`` … ``last``, both included."""
        self.caller.require("read")
        if not conversation.is_stored:
            return []
        spans = tree.clip_spans(conversation.shown_path(), first, last)
        return await self._conversations.read_turns(conversation, spans)

    async def read_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Return a turn of any branch. Raises ``NotFound``."""
        return await self._conversations.read_turn(conversation, turn_id)

    # ---- lists of conversations --------------------------------------------------------------

    async def list_page(
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
            owner=self._owner_id, archived=archived, tag=tag, cursor=cursor, limit=limit
        )

    async def search(
        self, query: str, *, cursor: int | None = None, limit: int = 30
    ) -> Sequence[Hit]:
        """Return places that match each word of ``query``, newest first."""
        self.caller.require("read")
        return await self._store.search_documents(
            query, owner=self._owner_id, cursor=cursor, limit=limit
        )

    @property
    def answering(self) -> frozenset[str]:
        """Ids of the conversations in which an answer is being generated."""
        return self._conversations.answering.answering_ids(self._owner_id)

    async def asking(self) -> frozenset[str]:
        """Return the ids of the conversations whose shown turns have an open question."""
        self.caller.require("read")
        found: set[str] = set()
        for place in await self._store.asking(self._owner_id, limit=MAX_ASKING):
            conversation = await self.open_conversation(place.conversation_id)
            if conversation is not None and conversation.is_on_shown_path(place):
                found.add(place.conversation_id)
        return frozenset(found)

    def watch(self, changed: Callable[[ListChange], None]) -> Callable[[], None]:
        """Call ``changed`` on each change; returns a function that unsubscribes.

        ``changed`` must be cheap.
        """
        return self._conversations.list_watchers.add_watcher(self._owner_id, changed)

    def _notify_added(self, info: ConversationInfo) -> None:
        """Report a conversation that was added to the list, with its questions."""
        watchers = self._conversations.list_watchers
        watchers.notify_watchers(info.owner, Listed(info))
        watchers.notify_watchers(info.owner, AskingChanged(info.owner))

    # ---- changes by the user -----------------------------------------------------------------

    @runs_to_completion
    async def create(self, title: str) -> ConversationInfo:
        """Create an empty conversation. Raises ``BadMessage``."""
        self.caller.require("chat")
        conversation = self.new_conversation()
        await self._conversations.perform_change(
            conversation, conversation.create_empty(_validate_title(title))
        )
        return conversation.info

    async def rename(
        self, conversation_id: str, title: str, *, source: TitleSource = "person"
    ) -> ConversationInfo:
        """Rename a conversation. Raises ``NotFound``, ``BadMessage``."""
        return await self._change_entry(
            conversation_id, {"title": _validate_title(title), "title_source": source}
        )

    async def pin(self, conversation_id: str, is_pinned: bool) -> ConversationInfo:
        """Pin or unpin a conversation. Raises ``NotFound``."""
        return await self._change_entry(
            conversation_id, {"pinned_at": self._now() if is_pinned else None}
        )

    async def archive(self, conversation_id: str, is_archived: bool) -> ConversationInfo:
        """Archive or unarchive a conversation. Raises ``NotFound``."""
        return await self._change_entry(
            conversation_id, {"archived_at": self._now() if is_archived else None}
        )

    async def tag(self, conversation_id: str, tags: Sequence[str]) -> ConversationInfo:
        """Set the tags of a conversation. Raises ``NotFound``, ``BadMessage``."""
        clean = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags))
        if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG_CHARS for tag in clean):
            raise BadMessage(f"tags: at most {MAX_TAGS}, of 1 to {MAX_TAG_CHARS} characters each.")
        return await self._change_entry(conversation_id, {"tags": clean})

    @runs_to_completion
    async def delete(self, conversation_ids: Sequence[str]) -> None:
        """Delete conversations and stop their answers. Can be undone for ``UNDO_S``."""
        self.caller.require("chat")
        gone = await self._delete_of_owner(conversation_ids, self._owner_id)
        for conversation_id in gone:
            self.witness.record(self.caller, "conversation_deleted", conversation_id)

    async def _delete_of_owner(self, conversation_ids: Sequence[str], owner: str) -> Sequence[str]:
        gone = await self._store.delete_conversations(conversation_ids, self._now(), owner=owner)
        for conversation_id in gone:
            if conversation := self._conversations.conversation_in_memory(conversation_id):
                self._conversations.publish_events(conversation, conversation.delete())
        self._conversations.list_watchers.notify_watchers(owner, Gone(tuple(gone), owner))
        return gone

    @runs_to_completion
    async def restore(self, conversation_ids: Sequence[str]) -> list[ConversationInfo]:
        """Undo a deletion; returns the restored conversations."""
        self.caller.require("chat")
        infos: list[ConversationInfo] = []
        for conversation_id in await self._store.restore_conversations(
            conversation_ids, owner=self._owner_id
        ):
            if known := self._conversations.conversation_in_memory(conversation_id):
                self._conversations.publish_events(known, known.undelete())
            if conversation := await self.open_conversation(conversation_id):
                infos.append(conversation.info)
                self._notify_added(conversation.info)
        return infos

    async def clean_up(self, retention: Retention) -> None:
        """Purge deleted conversations after ``UNDO_S``, and delete those past their retention."""
        now = self._now()
        await self._store.purge_conversations(now - UNDO_S)
        if retention.days is None and retention.count is None:
            return
        before = None if retention.days is None else now - retention.days * 86_400
        count = 0
        try:
            while old := await self._store.outdated_conversations(
                updated_before=before, keep=retention.count
            ):
                for owner in {owner for _, owner in old}:
                    theirs = [name for name, its_owner in old if its_owner == owner]
                    count += len(await self._delete_of_owner(theirs, owner))
        finally:
            if count:
                by_itself = replace(NOBODY, user_id="")
                self.witness.record(by_itself, "conversations_expired", f"{count} conversations")

    def forget_all_of(self, owner: str) -> None:
        """Stop all answers of an account that was removed with its data."""
        for conversation in self._conversations.conversations_in_memory(owner):
            self._conversations.publish_events(conversation, conversation.delete())

    @runs_to_completion
    async def _change_entry(
        self, conversation_id: str, changes: dict[str, Any]
    ) -> ConversationInfo:
        self.caller.require("chat")
        conversation = await self.open_conversation(conversation_id)
        if conversation is None:
            raise NotFound("There is no such conversation.")
        async with self._conversations.transition_lock(conversation):
            change = conversation.change_info(**changes)
            await self._conversations.perform_change(conversation, change)
        return change.info

    # ---- import and export -------------------------------------------------------------------

    async def iterate_turns(
        self, conversation: Conversation, which: Literal["shown", "all"]
    ) -> AsyncIterator[TurnRecord]:
        """Iterate over the shown turns, or over those of all branches, one page at a time."""
        self.caller.require("read")
        async for record in iterate_turns(self._store, conversation, which):
            yield record

    @runs_to_completion
    async def add_imported(self, imported: Imported) -> ConversationInfo:
        """Store a conversation that was read from a file."""
        self.caller.require("chat")
        info = replace(imported.info, owner=self._owner_id)
        turns = [
            replace(turn, question_parts=await self.files.adopt_parts(turn.question_parts))
            for turn in imported.turns
        ]
        await self._store.add_conversation(info, imported.branches, imported.shown, turns)
        self._notify_added(info)
        return info

    async def known_imports(self) -> dict[int | str, list[str]]:
        """Return the ids of the caller's conversations by time of creation, in milliseconds, and by
        title.

        ``merge_imported`` uses it to find conversations that a file contains again.
        """
        known: dict[int | str, list[str]] = {}
        for conversation_id, title, created_at in await self._store.titles_and_times(
            self._owner_id
        ):
            for key in (_milliseconds(created_at), title):
                known.setdefault(key, []).append(conversation_id)
        return known

    async def merge_imported(
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
            found = await self.open_conversation(conversation_id)
            if found is None:
                continue
            records = [
                (_fingerprint(turn), turn.feedback)
                async for turn in iterate_turns(self._store, found, "all")
            ]
            its_turns = Counter(fingerprint for fingerprint, _ in records)
            if new_turns <= its_turns:
                return "unchanged", conversation_id
            if its_turns < new_turns and found.id not in self.answering:
                outdated = found
                feedback = {key: given for key, given in records if given is not None}
        if outdated is None:
            info = await self.add_imported(imported)
        else:
            info = await self._replace_outdated(outdated, imported, feedback)
        for key in (created_at, imported.info.title):
            known.setdefault(key, []).append(info.id)
        return ("added" if outdated is None else "updated"), info.id

    async def _replace_outdated(
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
        info = await self.add_imported(replace(imported, info=info, turns=tuple(turns)))
        if outdated.options is not None:
            await self._keep_options(info.id, outdated.options)
        await self._store.move_shares(outdated.id, info.id)
        await self.delete([outdated.id])
        return info

    async def _keep_options(self, conversation_id: str, options: Options) -> None:
        if conversation := await self.open_conversation(conversation_id):
            async with self._conversations.transition_lock(conversation):
                change = conversation.choose_options(options)
                await self._conversations.perform_change(conversation, change)


async def iterate_turns(
    store: Store, conversation: Conversation, which: Literal["shown", "all"]
) -> AsyncIterator[TurnRecord]:
    """Iterate over the shown turns, or over those of all branches, one page at a time."""
    if which == "shown":
        for first in range(0, conversation.total, PAGE):
            spans = tree.clip_spans(conversation.shown_path(), first, first + PAGE - 1)
            for record in await store.read_turns(conversation.id, spans):
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


def _validate_title(text: str) -> str:
    title = " ".join(text.split())
    if not 0 < len(title) <= MAX_TITLE_CHARS:
        raise BadMessage(f"title: 1 to {MAX_TITLE_CHARS} characters.")
    return title
