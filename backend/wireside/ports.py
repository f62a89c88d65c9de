"""What the outside must offer, on one page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from wireside.messages import Delta, ModelInfo, ModelRequest
from wireside.records import (
    Branch,
    ConversationInfo,
    Feedback,
    Hit,
    Listing,
    Segment,
    Span,
    StoredConversation,
    Tail,
    TurnRecord,
)

Clock = Callable[[], float]
"""Seconds that only grow (``time.monotonic``); passed in wherever time decides something."""


class Provider(Protocol):
    """Somebody who answers: an OpenAI-compatible server, the embedded model, a script."""

    async def warm_up(self) -> None:
        """Do what is slow once, so that the first question need not wait. Raises nothing that the
        first answer would not tell.
        """
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models on offer, the default first. Raises ``ProviderError``."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Answer: text, reasoning and tool deltas, then exactly one ``Finished``.

        Deltas that arrived together may come joined. Raises ``ProviderError``, ``UnknownModel``,
        ``NotConfigured``, ``BadMessage`` or ``Overloaded``, before or after some deltas. Closing
        the generator, or cancelling the task that iterates it, closes the upstream response
        before it returns.
        """
        ...

    async def aclose(self) -> None:
        """Free connections and processes. Streams that still run end with an error."""
        ...


class Store(Protocol):
    """Where conversations are kept. Ids that it does not know are no error: nothing is returned or
    done. Every method raises ``StoreError`` when the store can't do it now; then nothing of it is
    done. Times come from the caller, in seconds since 1970.
    """

    # ---- conversations -----------------------------------------------------------------------

    async def create(self, info: ConversationInfo) -> None:
        """Keep a new conversation, with its first branch (0) that has no turns: ``last`` is -1."""
        ...

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """Return a conversation without its turns; None when there is none, or it is deleted."""
        ...

    async def conversations(
        self, *, archived: bool = False, tag: str | None = None, cursor: str | None, limit: int
    ) -> Listing:
        """Return a page of those that are (not) archived: pinned ones first, the newest
        ``pinned_at`` first, then the others, the newest ``updated_at`` first. Deleted ones are not
        there.
        """
        ...

    async def update(self, info: ConversationInfo) -> None:
        """Keep title, its source, ``updated_at``, ``pinned_at``, ``archived_at`` and tags."""
        ...

    async def delete(self, conversation_ids: Sequence[str], at: float) -> None:
        """Hide conversations from everything, until ``restore`` or ``purge``."""
        ...

    async def restore(self, conversation_ids: Sequence[str]) -> Sequence[str]:
        """Take a deletion back; returns the ids that are there again."""
        ...

    async def purge(self, deleted_before: float) -> int:
        """Remove what was deleted before that time from tables, search and files; says how many."""
        ...

    async def outdated(self, *, updated_before: float | None, keep: int | None) -> Sequence[str]:
        """Return up to 500 ids of conversations, neither pinned nor deleted, that were last updated
        before that time, or that are not among the ``keep`` newest of all that are not deleted.
        """
        ...

    # ---- turns -------------------------------------------------------------------------------

    async def add_turn(self, turn: TurnRecord, branches: Sequence[Branch], shown: int) -> bool:
        """Keep a new turn without segments, and the branches that it begins or makes longer, in one
        step; ``shown`` becomes the conversation's. Its ``updated_at`` becomes the turn's time.

        Returns False, and does nothing, when there is a turn of that id already.
        """
        ...

    async def remove_turn(self, turn_id: str) -> None:
        """Remove a turn without segments. Those after it on its branch move up by one, and the
        branch becomes shorter by one.
        """
        ...

    async def turns(self, conversation_id: str, spans: Sequence[Span]) -> Sequence[TurnRecord]:
        """Return the turns of these spans with their segments, in the order of the spans, then of
        their depth.
        """
        ...

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """Return one turn with its segments; None when there is none, or it is deleted."""
        ...

    async def all_turns(
        self, conversation_id: str, *, after: tuple[int, int] | None, limit: int
    ) -> Sequence[TurnRecord]:
        """Return turns of all branches, by branch, then depth, those after that place."""
        ...

    async def show(self, conversation_id: str, branch: int) -> None:
        """Remember which branch is shown."""
        ...

    async def judge(self, turn_id: str, feedback: Feedback | None) -> None:
        """Keep what a person said of an answer, or forget it."""
        ...

    async def add_conversation(
        self,
        info: ConversationInfo,
        branches: Sequence[Branch],
        shown: int,
        turns: Sequence[TurnRecord],
    ) -> bool:
        """Keep a whole conversation, with its finished segments (an import); it is there when all
        of it is. Returns False, and does nothing, when there is one of that id already.
        """
        ...

    # ---- answers -----------------------------------------------------------------------------

    async def begin(self, turn_id: str, segment: Segment, *, anew: bool = False) -> None:
        """Keep a stream that is about to be made: the turn's next segment, or (``anew``) the only
        one, in place of those before. The turn waits no more.
        """
        ...

    async def write(self, tails: Sequence[Tail]) -> None:
        """Keep what is new of all running answers, in one commit. Doing it twice does no harm. An
        end makes the answer's text searchable. Streams that are gone (a deleted conversation) are
        passed over.
        """
        ...

    async def segment(self, stream: str) -> tuple[Segment, str] | None:
        """Return the stream of that name with its text, and its conversation's id."""
        ...

    async def interrupt_all(self) -> int:
        """End all streams that have no end with the reason ``interrupted``, keeping their text;
        called at the start, before anybody is answered. Says how many there were.
        """
        ...

    async def waiting(self) -> Sequence[str]:
        """Return the ids of conversations in which a turn waits."""
        ...

    # ---- search ------------------------------------------------------------------------------

    async def search(self, query: str, *, cursor: int | None, limit: int) -> Sequence[Hit]:
        """Return places where all words of ``query`` begin a word, the newest first. Nothing for a
        query without a word. Archived conversations are searched too.
        """
        ...

    async def aclose(self) -> None:
        """Free all connections."""
        ...
