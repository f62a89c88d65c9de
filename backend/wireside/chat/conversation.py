"""The in-memory state of a conversation that is open in a page or being answered.

The turns themselves are in the store; this holds what they need while they change: the shown
branch, the waiting turns, the growing answers and the watchers to notify.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from wireside.chat import tree
from wireside.generation.runner import Stream
from wireside.messages import End, Options
from wireside.records import (
    Branch,
    ConversationInfo,
    Feedback,
    Span,
    StoredConversation,
    TurnRecord,
)

TITLE_CHARS = 60

Changed = Callable[[str | None], None]
"""Called with the id of a changed turn; None if the shown turns or the title have changed."""


@dataclass(slots=True, eq=False, weakref_slot=True, kw_only=True)
class Turn:
    """A question with its answer: one stream, and another for each "Continue"."""

    id: str
    question: str
    options: Options
    branch: int
    depth: int
    created_at: float
    waiting: bool = False
    feedback: Feedback | None = None
    segments: list[Stream] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the turn stops waiting: it is being answered, or was withdrawn (no segments)."""

    @property
    def text(self) -> str:
        """The visible text of the answer so far."""
        return "".join(stream.log.text() for stream in self.segments)

    @property
    def is_live(self) -> bool:
        """Whether the answer may still grow."""
        return bool(self.segments) and self.segments[-1].is_live

    @property
    def end(self) -> End | None:
        """How the answer ended; None without an answer or an end."""
        return self.segments[-1].log.end if self.segments else None


class Conversation:
    """The shape of a conversation and its watchers. Hold ``lock`` to change it."""

    def __init__(self, stored: StoredConversation, *, is_kept: bool = True) -> None:
        """``is_kept``: the store has it; a new one is stored with its first turn."""
        self.info: ConversationInfo = stored.info
        self.branches: dict[int, Branch] = {branch.id: branch for branch in stored.branches}
        self.shown = stored.shown
        self.options: Options | None = stored.options
        """The model and settings chosen for the conversation; None until a choice was made."""
        self.waiting: dict[str, Turn | None] = dict.fromkeys(stored.waiting)
        self.live: dict[str, Turn] = {}
        self.places: list[Callable[[], None]] = []
        """Callables that release its slots among the concurrent answers (``Quotas.occupy``).

        One for each running answer. The next waiting turn reuses the slot of the one before it.
        """
        self.wanted = 0
        """Number of slots to reserve for a question that is being written to the store."""
        self.is_kept = is_kept
        self.is_deleted = False
        self.removals = 0
        """Number of withdrawn turns; when it changes, turns have moved to other depths."""
        self.lock = asyncio.Lock()
        self._turns: WeakValueDictionary[str, Turn] = WeakValueDictionary()
        self._watchers: dict[object, Changed] = {}

    @property
    def id(self) -> str:
        """The conversation's unguessable id."""
        return self.info.id

    @property
    def title(self) -> str:
        """The conversation's title."""
        return self.info.title

    @property
    def total(self) -> int:
        """Number of turns on the shown path."""
        return self.branches[self.shown].last + 1

    def settle(self) -> None:
        """Release the slots that neither a running answer nor the next one needs."""
        is_next = bool(self.waiting) and not self.is_deleted
        needed = max(len(self.live), self.wanted, is_next)
        while len(self.places) > needed:
            self.places.pop()()

    def path(self) -> list[Span]:
        """Return the spans of the shown turns."""
        return tree.path(self.branches, self.shown)

    def siblings(self, turn: Turn) -> tuple[int, int]:
        """Return the index of a turn among its siblings, and their number.

        Siblings are turns that follow the same turn.
        """
        branches = tree.siblings(self.branches, turn.branch, turn.depth)
        return branches.index(turn.branch), len(branches)

    def shows(self, turn: Turn) -> bool:
        """Return whether a turn is on the shown path."""
        return any(
            span.branch == turn.branch and span.first <= turn.depth <= span.last
            for span in self.path()
        )

    def take(
        self,
        spans: Sequence[Span],
        records: Iterable[TurnRecord],
        find: Callable[[str], Stream | None],
    ) -> list[Turn]:
        """Return the turns of ``spans`` in their current state.

        ``records`` are those that the store has. Turns already in memory stay the same objects,
        including those that the store does not have yet. ``find`` returns a stream that is in
        memory.
        """
        turns = {turn.id: turn for turn in (self.one(record, find) for record in records)}
        for turn in tuple(self._turns.values()):
            for span in spans:
                if turn.branch == span.branch and span.first <= turn.depth <= span.last:
                    turns[turn.id] = turn
        return sorted(turns.values(), key=lambda turn: turn.depth)

    def known(self, turn_id: str) -> Turn | None:
        """Return a turn that is already in memory, or None."""
        return self._turns.get(turn_id)

    def remember(self, turn: Turn) -> None:
        """Register a new turn."""
        self._turns[turn.id] = turn

    def forget(self, turn: Turn) -> None:
        """Remove a withdrawn turn; the turns after it on its branch move up."""
        self.removals += 1
        del self._turns[turn.id]
        for other in tuple(self._turns.values()):
            if other.branch == turn.branch and other.depth > turn.depth:
                other.depth -= 1

    def watch(self, changed: Changed) -> Callable[[], None]:
        """Call ``changed`` on each change; returns a function that unsubscribes.

        ``changed`` must be cheap.
        """
        key = object()
        self._watchers[key] = changed

        def unwatch() -> None:
            self._watchers.pop(key, None)

        return unwatch

    def changed(self, turn_id: str | None = None) -> None:
        """Notify all watchers."""
        for tell in tuple(self._watchers.values()):
            tell(turn_id)

    def one(self, record: TurnRecord, find: Callable[[str], Stream | None]) -> Turn:
        """Return the turn of ``record`` in its current state."""
        if turn := self._turns.get(record.id):
            return turn
        turn = Turn(
            id=record.id,
            question=record.question,
            options=record.options,
            branch=record.branch,
            depth=record.depth,
            created_at=record.created_at,
            waiting=record.is_waiting,
            feedback=record.feedback,
            segments=[
                find(segment.stream) or Stream.restored(segment, self.info.owner)
                for segment in record.segments
            ],
        )
        if not turn.waiting:
            turn.begun.set()
        self._turns[turn.id] = turn
        return turn


def title_of(question: str) -> str:
    """Return a title made of the first words of a question."""
    words = " ".join(question.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1] + "…"
