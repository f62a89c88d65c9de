"""The interface of storage for conversations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from wireside.messages import Options
from wireside.records import (
    Branch,
    ConversationInfo,
    ConversationVersion,
    Feedback,
    Hit,
    Listing,
    SearchFilter,
    Segment,
    Span,
    StoredConversation,
    StoredTail,
    TagCount,
    TurnRecord,
    Write,
    WriteResult,
)

NO_FILTER = SearchFilter()


class Store(Protocol):
    """Storage of conversations.

    Unknown ids are not an error: nothing is returned or changed. Every method raises ``StoreError``
    when the store is unavailable; nothing is changed then. Times are passed by the caller, in
    seconds since 1970.

    Each change of a conversation raises its version by one. A change that is given the version for
    which it was made raises ``Conflict`` if that is not the version of the conversation any more;
    nothing is changed then. Only a store that several servers share looks at it.
    """

    # ---- conversations -----------------------------------------------------------------------

    async def create_conversation(self, info: ConversationInfo) -> None:
        """Add a conversation with its first branch (0), which has no turns: ``last`` is -1."""
        ...

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation without its turns; None when it does not exist or is deleted."""
        ...

    async def conversation_with_turns(
        self, conversation_id: str, turn_ids: Sequence[str]
    ) -> tuple[StoredConversation, Sequence[TurnRecord]] | None:
        """Return a conversation with those of the turns that it has, at one point in time.

        Turns that are being answered are added to them. None when it does not exist or is deleted.
        """
        ...

    async def versions(self, conversation_ids: Sequence[str]) -> Mapping[str, ConversationVersion]:
        """Return how far the store is with conversations; those that it does not have are missing.

        A deleted one is there until it is purged.
        """
        ...

    async def titles_and_times(self, owner: str) -> Sequence[tuple[str, str, float]]:
        """Return the ids of an owner's conversations with their titles and creation times."""
        ...

    async def move_shares(self, old_id: str, new_id: str) -> None:
        """Attach the shared snapshots of one conversation to another, so that they outlive it."""
        ...

    async def conversations(
        self,
        *,
        owner: str = "",
        archived: bool = False,
        tag: str | None = None,
        folder: str | None = None,
        cursor: str | None,
        limit: int,
    ) -> Listing:
        """Return a page of the archived, or not archived, conversations of ``owner``.

        ``folder`` restricts it to the conversations of a folder; "" to pinned ones and those that
        are in none.

        Pinned ones come first, newest ``pinned_at`` first, then the others, newest ``updated_at``
        first. Deleted conversations are left out.
        """
        ...

    async def shared_conversations(
        self, *, user: str, groups: Collection[str], cursor: str | None, limit: int
    ) -> Listing:
        """Return a page of the conversations of others that are shared with a user.

        ``groups`` are those of the user. The newest ``updated_at`` comes first.
        """
        ...

    async def count_tags(self, owner: str, *, limit: int) -> Sequence[TagCount]:
        """Return the ``limit`` most frequent tags of an owner's conversations, ordered by tag."""
        ...

    async def update_conversation(
        self, info: ConversationInfo, *, version: int | None = None
    ) -> None:
        """Update title, title source, ``updated_at``, pin, archive, folder and tags.

        A folder that the owner does not have is none.
        """
        ...

    async def delete_conversations(
        self, conversation_ids: Sequence[str], at: float, *, owner: str = ""
    ) -> Sequence[str]:
        """Hide conversations of ``owner`` everywhere; returns the ids of those that existed.

        ``restore_conversations`` undoes it, until ``purge_conversations`` removes them.
        """
        ...

    async def restore_conversations(
        self, conversation_ids: Sequence[str], *, owner: str = ""
    ) -> Sequence[str]:
        """Undo a deletion; returns the ids of the restored conversations."""
        ...

    async def purge_conversations(self, deleted_before: float) -> int:
        """Remove conversations that were deleted before that time, and return their number.

        They are removed from the tables, the search index and the files.
        """
        ...

    async def outdated_conversations(
        self, *, updated_before: float | None, keep: int | None
    ) -> Sequence[tuple[str, str]]:
        """Return up to 500 outdated conversations, neither pinned nor deleted, as id and owner.

        Outdated are those last updated before ``updated_before``, or not among the ``keep`` newest
        of their owner.
        """
        ...

    # ---- turns -------------------------------------------------------------------------------

    async def read_turns(self, conversation_id: str, spans: Sequence[Span]) -> Sequence[TurnRecord]:
        """Return the turns of the spans with their segments, ordered by span, then by depth."""
        ...

    async def asking(self, owner: str, *, limit: int) -> Sequence[str]:
        """Return the conversations of ``owner`` whose shown turns have an open question.

        Only the ``limit`` newest open questions are considered; deleted conversations are left out.
        """
        ...

    async def read_turn(self, turn_id: str) -> TurnRecord | None:
        """Return one turn with its segments; None when it does not exist or is deleted."""
        ...

    async def all_turns(
        self, conversation_id: str, *, after: tuple[int, int] | None, limit: int
    ) -> Sequence[TurnRecord]:
        """Return turns of all branches, ordered by branch, then depth.

        ``after`` is the branch and depth of the last turn already read.
        """
        ...

    async def set_shown_branch(
        self, conversation_id: str, branch: int, *, version: int | None = None
    ) -> None:
        """Set the shown branch of a conversation."""
        ...

    async def keep_options(
        self, conversation_id: str, options: Options, *, version: int | None = None
    ) -> None:
        """Store the model and settings chosen for a conversation."""
        ...

    async def set_feedback(
        self,
        conversation_id: str,
        turn_id: str,
        feedback: Feedback | None,
        *,
        version: int | None = None,
    ) -> None:
        """Store the feedback on an answer, or remove it."""
        ...

    async def add_imported(
        self,
        info: ConversationInfo,
        branches: Sequence[Branch],
        shown: int,
        turns: Sequence[TurnRecord],
    ) -> bool:
        """Add a whole conversation with its finished segments (an import).

        It becomes visible once all of it is stored. Returns False and changes nothing if a
        conversation of that id exists.
        """
        ...

    # ---- answers -----------------------------------------------------------------------------

    async def commit_writes(
        self, writes: Sequence[Write], *, replica: str | None = None
    ) -> Sequence[WriteResult]:
        """Write what answers depend on, in order and in one transaction.

        ``replica`` is the id of this server, if several share the database. Raises ``Fenced``, and
        writes nothing, if the others have removed it.

        Returns for each whether it was written: an added turn is not if its id is taken, or if
        it creates a conversation that exists, deleted or not. None is for those that were made for
        another version of their conversation than it has, and for the later ones of the same
        conversation; a shared store says so too of a turn that creates one that exists. The end of
        an answer makes its text searchable. What belongs to a turn or a stream that does not exist
        (of a purged conversation) is skipped, and so is what was written before.
        """
        ...

    async def read_segment(self, stream: str) -> tuple[Segment, str] | None:
        """Return the stream of that name with its text, and the id of its conversation."""
        ...

    async def turn_of_stream(self, stream: str) -> tuple[str, str] | None:
        """Return the ids of the conversation and the turn of a stream."""
        ...

    async def request_stop(self, stream: str) -> None:
        """Note that the server which writes an answer must stop it; does nothing after its end."""
        ...

    async def requested_stops(self) -> Sequence[str]:
        """Return the names of the running streams whose stop was requested."""
        ...

    async def read_tails(self, offsets: Mapping[str, int]) -> Mapping[str, StoredTail]:
        """Return what there is of each stream after its offset; nothing of unknown streams.

        For streams that another server writes, so only on PostgreSQL.
        """
        ...

    async def answering_conversations(self) -> Sequence[tuple[str, str]]:
        """Return owner and id of the conversations that are being answered."""
        ...

    async def interrupt_all(self) -> int:
        """End all unfinished streams with the reason ``interrupted``, keeping their text.

        Called at start-up, before any answer starts. Returns the number of streams.
        """
        ...

    async def interrupt_orphans(self) -> Sequence[tuple[str, str]]:
        """End the unfinished streams whose replica was removed, as ``interrupt_all`` does.

        Returns them with their conversations; no other server is given the same ones.
        """
        ...

    async def conversations_with_waiting_turns(self) -> Sequence[str]:
        """Return the ids of conversations in which a turn waits and none is being answered."""
        ...

    # ---- requests that clients name by a key -------------------------------------------------

    async def claim_request(self, digest: str, stream: str, at: float) -> str:
        """Make ``stream`` the answer to a request, and return the name of the one that is it.

        That is another one if the request has an answer already.
        """
        ...

    async def find_request(self, digest: str) -> str | None:
        """Return the name of the stream that answers a request; None if it was not made."""
        ...

    async def forget_request(self, digest: str, stream: str) -> None:
        """Forget a request that ``stream`` answers, so that it can be made again."""
        ...

    async def forget_requests(self, before: float) -> None:
        """Forget the requests that were made before that time."""
        ...

    # ---- search ------------------------------------------------------------------------------

    async def search_documents(
        self,
        query: str,
        *,
        owner: str = "",
        groups: Collection[str] | None = None,
        filters: SearchFilter = NO_FILTER,
        cursor: int | None,
        limit: int,
    ) -> Sequence[Hit]:
        """Return places in conversations of ``owner`` that match each word of ``query``.

        With ``groups``, also in those that others share with ``owner`` or one of these groups: in
        all of their turns, also in those that members do not see.

        ``filters`` restricts them; with a blank query, the titles of the conversations that it
        finds are returned.

        A word matches at the start of a word; one of three or more characters also inside words.
        Newest first; nothing for a query without a word. Archived conversations are included.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
