"""The conversations of an account: lists, search, changes, import and export.

Every change is sent to the watchers of the list, so that all open pages show the same state.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from wireside.chat import tree
from wireside.chat.access import (
    NO_CONVERSATION,
    Right,
    check_right,
    list_keys,
    right_on,
    watch_keys,
)
from wireside.chat.comments import Comments
from wireside.chat.conversation import DELETED, Conversation, ConversationTurn
from wireside.chat.copies import copy_turns, in_one_branch, path_to, title_of_copy
from wireside.chat.core import ChatCore
from wireside.chat.folders import Folders
from wireside.chat.members import Members, private_view
from wireside.chat.watchers import AskingChanged, Gone, ListChange, Listed
from wireside.errors import BadMessage, Conflict, NotFound
from wireside.generation.runner import new_stream_name
from wireside.generation.tasks import runs_to_completion
from wireside.identity import NOBODY, Caller
from wireside.invisible_text import seen
from wireside.messages import Options, TextDelta
from wireside.ports.store import NO_FILTER, Store
from wireside.records import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    Branch,
    ConversationInfo,
    Feedback,
    Hit,
    Imported,
    Listing,
    SearchFilter,
    StoredFile,
    TagCount,
    TitleSource,
    TurnRecord,
    UsageSum,
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

MAX_LISTED_TAGS = 500
"""Number of tags that an account's list of them has."""

MAX_ID_CHARS = 64
"""Longest id of a conversation; longer names are names of the caller's programs."""


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
        self.folders = Folders(core, caller)
        """The folders of the caller's conversations."""
        self.members = Members(core, caller, self.open_conversation)
        """The users and groups that conversations are shared with."""
        self.comments = Comments(
            core,
            caller,
            members=self.members,
            find_readable=self.find_readable,
            right_on=self.right_on,
        )
        """The comments on turns of shared conversations."""
        self._is_sharing = core.parts.is_sharing
        self._conversations = core.conversations
        self._others = core.parts.others
        self._usage_store = core.parts.usage_store
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

    async def find_readable(self, conversation_id: str) -> Conversation | None:
        """Return the conversation of that id that the caller may read, own or shared, or None.

        What the caller may do with it is checked by each method that it is passed to.
        """
        conversation = await self._conversations.open_conversation(conversation_id)
        is_readable = conversation is not None and self.right_on(conversation) is not None
        return conversation if is_readable else None

    def right_on(self, conversation: Conversation) -> Right | None:
        """Return the right of the caller on a conversation; None: it does not exist for it."""
        return self.right_on_info(conversation.info)

    def right_on_info(self, info: ConversationInfo) -> Right | None:
        """Return the right of the caller on a conversation of a list."""
        return right_on(info, self.caller, is_sharing=self._is_sharing)

    def check_right(self, conversation: Conversation, needed: Right) -> None:
        """Raise ``NotFound`` or ``Forbidden`` if the caller lacks a right on a conversation."""
        check_right(self.right_on(conversation), needed)

    def view_of(self, info: ConversationInfo) -> ConversationInfo:
        """Return a conversation as the caller may see it: without the choices of another owner."""
        return info if info.owner == self._owner_id else private_view(info)

    def outline(
        self, conversation: Conversation
    ) -> tuple[ConversationInfo, tuple[Branch, ...], int]:
        """Return what the caller may see of a conversation, and the branch that is shown.

        That are all branches of an own one, the shown path of one of another account.
        """
        if self.right_on(conversation) == "own":
            return conversation.info, tuple(conversation.branches.values()), conversation.shown
        path = Branch(id=0, parent=None, first=0, last=conversation.total - 1)
        return private_view(conversation.info), (path,), 0

    async def find_file(self, file_id: str) -> StoredFile:
        """Return a file of the caller, or of a conversation that it may read.

        Raises ``NotFound``.
        """
        try:
            return await self.files.find_file(file_id)
        except NotFound:
            for conversation_id in await self.files.conversations_using(file_id):
                if await self.find_readable(conversation_id):
                    return await self.files.within(conversation_id).find_file(file_id)
            raise

    async def usage_of(self, conversation: Conversation) -> Sequence[tuple[str, UsageSum]]:
        """Return the usage of a conversation by currency, "" for answers of unknown cost."""
        self.caller.require("read")
        self.check_right(conversation, "own")
        store = self._usage_store
        return () if store is None else await store.conversation_usage(conversation.id)

    def new_conversation(self, turn_id: str | None = None) -> Conversation:
        """Return a conversation with an unguessable id; it is stored with its first turn.

        The same ``turn_id`` of that turn gives the same id, whichever server is asked.
        """
        own_id = None if turn_id is None else _id_from([self._owner_id, "turn", turn_id])
        return self._conversations.new_conversation(self._owner_id, own_id)

    def new_temporary_conversation(self) -> Conversation:
        """Return a conversation that is never stored, listed or found.

        It exists as long as its creator holds it; ``discard_temporary`` ends it before that.
        """
        self.caller.require("chat")
        return self._conversations.new_conversation(self._owner_id, is_temporary=True)

    def discard_temporary(self, conversation: Conversation) -> None:
        """Stop the answers of a temporary conversation, and answer no waiting turn."""
        self._conversations.publish_events(conversation, conversation.delete())
        self._conversations.stop_waiting(self._owner_id, frozenset([conversation.id]))

    async def open_or_create(self, name: str) -> Conversation:
        """Return the conversation of that id, or the one that the caller's programs name so.

        The latter is stored with its first turn. Its id follows from the caller and the name, so
        that the same name finds it again, after a restart too.

        Raises:
            NotFound: it was deleted a moment ago.
            StoreError: the store can't be read.
        """
        if own := await self.find_named(name):
            return own
        conversation = self._conversations.new_conversation(self._owner_id, self.id_of_name(name))
        conversation.check_not_deleted()
        return conversation

    async def find_named(self, name: str) -> Conversation | None:
        """Return the conversation that ``open_or_create`` finds, None if it would create one."""
        if len(name) <= MAX_ID_CHARS and (own := await self.open_conversation(name)):
            return own
        return await self.open_conversation(self.id_of_name(name))

    def id_of_name(self, name: str) -> str:
        """Return the id of the conversation that the caller's programs name so."""
        return _id_from([self._owner_id, name])

    async def read_turns(
        self, conversation: Conversation, first: int, last: int
    ) -> list[ConversationTurn]:
        """Return the shown turns at the depths ``first`` … ``last``, both included."""
        self.caller.require("read")
        self.check_right(conversation, "read")
        if not conversation.is_stored:
            return []

        async def read() -> list[ConversationTurn]:
            spans = tree.clip_spans(conversation.shown_path(), first, last)
            return await self._conversations.read_turns(conversation, spans)

        return await self._conversations.read_current(conversation, read)

    async def read_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Return a turn of any branch. Raises ``NotFound``."""
        self.check_right(conversation, "read")
        return await self._conversations.read_current(
            conversation, partial(self._conversations.read_turn, conversation, turn_id)
        )

    # ---- lists of conversations --------------------------------------------------------------

    async def list_page(
        self,
        *,
        archived: bool = False,
        tag: str | None = None,
        folder: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Listing:
        """Return a page of conversations: pinned ones first, then the newest.

        ``folder`` restricts it to those of a folder; "" to pinned ones and those that are in none.
        """
        self.caller.require("read")
        return await self._store.conversations(
            owner=self._owner_id,
            archived=archived,
            tag=tag,
            folder=folder,
            cursor=cursor,
            limit=limit,
        )

    async def list_shared(self, *, cursor: str | None = None, limit: int = 50) -> Listing:
        """Return a page of the conversations that others share with the caller, newest first."""
        self.caller.require("read")
        if not self._is_sharing:
            return Listing((), None)
        listing = await self._store.shared_conversations(
            user=self._owner_id, groups=self.caller.groups, cursor=cursor, limit=limit
        )
        return Listing(tuple(map(self.view_of, listing.conversations)), listing.cursor)

    async def search(
        self,
        query: str,
        *,
        filters: SearchFilter = NO_FILTER,
        cursor: int | None = None,
        limit: int = 30,
    ) -> Sequence[Hit]:
        """Return places that match each word of ``query`` and the filters, newest first.

        With a blank query, these are the titles of the conversations that the filters find. Of
        conversations that others share with the caller, only what is shown is found, and nothing
        with a folder or a tag, which are their owner's.
        """
        self.caller.require("read")
        is_own = filters.folder_id is not None or filters.tag is not None
        groups = self.caller.groups if self._is_sharing and not is_own else None
        hits: list[Hit] = []
        while True:
            found = await self._store.search_documents(
                query,
                owner=self._owner_id,
                groups=groups,
                filters=filters,
                cursor=cursor,
                limit=limit,
            )
            hits += [hit for hit in found if await self._is_shown(hit)]
            if len(found) < limit or len(hits) >= limit:
                return [self._hit_view(hit) for hit in hits[:limit]]
            cursor = found[-1].cursor

    async def _is_shown(self, hit: Hit) -> bool:
        """Return whether the caller can see the place of a hit."""
        if hit.owner == self._owner_id:
            return True
        conversation = await self.find_readable(hit.conversation_id)
        if conversation is None or hit.place is None:
            return conversation is not None
        return conversation.shows_place(*hit.place)

    def _hit_view(self, hit: Hit) -> Hit:
        """Return a hit without what is private to another owner."""
        return hit if hit.owner == self._owner_id else replace(hit, is_archived=False)

    @property
    def answering(self) -> frozenset[str]:
        """Ids of the conversations in which an answer is being generated."""
        return self._conversations.answering_ids(self._owner_id)

    def is_answering(self, info: ConversationInfo) -> bool:
        """Return whether an answer is being generated in a conversation of any owner."""
        return info.id in self._conversations.answering_ids(info.owner)

    async def asking(self) -> frozenset[str]:
        """Return the ids of the conversations whose shown turns have an open question."""
        self.caller.require("read")
        return frozenset(await self._store.asking(self._owner_id, limit=MAX_ASKING))

    def watch(self, changed: Callable[[ListChange], None]) -> Callable[[], None]:
        """Call ``changed`` on each change; returns a function that unsubscribes.

        ``changed`` must be cheap.
        """
        watchers = self._conversations.list_watchers
        unwatch = [watchers.add_watcher(key, changed) for key in watch_keys(self.caller)]

        def unwatch_all() -> None:
            for one in unwatch:
                one()

        return unwatch_all

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

    async def move(self, conversation_id: str, folder_id: str | None) -> ConversationInfo:
        """Put a conversation into a folder; None: into none. Raises ``NotFound``."""
        self.caller.require("chat")
        if folder_id is not None:
            await self.folders.find_folder(folder_id)
        return await self._change_entry(conversation_id, {"folder_id": folder_id})

    async def tag(self, conversation_id: str, tags: Sequence[str]) -> ConversationInfo:
        """Set the tags of a conversation. Raises ``NotFound``, ``BadMessage``."""
        clean = _clean_tags(tags)
        return await self._change_entry(conversation_id, {"tags": clean})

    async def set_tag(self, conversation_id: str, tag: str, is_set: bool) -> ConversationInfo:
        """Add a tag to a conversation, or remove it. Raises ``NotFound``, ``BadMessage``."""
        (clean,) = _clean_tags([tag])

        def tags_of(info: ConversationInfo) -> dict[str, Any]:
            others = [one for one in info.tags if one != clean]
            return {"tags": _clean_tags([*others, clean] if is_set else others)}

        return await self._change_entry(conversation_id, tags_of)

    async def count_tags(self) -> Sequence[TagCount]:
        """Return the most frequent tags of the caller's conversations, ordered by tag."""
        self.caller.require("read")
        return await self._store.count_tags(self._owner_id, limit=MAX_LISTED_TAGS)

    @runs_to_completion
    async def delete(self, conversation_ids: Sequence[str]) -> None:
        """Delete conversations and stop their answers. Can be undone for ``UNDO_S``."""
        self.caller.require("chat")
        gone = await self._delete_of_owner(conversation_ids, self._owner_id)
        for conversation_id in gone:
            self.witness.record(self.caller, "conversation_deleted", conversation_id)

    @runs_to_completion
    async def delete_all(self) -> int:
        """Delete all conversations, archived ones too, and stop their answers; return how many."""
        self.caller.require("chat")
        count = 0
        while gone := await self._delete_of_owner(await self.list_ids(PAGE), self._owner_id):
            count += len(gone)
            for conversation_id in gone:
                self.witness.record(self.caller, "conversation_deleted", conversation_id)
        return count

    async def list_ids(self, limit: int | None = None) -> list[str]:
        """Return the ids of all conversations, or of the first ``limit``; archived ones last."""
        ids: list[str] = []
        for archived in (False, True):
            cursor: str | None = None
            while limit is None or len(ids) < limit:
                listing = await self._store.conversations(
                    owner=self._owner_id, archived=archived, cursor=cursor, limit=PAGE
                )
                ids += [info.id for info in listing.conversations]
                cursor = listing.cursor
                if cursor is None:
                    break
        return ids[:limit]

    async def _delete_of_owner(self, conversation_ids: Sequence[str], owner: str) -> Sequence[str]:
        gone = await self._store.delete_conversations(conversation_ids, self._now(), owner=owner)
        for conversation_id in gone:
            if conversation := self._conversations.conversation_in_memory(conversation_id):
                self._conversations.publish_events(conversation, conversation.delete())
                self._conversations.announce_shared(list_keys(conversation.info.members))
        self._conversations.list_watchers.notify_watchers(owner, Gone(tuple(gone), owner))
        self._conversations.stop_waiting(owner, frozenset(gone))
        self._others.announce_changes(gone)
        return gone

    @runs_to_completion
    async def restore(self, conversation_ids: Sequence[str]) -> list[ConversationInfo]:
        """Undo a deletion; returns the restored conversations."""
        self.caller.require("chat")
        infos: list[ConversationInfo] = []
        restored = await self._store.restore_conversations(conversation_ids, owner=self._owner_id)
        self._others.announce_changes(restored)
        for conversation_id in restored:
            if known := self._conversations.conversation_in_memory(conversation_id):
                if self._conversations.is_shared:
                    await self._conversations.refresh(known)
                else:
                    self._conversations.publish_events(known, known.undelete())
            if conversation := await self.open_conversation(conversation_id):
                infos.append(conversation.info)
                self._notify_added(conversation.info)
                self._conversations.announce_shared(list_keys(conversation.info.members))
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
        self._conversations.stop_waiting(owner, None)

    @runs_to_completion
    async def _change_entry(
        self,
        conversation_id: str,
        changes: dict[str, Any] | Callable[[ConversationInfo], dict[str, Any]],
    ) -> ConversationInfo:
        """Change fields of a conversation: to values, or to those that follow from its own."""
        self.caller.require("chat")
        conversation = await self.open_conversation(conversation_id)
        if conversation is None:
            raise NotFound(NO_CONVERSATION)

        async def change_info() -> ConversationInfo:
            conversation.check_not_deleted()
            new = changes(conversation.info) if callable(changes) else changes
            change = conversation.change_info(**new)
            await self._conversations.perform_change(conversation, change)
            return change.info

        return await self._conversations.change(conversation, change_info)

    # ---- copies ------------------------------------------------------------------------------

    @runs_to_completion
    async def duplicate(self, conversation_id: str) -> ConversationInfo:
        """Copy a conversation with all of its branches, those that the caller may see.

        Raises ``NotFound``.
        """
        conversation = await self._find_to_copy(conversation_id)

        async def read() -> Imported:
            records = [record async for record in self.iterate_turns(conversation, "all")]
            _, branches, shown = self.outline(conversation)
            self._check_complete(records, sum(one.last + 1 - one.first for one in branches))
            info = self._info_of_copy(conversation)
            return copy_turns(info, records, branches, shown, new_id=new_stream_name)

        return await self._add_copy(conversation, read)

    @runs_to_completion
    async def fork(self, conversation_id: str, turn_id: str) -> ConversationInfo:
        """Copy the turns up to ``turn_id``, itself included. Raises ``NotFound``."""
        conversation = await self._find_to_copy(conversation_id)

        async def read() -> Imported:
            turn = await self._conversations.read_turn(conversation, turn_id)
            spans = path_to(conversation.branches, turn.branch, turn.depth)
            records: list[TurnRecord] = []
            for first in range(0, turn.depth + 1, PAGE):
                clipped = tree.clip_spans(spans, first, first + PAGE - 1)
                records += await self._store.read_turns(conversation.id, clipped)
            self._check_complete(records, turn.depth + 1)
            if self.right_on(conversation) != "own":
                records = list(map(_without_private, records))
            flat, branch = in_one_branch(records)
            info = self._info_of_copy(conversation)
            return copy_turns(info, flat, [branch], branch.id, new_id=new_stream_name)

        return await self._add_copy(conversation, read)

    async def _find_to_copy(self, conversation_id: str) -> Conversation:
        self.caller.require("chat")
        conversation = await self.find_readable(conversation_id)
        if conversation is None:
            raise NotFound(NO_CONVERSATION)
        return conversation

    def _check_complete(self, records: Sequence[TurnRecord], count: int) -> None:
        """Raise ``Conflict`` if another server has changed the turns while they were read."""
        if self._conversations.is_shared and len(records) != count:
            raise Conflict

    def _info_of_copy(self, conversation: Conversation) -> ConversationInfo:
        now = self._now()
        return replace(
            self.view_of(conversation.info),
            id=new_stream_name(),
            owner=self._owner_id,
            members=(),
            title=title_of_copy(conversation.title, max_chars=MAX_TITLE_CHARS),
            title_source="person",  # the number must stay when the next answer ends
            created_at=now,
            updated_at=now,
            pinned_at=None,
            archived_at=None,
        )

    async def _add_copy(
        self, conversation: Conversation, read: Callable[[], Awaitable[Imported]]
    ) -> ConversationInfo:
        # the lock keeps turns in their places from the first page to the last
        copied = await self._conversations.change(conversation, read)
        info, turns = copied.info, list(copied.turns)
        is_own = self.right_on(conversation) == "own"
        if not is_own:
            files = self.files.within(conversation.id)
            turns = [
                replace(turn, question_parts=await files.copy_parts(turn.question_parts))
                for turn in turns
            ]
        await self._store.add_imported(info, copied.branches, copied.shown, turns)
        if conversation.options is not None and is_own:
            await self._keep_options(info.id, conversation.options)
        self._others.announce_changes((info.id,))
        self._notify_added(info)
        return info

    # ---- import and export -------------------------------------------------------------------

    async def iterate_turns(
        self, conversation: Conversation, which: Literal["shown", "all"]
    ) -> AsyncIterator[TurnRecord]:
        """Iterate over the shown turns, or over those of all branches, one page at a time.

        Of a conversation of another account, these are the shown turns, as ``outline`` has them.
        """
        self.caller.require("read")
        self.check_right(conversation, "read")
        if self.right_on(conversation) == "own":
            async for record in iterate_turns(self._store, conversation, which):
                yield record
            return
        depth = 0
        async for record in iterate_turns(self._store, conversation, "shown"):
            yield replace(_without_private(record), branch=0, depth=depth)
            depth += 1

    @runs_to_completion
    async def add_imported(self, imported: Imported) -> ConversationInfo:
        """Store a conversation with its turns, which a file or a client has brought.

        Raises:
            NotFound: a conversation of its id was deleted and is not purged yet.
        """
        self.caller.require("chat")
        info = replace(imported.info, owner=self._owner_id)
        if imported.folder and (folder := await self.folders.find_or_create(imported.folder)):
            info = replace(info, folder_id=folder.id)
        turns = [
            replace(turn, question_parts=await self.files.adopt_parts(turn.question_parts))
            for turn in imported.turns
        ]
        if not await self._store.add_imported(info, imported.branches, imported.shown, turns):
            raise NotFound(DELETED)
        self._others.announce_changes((info.id,))
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
        folder = "" if info.folder_id else imported.folder
        info = await self.add_imported(
            replace(imported, info=info, turns=tuple(turns), folder=folder)
        )
        if outdated.options is not None:
            await self._keep_options(info.id, outdated.options)
        await self._store.move_shares(outdated.id, info.id)
        await self.delete([outdated.id])
        return info

    async def _keep_options(self, conversation_id: str, options: Options) -> None:
        if conversation := await self.open_conversation(conversation_id):

            async def choose() -> None:
                change = conversation.choose_options(options)
                await self._conversations.perform_change(conversation, change)

            await self._conversations.change(conversation, choose)


def _id_from(names: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


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


def _without_private(record: TurnRecord) -> TurnRecord:
    """Return a turn without what only its owner may see, as in links (``transfer.sharing``)."""
    return replace(record, options=Options(), feedback=None, asked_by=None)


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
        folder_id=earlier.folder_id,
        members=earlier.members,
        tags=tuple(dict.fromkeys((*earlier.tags, *info.tags)))[:MAX_TAGS],
    )


def _clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return tags without invisible characters, each once. Raises ``BadMessage``."""
    clean = tuple(dict.fromkeys(" ".join(seen(tag).split()) for tag in tags))
    if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG_CHARS for tag in clean):
        raise BadMessage(f"tags: at most {MAX_TAGS}, of 1 to {MAX_TAG_CHARS} characters each.")
    return clean


def _validate_title(text: str) -> str:
    title = " ".join(text.split())
    if not 0 < len(title) <= MAX_TITLE_CHARS:
        raise BadMessage(f"title: 1 to {MAX_TITLE_CHARS} characters.")
    return title
