"""A conversation that somebody looks at, or in which an answer is being made.

The turns are in the store; here is what they need while they change: which branch is shown, which
turns wait, which answers grow, and who is to be told.
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
"""Hears which turn has changed; None: other turns are shown, or the title is another one."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Turn:
    """A question with its answer: a stream, and one more for each "Continue"."""

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
    """Set when it waits no more: it is being answered, or was taken back (without segments)."""

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
        """How the answer ended, None while there is none."""
        return self.segments[-1].log.end if self.segments else None


class Conversation:
    """The shape of a conversation, and who watches it. Who changes it holds ``lock``."""

    def __init__(self, stored: StoredConversation, *, is_kept: bool = True) -> None:
        """``is_kept``: the store knows it; a new one is kept with its first turn."""
        self.info: ConversationInfo = stored.info
        self.branches: dict[int, Branch] = {branch.id: branch for branch in stored.branches}
        self.shown = stored.shown
        self.options: Options | None = stored.options
        """The model and settings chosen for it, None before a choice was made."""
        self.waiting: dict[str, Turn | None] = dict.fromkeys(stored.waiting)
        self.live: dict[str, Turn] = {}
        self.places: list[Callable[[], None]] = []
        """What frees its places among the answers made at once (``Quotas.occupy``): one for each
        that is being made. The next of those that wait takes over the place of the one before it.
        """
        self.wanted = 0
        """How many places there must be for a question that is on its way into the store."""
        self.is_kept = is_kept
        self.is_deleted = False
        self.removals = 0
        """How many turns were taken back: others are at their places."""
        self.lock = asyncio.Lock()
        self._turns: WeakValueDictionary[str, Turn] = WeakValueDictionary()
        self._watchers: dict[object, Changed] = {}

    @property
    def id(self) -> str:
        """Its name, which nobody can guess."""
        return self.info.id

    @property
    def title(self) -> str:
        """What it is called."""
        return self.info.title

    @property
    def total(self) -> int:
        """How many turns are shown."""
        return self.branches[self.shown].last + 1

    def settle(self) -> None:
        """Free the places that no answer needs, neither one being made nor the next."""
        is_next = bool(self.waiting) and not self.is_deleted
        needed = max(len(self.live), self.wanted, is_next)
        while len(self.places) > needed:
            self.places.pop()()

    def path(self) -> list[Span]:
        """Return the spans of the shown turns."""
        return tree.path(self.branches, self.shown)

    def siblings(self, turn: Turn) -> tuple[int, int]:
        """Return the place of a turn among those that follow the same turn, and their number."""
        branches = tree.siblings(self.branches, turn.branch, turn.depth)
        return branches.index(turn.branch), len(branches)

    def shows(self, turn: Turn) -> bool:
        """Whether a turn is on the shown path."""
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
        """Return the turns of ``spans``, of which the store gave ``records``, as they are now.

        Turns that are known here stay the same objects, also those that the store does not have
        yet; ``find`` knows streams that are in memory.
        """
        turns = {turn.id: turn for turn in (self.one(record, find) for record in records)}
        for turn in tuple(self._turns.values()):
            for span in spans:
                if turn.branch == span.branch and span.first <= turn.depth <= span.last:
                    turns[turn.id] = turn
        return sorted(turns.values(), key=lambda turn: turn.depth)

    def known(self, turn_id: str) -> Turn | None:
        """Return a turn that somebody holds already."""
        return self._turns.get(turn_id)

    def remember(self, turn: Turn) -> None:
        """There is a new turn."""
        self._turns[turn.id] = turn

    def forget(self, turn: Turn) -> None:
        """A turn was taken back; those after it move up."""
        self.removals += 1
        del self._turns[turn.id]
        for other in tuple(self._turns.values()):
            if other.branch == turn.branch and other.depth > turn.depth:
                other.depth -= 1

    def watch(self, changed: Changed) -> Callable[[], None]:
        """Call ``changed``, which must be cheap, at each change; returns what ends that."""
        key = object()
        self._watchers[key] = changed

        def unwatch() -> None:
            self._watchers.pop(key, None)

        return unwatch

    def changed(self, turn_id: str | None = None) -> None:
        """Tell everybody who watches."""
        for tell in tuple(self._watchers.values()):
            tell(turn_id)

    def one(self, record: TurnRecord, find: Callable[[str], Stream | None]) -> Turn:
        """Return the turn of ``record`` as it is now."""
        if turn := self._turns.get(record.id):
            return turn
        turn = Turn(
            record.id,
            record.question,
            record.options,
            record.branch,
            record.depth,
            record.created_at,
            record.is_waiting,
            record.feedback,
            [
                find(segment.stream) or Stream.restored(segment, self.info.owner)
                for segment in record.segments
            ],
        )
        if not turn.waiting:
            turn.begun.set()
        self._turns[turn.id] = turn
        return turn


def title_of(question: str) -> str:
    """Return the first words of a question."""
    words = " ".join(question.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1] + "…"
