"""The interface of storage for comments on turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wireside.records import Span, TurnComment


class CommentStore(Protocol):
    """Storage of comments.

    Unknown ids, and those of another conversation, are not an error: nothing is returned or
    changed. Every method raises ``StoreError`` when the store is unavailable; nothing is changed
    then.
    """

    async def list_comments(
        self,
        conversation_id: str,
        spans: Sequence[Span] | None = None,
        *,
        turn_id: str | None = None,
    ) -> Sequence[TurnComment]:
        """Return the comments of a conversation, oldest first.

        Args:
            conversation_id: the conversation.
            spans: the turns whose comments are returned; None: those of all turns.
            turn_id: the only one of them whose comments are returned; None: all.
        """
        ...

    async def count_comments(
        self, conversation_id: str, spans: Sequence[Span] | None = None
    ) -> Mapping[str, int]:
        """Return the number of comments by turn; turns without comments are missing."""
        ...

    async def find_comment(self, comment_id: str) -> TurnComment | None:
        """Return a comment; None if there is none."""
        ...

    async def add_comment(self, comment: TurnComment, *, max_count: int) -> bool:
        """Add a comment; the same id is added once.

        Returns False, without a change, if its conversation would have more than ``max_count``, or
        has no such turn.
        """
        ...

    async def edit_comment(self, comment_id: str, text: str, *, at: float) -> bool:
        """Change the text of a comment; False if there is none."""
        ...

    async def delete_comment(self, comment_id: str) -> bool:
        """Delete a comment; False if there is none."""
        ...
