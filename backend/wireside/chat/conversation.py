"""State machine of one conversation: its branches, its waiting turns and its running answers.

Nothing here awaits, stores, notifies or reads a clock: ``OpenConversations`` and
``ConversationRunner`` execute it, ids, times and streams are passed in.

Theory of operation: what the store keeps changes in three steps. A transition (``append_turn``,
``fork_turn``, ``withdraw_turn`` …) checks the state and returns a change, a value with everything
that must be stored. The caller stores it. ``apply_change`` (``start_answer`` for an answer) then
makes it the state and returns the events for readers: a change that can't be stored is dropped, and
no reader has seen it. The caller holds the conversation's lock from the transition to
``apply_change``. The end of an answer and a deletion are known to the store already; they change
the state at once.

A turn waits, is answered and ends. The first waiting turn is the next to be answered once no other
answer is running (``next_turn``). A retry of an answer without text and "Continue" start an ended
turn again, even while another answer is running.

Each stored change raises ``version`` by one. Where several servers change a conversation, a change
that was made for an older version is refused; ``reload_from`` then makes the state that of the
store, in the same object, and the transition is made again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never
from weakref import WeakValueDictionary

from wireside.chat import tree
from wireside.chat.changes import (
    AnsweredElsewhere,
    AnsweringChanged,
    BranchShown,
    Change,
    ConversationChanged,
    ConversationCreated,
    EntryChanged,
    Event,
    FeedbackGiven,
    InfoChanged,
    OptionsChosen,
    QuestionAnsweredElsewhere,
    QuestionsChanged,
    StopAnswer,
    TurnChanged,
)
from wireside.errors import NotFound, TooMany
from wireside.extension.questions import open_question
from wireside.generation.runner import Stream
from wireside.messages import End, Options, parts_of
from wireside.parts import (
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    is_hidden,
    text_of,
)
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    Feedback,
    Segment,
    Span,
    StoredConversation,
    TurnAdded,
    TurnRecord,
    TurnWithdrawn,
)

TITLE_CHARS = 60

TITLE_SOURCE_CHARS = 1_000
"""Number of characters of a question of which its title is made."""

_MARKS = tuple(
    (re.compile(pattern, re.MULTILINE), kept)
    for pattern, kept in (
        (r"^ {0,3}(?:```|~~~)[^\n`]{0,60}$", ""),  # the fence of a code block, with its language
        (r"^ {0,3}(?:#{1,6}|>|[-*+]) +", ""),  # a heading, a quote, an item of a list
        (
            r"!?\[([^\[\]\n]{1,200})\]\((?=[^()\s]{0,200}[./#])[^()\s]{1,500}\)",
            r"\1",
        ),  # a link, an image
        (r"\*\*(\S(?:[^*\n]{0,200}\S)?)\*\*", r"\1"),  # bold
        (r"`([^`\n]{1,200})`", r"\1"),  # code
    )
)
"""Marks of Markdown that are plain in a title: those that are rarely meant as they stand."""

DELETED = "This conversation was deleted."

WAITING_TURNS = 20
"""Maximum number of waiting questions in one conversation."""

StreamOf = Callable[[Segment], Stream]
"""Returns the stream of a stored segment: the one in memory, or one made of the segment."""


@dataclass(slots=True, eq=False, weakref_slot=True, kw_only=True)
class ConversationTurn:
    """A question with its answer: one stream, and another for each "Continue"."""

    id: str
    question_parts: tuple[Part, ...]
    options: Options
    branch: int
    depth: int
    created_at: float
    waiting: bool = False
    feedback: Feedback | None = None
    segments: list[Stream] = field(default_factory=list)
    asked_by: str | None = None
    """The account that asked; None: the owner of the conversation."""

    @property
    def question(self) -> str:
        """The text of the question."""
        return text_of(self.question_parts)

    @property
    def answer(self) -> tuple[Part, ...]:
        """The parts of the answer so far."""
        return parts_of(*(stream.log.entries for stream in self.segments))

    @property
    def text(self) -> str:
        """The visible text of the answer so far."""
        return text_of(self.answer)

    @property
    def has_content(self) -> bool:
        """Whether the answer has anything to keep: text, tool calls, tables, files …

        Reasoning and an open question alone are nothing.
        """
        answer = self.answer
        asked = open_question(answer)
        return any(
            bool(part.text.strip())
            if isinstance(part, TextPart)
            else not isinstance(part, ReasoningPart) and part is not asked and not is_hidden(part)
            for part in answer
        )

    @property
    def is_live(self) -> bool:
        """Whether the answer may still grow."""
        return bool(self.segments) and self.segments[-1].is_live

    @property
    def can_continue(self) -> bool:
        """Whether there is an answer that has ended."""
        return bool(self.segments) and not self.is_live

    @property
    def end(self) -> End | None:
        """How the answer ended; None without an answer or an end."""
        return self.segments[-1].log.end if self.segments else None


class Conversation:
    """State of one conversation. Turns are in memory while they are waiting, running or in use."""

    def __init__(
        self, stored: StoredConversation, *, is_stored: bool = True, is_temporary: bool = False
    ) -> None:
        """``is_stored``: the store has it; a new one is stored with its first turn.

        ``is_temporary``: it is never stored, and all of its turns stay in memory.
        """
        self.info: ConversationInfo = stored.info
        self.branches: dict[int, Branch] = {branch.id: branch for branch in stored.branches}
        self.shown = stored.shown
        self.options: Options | None = stored.options
        """The model and settings chosen for the conversation; None until a choice was made."""
        self.waiting: dict[str, ConversationTurn | None] = dict.fromkeys(stored.waiting)
        """The waiting turns in their order; None for one that is not in memory."""
        self.live: dict[str, ConversationTurn] = {}
        """The turns being answered."""
        self.reserved_slots = 0
        """Number of concurrent answers for which a question that is being stored needs slots."""
        self.version = stored.version
        """Number of changes of the stored conversation that this state has."""
        self.is_stored = is_stored
        self.is_temporary = is_temporary
        self.is_deleted = False
        self.removals = 0
        """Number of withdrawn turns; when it changes, turns have moved to other depths."""
        self._turns: WeakValueDictionary[str, ConversationTurn] = WeakValueDictionary()
        self._kept: dict[str, ConversationTurn] = {}
        """The turns of a temporary conversation."""

    @classmethod
    def new(cls, info: ConversationInfo, *, is_temporary: bool = False) -> Conversation:
        """Return a conversation without turns, which is not stored yet."""
        first = Branch(id=0, parent=None, first=0, last=-1)
        stored = StoredConversation(info=info, branches=(first,), shown=0)
        return cls(stored, is_stored=False, is_temporary=is_temporary)

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

    @property
    def answers_at_once(self) -> bool:
        """Whether a new turn is answered at once, because none is waiting or being answered."""
        return not self.live and not self.waiting

    @property
    def next_turn(self) -> str | None:
        """Id of the waiting turn to answer now; None while another answer is running."""
        if self.live or self.is_deleted:
            return None
        return next(iter(self.waiting), None)

    @property
    def slots_needed(self) -> int:
        """Number of concurrent answers, running or next, that must have a slot."""
        is_next = bool(self.waiting) and not self.is_deleted
        return max(len(self.live), self.reserved_slots, is_next)

    def reserve_slots(self, *, at_once: bool, count: int = 1) -> int:
        """Need slots for ``count`` answers to a question that is being stored; return how many.

        It takes over the slot of a running answer unless it starts ``at_once``.
        """
        self.reserved_slots = len(self.live) + count if at_once else 1
        return self.reserved_slots

    def cancel_reservation(self) -> None:
        """Need slots only for the running and the next answer again."""
        self.reserved_slots = 0

    def shown_path(self) -> list[Span]:
        """Return the spans of the shown turns."""
        return tree.path_of_spans(self.branches, self.shown)

    def siblings(self, turn: ConversationTurn) -> tuple[int, int]:
        """Return the index of a turn among its siblings, and their number.

        Siblings are turns that follow the same turn.
        """
        branches = tree.sibling_branches(self.branches, turn.branch, turn.depth)
        return branches.index(turn.branch), len(branches)

    def is_on_shown_path(self, turn: ConversationTurn) -> bool:
        """Return whether a turn is on the shown path."""
        return self.shows_place(turn.branch, turn.depth)

    def shows_place(self, branch: int, depth: int) -> bool:
        """Return whether the turn at a place is on the shown path."""
        return any(
            span.branch == branch and span.first <= depth <= span.last for span in self.shown_path()
        )

    # ---- turns in memory ---------------------------------------------------------------------

    @property
    def turns_in_memory(self) -> tuple[str, ...]:
        """Ids of the turns that are in memory."""
        return tuple(self._turns.keys())

    def turn_in_memory(self, turn_id: str) -> ConversationTurn | None:
        """Return a turn that is already in memory, or None."""
        return self._turns.get(turn_id)

    def has_place_of(self, record: TurnRecord) -> bool:
        """Return whether there is a turn where a record says; if not, this state is too old."""
        branch = self.branches.get(record.branch)
        return branch is not None and branch.first <= record.depth <= branch.last

    def load_turn(self, record: TurnRecord, stream_of: StreamOf) -> ConversationTurn:
        """Return the turn of a stored record in its current state.

        A turn already in memory stays the same object.
        """
        if turn := self._turns.get(record.id):
            return turn
        return self._remember_turn(record, [stream_of(segment) for segment in record.segments])

    def load_turns(
        self, spans: Sequence[Span], records: Iterable[TurnRecord], stream_of: StreamOf
    ) -> list[ConversationTurn]:
        """Return the turns of ``spans`` in their current state, in order of their depth.

        ``records`` are those that the store has. Turns that it does not have yet are in memory.
        """
        turns = {record.id: self.load_turn(record, stream_of) for record in records}
        for turn in tuple(self._turns.values()):
            if any(_span_contains(span, turn) for span in spans):
                turns[turn.id] = turn
        return sorted(turns.values(), key=lambda turn: turn.depth)

    def _remember_turn(self, record: TurnRecord, segments: list[Stream]) -> ConversationTurn:
        turn = ConversationTurn(
            id=record.id,
            question_parts=record.question_parts,
            options=record.options,
            branch=record.branch,
            depth=record.depth,
            created_at=record.created_at,
            waiting=record.is_waiting,
            feedback=record.feedback,
            segments=segments,
            asked_by=record.asked_by,
        )
        self._turns[turn.id] = turn
        if self.is_temporary:
            self._kept[turn.id] = turn
        if turn.id in self.waiting:
            self.waiting[turn.id] = turn
        return turn

    # ---- transitions: return what must be stored -----------------------------------------------

    def create_empty(self, title: str) -> ConversationCreated:
        """Create the conversation with a title chosen by the user, before it has any turn."""
        return ConversationCreated(replace(self.info, title=title, title_source="person"))

    def check_not_deleted(self) -> None:
        """Raise ``NotFound`` if the conversation was deleted."""
        if self.is_deleted:
            raise NotFound(DELETED)

    def check_queue(self) -> None:
        """Raise ``TooMany`` if no further turn may wait."""
        if len(self.waiting) >= WAITING_TURNS:
            raise TooMany(f"{WAITING_TURNS} messages are waiting already.")

    def append_turn(
        self,
        turn_id: str,
        question: tuple[Part, ...],
        options: Options,
        *,
        now: float,
        asked_by: str | None = None,
    ) -> TurnAdded:
        """Ask at the end of the shown path. Raises ``NotFound`` or ``TooMany``.

        The first question becomes the title. ``asked_by`` is an account other than the owner.
        """
        self.check_not_deleted()
        self.check_queue()
        title = self.title or title_from_question(text_of(question) or name_of_file(question))
        branch = tree.extend_branch(self.branches, self.shown)
        record = self._turn_record(turn_id, question, options, branch=branch, now=now)
        record = replace(record, asked_by=asked_by)
        return self._turn_added(record, branch, replace(self.info, title=title))

    def fork_turn(
        self,
        turn: ConversationTurn,
        turn_id: str,
        question: tuple[Part, ...],
        options: Options | None,
        *,
        now: float,
    ) -> TurnAdded:
        """Ask in place of ``turn``, with ``options`` or those of the turn: an edit or a retry.

        The new turn is a sibling of ``turn``; the turns after that leave the shown path.
        """
        branch = tree.fork_branch(self.branches, turn.branch, turn.depth)
        record = self._turn_record(
            turn_id, question, options_for(turn, options), branch=branch, now=now
        )
        return self._turn_added(record, branch, self.info)

    def is_next(self, turn: ConversationTurn) -> bool:
        """Return whether a turn waits as the first one."""
        return next(iter(self.waiting), None) == turn.id

    def retry_in_progress(
        self, turn: ConversationTurn, options: Options | None, question: tuple[Part, ...]
    ) -> ConversationTurn | None:
        """Return the turn that already does what a retry of ``turn`` would do, or None.

        It is ``turn`` while that waits or is being answered, or a sibling with ``question`` and the
        same options that has no content yet.
        """
        if turn.is_live or turn.waiting:
            return turn
        branches = tree.sibling_branches(self.branches, turn.branch, turn.depth)
        for other in (*self.live.values(), *self.waiting.values()):
            if (
                other is not None
                and other is not turn
                and other.depth == turn.depth
                and other.branch in branches
                and other.question_parts == question
                and other.options == options_for(turn, options)
                and not other.has_content
            ):
                return other
        return None

    def withdraw_turn(self, turn: ConversationTurn) -> TurnWithdrawn:
        """Withdraw a waiting turn. Raises ``NotFound`` if it is not waiting.

        If it ends the shown path as the only turn of its branch, a sibling is shown instead.
        """
        if not turn.waiting:
            raise NotFound("This message is being answered already.")
        changed = tree.branches_without(self.branches, turn.branch, turn.depth)
        branches = self.branches | {branch.id: branch for branch in changed}
        shown = self.shown
        if tree.is_empty_branch(branches[shown]) and (
            siblings := tree.sibling_branches(branches, shown, turn.depth)
        ):
            shown = tree.tip_branch(branches, siblings[-1], turn.depth)
        return TurnWithdrawn(
            conversation_id=self.id,
            turn_id=turn.id,
            branches=tuple(changed),
            shown=shown,
            version=self.version,
        )

    def begin_answer(
        self,
        turn: ConversationTurn | TurnRecord,
        segment: Segment,
        *,
        replaces: bool = False,
        file_ids: tuple[str, ...] = (),
    ) -> AnswerBegun:
        """Answer a turn: add ``segment`` to it, or replace its earlier segments.

        ``turn`` may be one that is added by the change before. ``file_ids`` are files to which the
        answer refers. Raises ``RuntimeError`` if it is being answered.
        """
        if isinstance(turn, ConversationTurn) and turn.is_live:
            raise RuntimeError("the turn is being answered")
        is_added_before = isinstance(turn, TurnRecord)
        return AnswerBegun(
            conversation_id=self.id,
            turn_id=turn.id,
            segment=segment,
            replaces=replaces,
            file_ids=file_ids,
            version=self.version + is_added_before,
        )

    def show_turn(self, turn: ConversationTurn) -> BranchShown | None:
        """Put a turn on the shown path; None if it is there."""
        return None if self.is_on_shown_path(turn) else self._branch_shown(turn.branch, turn.depth)

    def show_sibling(self, turn: ConversationTurn, step: int) -> BranchShown | None:
        """Show the next (1) or previous (-1) sibling of a turn; None if there is none."""
        siblings = tree.sibling_branches(self.branches, turn.branch, turn.depth)
        index = siblings.index(turn.branch) + step
        return (
            self._branch_shown(siblings[index], turn.depth) if 0 <= index < len(siblings) else None
        )

    def choose_options(self, options: Options) -> OptionsChosen | None:
        """Choose the model and settings for the next answers; None if they are chosen already."""
        if options == self.options:
            return None
        return OptionsChosen(options, self.is_stored, self.version)

    def give_feedback(self, turn: ConversationTurn, feedback: Feedback | None) -> FeedbackGiven:
        """Give feedback on an answer, or remove it (None)."""
        return FeedbackGiven(turn.id, feedback, self.version)

    def change_info(self, **changes: Any) -> InfoChanged:
        """Change fields of ``info``: title, pin, archive, folder, tags, members."""
        return InfoChanged(replace(self.info, **changes), self.version)

    def _turn_record(
        self,
        turn_id: str,
        question: tuple[Part, ...],
        options: Options,
        *,
        branch: Branch,
        now: float,
    ) -> TurnRecord:
        return TurnRecord(
            id=turn_id,
            conversation_id=self.id,
            branch=branch.id,
            depth=branch.last,
            question_parts=question,
            created_at=now,
            options=options,
            is_waiting=True,
        )

    def _turn_added(self, record: TurnRecord, branch: Branch, info: ConversationInfo) -> TurnAdded:
        info = replace(info, updated_at=record.created_at)
        return TurnAdded(
            record=record,
            branch=branch,
            info=info,
            creates=not self.is_stored,
            version=self.version,
        )

    def _branch_shown(self, branch: int, depth: int) -> BranchShown:
        return BranchShown(tree.tip_branch(self.branches, branch, depth), self.version)

    # ---- changes that are stored: return the events ------------------------------------------

    def apply_change(self, change: Change) -> list[Event]:
        """Make a stored change part of the state; returns the events for readers."""
        match change:
            case ConversationCreated(info):
                self.info, self.is_stored = info, True
                return [EntryChanged(info)]
            case OptionsChosen(options, is_stored):
                self.options = options
                self.version += is_stored
                return [ConversationChanged()]
        self.version += 1
        match change:
            case TurnAdded():
                return self._apply_turn_added(change)
            case TurnWithdrawn():
                return self._apply_turn_withdrawn(change)
            case BranchShown(branch, _):
                self.shown = branch
                return [ConversationChanged(), QuestionsChanged()]
            case FeedbackGiven(turn_id, feedback, _):
                if turn := self.turn_in_memory(turn_id):
                    turn.feedback = feedback
                return [TurnChanged(turn_id)]
            case InfoChanged(info, _):
                self.info = info
                return [ConversationChanged(), EntryChanged(info)]
            case _:
                assert_never(change)

    def _apply_turn_added(self, change: TurnAdded) -> list[Event]:
        self.info, self.is_stored = change.info, True
        self.branches[change.branch.id] = change.branch
        self.shown = change.branch.id
        self.waiting[change.record.id] = None
        self._remember_turn(change.record, [])
        events: list[Event] = [EntryChanged(change.info), ConversationChanged()]
        is_fork = change.branch.first == change.branch.last and change.branch.parent is not None
        return [*events, QuestionsChanged()] if is_fork else events

    def _apply_turn_withdrawn(self, change: TurnWithdrawn) -> list[Event]:
        turn = self._turns.pop(change.turn_id)
        self._kept.pop(turn.id, None)
        del self.waiting[turn.id]
        turn.waiting = False
        shortened, *moved = (branch.id for branch in change.branches)
        for other in tuple(self._turns.values()):
            is_after = other.branch == shortened and other.depth > turn.depth
            if is_after or other.branch in moved:
                other.depth -= 1
        self.branches.update((branch.id, branch) for branch in change.branches)
        self.shown = change.shown
        self.removals += 1
        return [ConversationChanged()]

    def start_answer(self, begun: AnswerBegun, stream: Stream) -> list[Event]:
        """Attach the stream of an answer that has begun; returns the events for readers."""
        self.version += 1
        turn = self._turns[begun.turn_id]
        answers = [QuestionsChanged()] if _asks(turn) else []
        turn.segments = [stream] if begun.replaces else [*turn.segments, stream]
        turn.waiting = False
        self.waiting.pop(turn.id, None)
        self.live[turn.id] = turn
        return [TurnChanged(turn.id), AnsweringChanged(True), *answers]

    # ---- changes that the store knows already --------------------------------------------------

    def end_answer(self, turn: ConversationTurn, stream: Stream) -> list[Event]:
        """Record the end of a stream; the turn may have another one by now."""
        if turn.segments and turn.segments[-1] is stream:
            self.live.pop(turn.id, None)
        asks = [QuestionsChanged()] if _asks(turn) else []
        return [AnsweringChanged(bool(self.live)), TurnChanged(turn.id), *asks]

    def stop_from(self, turn: ConversationTurn) -> list[Event]:
        """Stop the running answers of the shown path from ``turn`` on."""
        return [
            StopAnswer(later.segments[-1])
            for later in self.live.values()
            if later.depth >= turn.depth and self.is_on_shown_path(later)
        ]

    def stop_before(self, turn: ConversationTurn) -> list[Event]:
        """Stop the running answers of the shown path before ``turn``."""
        return [
            StopAnswer(earlier.segments[-1])
            for earlier in self.live.values()
            if earlier.depth < turn.depth and self.is_on_shown_path(earlier)
        ]

    def delete(self) -> list[Event]:
        """Delete the conversation: its answers stop, and waiting turns are not answered."""
        self.is_deleted = True
        stops = [StopAnswer(turn.segments[-1]) for turn in self.live.values()]
        return [*stops, ConversationChanged()]

    def reload_from(
        self,
        stored: StoredConversation,
        records: Iterable[TurnRecord],
        stream_of: StreamOf,
        *,
        looked_up: Collection[str],
    ) -> list[Event]:
        """Make the state that of the store, which another server has changed.

        Turns in memory stay the same objects, and so do streams.

        Args:
            stored: the conversation, at least as new as this state.
            records: its turns that are being answered, and those of ``looked_up`` that it has.
            stream_of: finds or makes the stream of a segment.
            looked_up: ids of the turns that were in memory when it was read.
        """
        was_running = {turn.segments[-1] for turn in self.live.values()}
        self.version, self.is_stored, self.is_deleted = stored.version, True, False
        self.info, self.options = stored.info, stored.options
        self.branches = {branch.id: branch for branch in stored.branches}
        self.shown = stored.shown
        self.waiting = dict.fromkeys(stored.waiting)
        events: list[Event] = []
        turns: dict[str, ConversationTurn] = {}
        for record in records:
            known = self._turns.get(record.id)
            turns[record.id] = known or self.load_turn(record, stream_of)
            if known is not None and self._update_turn(known, record, stream_of):
                events.append(QuestionAnsweredElsewhere())
        self._forget_turns(set(looked_up) - turns.keys())
        for turn_id in self.waiting:
            self.waiting[turn_id] = self._turns.get(turn_id)
        # the end of an answer counts when it is applied, by `end_answer`
        self.live = {
            turn.id: turn
            for turn in turns.values()
            if turn.is_live or (turn.segments and turn.segments[-1] in was_running)
        }
        events += [
            AnsweredElsewhere(turn.id, turn.segments[-1])
            for turn in self.live.values()
            if turn.segments[-1] not in was_running
        ]
        return [
            *events,
            EntryChanged(self.info),
            ConversationChanged(),
            *(TurnChanged(turn_id) for turn_id in turns),
            AnsweringChanged(bool(self.live)),
            QuestionsChanged(),
        ]

    def _update_turn(self, turn: ConversationTurn, record: TurnRecord, stream_of: StreamOf) -> bool:
        """Make a turn what its record says; return whether its open question was answered."""
        if turn.depth != record.depth:
            self.removals += 1
        turn.branch, turn.depth = record.branch, record.depth
        turn.waiting, turn.feedback = record.is_waiting, record.feedback
        known = {stream.name: stream for stream in turn.segments}
        segments = [known.get(segment.stream) or stream_of(segment) for segment in record.segments]
        is_answered = _asks(turn) and segments[-1:] != turn.segments[-1:]
        turn.segments = segments
        return is_answered

    def _forget_turns(self, turn_ids: Iterable[str]) -> None:
        """Forget turns that were withdrawn."""
        for turn_id in turn_ids:
            if turn := self._turns.pop(turn_id, None):
                turn.waiting = False
                self.removals += 1

    def forget_folder(self, folder_id: str) -> list[Event]:
        """Take the conversation out of a folder that was removed."""
        if self.info.folder_id != folder_id:
            return []
        self.info = replace(self.info, folder_id=None)
        self.version += 1
        return [ConversationChanged(), EntryChanged(self.info)]

    def undelete(self) -> list[Event]:
        """Undo ``delete``; waiting turns are answered again."""
        self.is_deleted = False
        return [ConversationChanged()]


def title_from_question(question: str) -> str:
    """Return a title made of the first words of a question, without its Markdown."""
    text = question[:TITLE_SOURCE_CHARS]
    for pattern, kept in _MARKS:
        text = pattern.sub(kept, text)
    words = " ".join(text.split()) or " ".join(question.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1] + "…"


def name_of_file(question: Iterable[Part]) -> str:
    """Return the name of the first file of a question, "" without files."""
    return next((part.name for part in question if isinstance(part, ImagePart | FilePart)), "")


def options_for(turn: ConversationTurn, options: Options | None) -> Options:
    """Return ``options``, or those of ``turn``; ``sanitize`` is always that of the turn."""
    return turn.options if options is None else replace(options, sanitize=turn.options.sanitize)


def _asks(turn: ConversationTurn) -> bool:
    """Return whether an answer has ended with a question."""
    return turn.end is not None and turn.end.reason == "asking"


def _span_contains(span: Span, turn: ConversationTurn) -> bool:
    return turn.branch == span.branch and span.first <= turn.depth <= span.last
