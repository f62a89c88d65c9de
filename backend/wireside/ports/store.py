"""The interface of storage for conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wireside.messages import Options
from wireside.records import (
    Branch,
    ConversationInfo,
    Feedback,
    Hit,
    Listing,
    Segment,
    Span,
    StoredConversation,
    TurnPlace,
    TurnRecord,
    Write,
)


class Store(Protocol):
    """Storage of conversations.

    Unknown ids are not an error: nothing is returned or changed. Every method raises ``StoreError``
    when the store is unavailable; nothing is changed then. Times are passed by the caller, in
    seconds since 1970.
    """

    # ---- conversations -----------------------------------------------------------------------

    async def create_conversation(self, info: ConversationInfo) -> None:
        """Add a conversation with its first branch (0), which has no turns: ``last`` is -1."""
        ...

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation without its turns; None when it does not exist or is deleted."""
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
        cursor: str | None,
        limit: int,
    ) -> Listing:
        """Return a page of the archived, or not archived, conversations of ``owner``.

        Pinned ones come first, newest ``pinned_at`` first, then the others, newest ``updated_at``
        first. Deleted conversations are left out.
        """
        ...

    async def update_conversation(self, info: ConversationInfo) -> None:
        """Update title, title source, ``updated_at``, ``pinned_at``, ``archived_at`` and tags."""
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

    async def asking(self, owner: str, *, limit: int) -> Sequence[TurnPlace]:
        """Return where the newest answers of ``owner`` are that wait for an answer to a question.

        Those of deleted conversations are left out.
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

    async def set_shown_branch(self, conversation_id: str, branch: int) -> None:
        """Set the shown branch of a conversation."""
        ...

    async def keep_options(self, conversation_id: str, options: Options) -> None:
        """Store the model and settings chosen for a conversation."""
        ...

    async def set_feedback(self, turn_id: str, feedback: Feedback | None) -> None:
        """Store the feedback on an answer, or remove it."""
        ...

    async def add_conversation(
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

    async def commit_writes(self, writes: Sequence[Write]) -> Sequence[bool]:
        """Write what answers depend on, in order and in one transaction.

        Returns for each whether it was written: an added turn is not if its id is taken. The end of
        an answer makes its text searchable. What belongs to a turn or a stream that does not exist
        (of a deleted conversation) is skipped, and so is what was written before.
        """
        ...

    async def read_segment(self, stream: str) -> tuple[Segment, str] | None:
        """Return the stream of that name with its text, and the id of its conversation."""
        ...

    async def interrupt_all(self) -> int:
        """End all unfinished streams with the reason ``interrupted``, keeping their text.

        Called at start-up, before any answer starts. Returns the number of streams.
        """
        ...

    async def conversations_with_waiting_turns(self) -> Sequence[str]:
        """Return the ids of conversations in which a turn waits."""
        ...

    # ---- search ------------------------------------------------------------------------------

    async def search_documents(
        self, query: str, *, owner: str = "", cursor: int | None, limit: int
    ) -> Sequence[Hit]:
        """Return places in conversations of ``owner`` that match each word of ``query``.

        A word matches at the start of a word; one of three or more characters also inside words.
        Newest first; nothing for a query without a word. Archived conversations are included.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
