"""A stateful test of the state machine alone: any sequence of transitions, without I/O.

Each change is written to a store made of dictionaries before it is applied. Changes that the store
refuses are dropped. After each step the conversation must equal what the store and the recorded
changes say.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, assert_never

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.examples import examples
from wireside.chat.changes import (
    AnsweringChanged,
    BranchShown,
    Change,
    ConversationCreated,
    EntryChanged,
    FeedbackGiven,
    InfoChanged,
    OptionsChosen,
    StopAnswer,
)
from wireside.chat.conversation import (
    TITLE_CHARS,
    WAITING_TURNS,
    Conversation,
    ConversationTurn,
    title_from_question,
)
from wireside.errors import NotFound, TooMany
from wireside.generation.runner import Stream
from wireside.messages import End, Options, TextDelta
from wireside.parts import Part, text_parts
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    Feedback,
    Segment,
    StoredConversation,
    TurnAdded,
    TurnRecord,
    TurnWithdrawn,
)

INFO = ConversationInfo(id="c", title="", created_at=0.0, updated_at=0.0, owner="ada")
OPTIONS = st.sampled_from([Options(), Options(model="a"), Options(model="b", sanitize=True)])
PLACES = st.integers(0, 100)


class DictStore:
    """What a store keeps of a conversation: it knows rows, not the state machine."""

    def __init__(self) -> None:
        self.info: ConversationInfo | None = None
        self.branches = {0: Branch(id=0, parent=None, first=0, last=-1)}
        self.shown = 0
        self.options: Options | None = None
        self.turns: dict[str, TurnRecord] = {}
        self.version = 0

    def write(self, change: Change | AnswerBegun) -> None:
        match change:
            case ConversationCreated(info):
                assert self.info is None
                self.info = info
                return
            case OptionsChosen(_, False):
                assert self.info is None
                return
        assert change.version == self.version
        self.version += 1
        match change:
            case TurnAdded():
                assert change.creates == (self.info is None)
                assert change.record.id not in self.turns
                self.info = change.info
                self.branches[change.branch.id] = change.branch
                self.shown = change.branch.id
                self.turns[change.record.id] = change.record
            case TurnWithdrawn():
                self._remove(change)
            case AnswerBegun():
                record = self.turns[change.turn_id]
                earlier = () if change.replaces else record.segments
                self.turns[record.id] = replace(
                    record, is_waiting=False, segments=(*earlier, change.segment)
                )
            case BranchShown(branch):
                self.shown = branch
            case OptionsChosen(options):
                assert self.info is not None
                self.options = options
            case FeedbackGiven(turn_id, feedback):
                self.turns[turn_id] = replace(self.turns[turn_id], feedback=feedback)
            case InfoChanged(info):
                assert self.info is not None
                self.info = info
            case _:
                assert_never(change)

    def _remove(self, change: TurnWithdrawn) -> None:
        removed = self.turns.pop(change.turn_id)
        assert not removed.segments
        moved = {branch.id for branch in change.branches} - {removed.branch}
        for turn in self.turns.values():
            is_after = turn.branch == removed.branch and turn.depth > removed.depth
            if is_after or turn.branch in moved:
                self.turns[turn.id] = replace(turn, depth=turn.depth - 1)
        self.branches |= {branch.id: branch for branch in change.branches}
        self.shown = change.shown

    def read(self) -> StoredConversation:
        assert self.info is not None
        waiting = [turn.id for turn in self.turns.values() if turn.is_waiting]
        return StoredConversation(
            info=self.info,
            branches=tuple(self.branches.values()),
            shown=self.shown,
            waiting=tuple(waiting),
            options=self.options,
            version=self.version,
        )


class AnyTransitions(RuleBasedStateMachine):
    """Asks, edits, retries, continues, withdraws, stops, deletes; answers begin, grow and end."""

    def __init__(self) -> None:
        super().__init__()
        self.conversation = Conversation.new(INFO)
        self.store = DictStore()
        self.stored: list[Change | AnswerBegun] = []
        self.numbers = itertools.count()
        self.turns: dict[str, ConversationTurn] = {}
        self.parents: dict[str, str | None] = {}
        self.asked: list[str] = []
        """The turns that wait, in the order in which they were asked."""
        self.running: list[tuple[ConversationTurn, Stream]] = []
        self.is_answering = False
        """What the last event said."""

    # ---- what the service does ---------------------------------------------------------------

    def perform(self, change: Change | None) -> None:
        if change is None:
            return
        before = _state(self.conversation)
        self.store.write(change)
        assert _state(self.conversation) == before, "shown before it was stored"
        self.stored.append(change)
        self.publish(self.conversation.apply_change(change))

    def publish(self, events: Any) -> None:
        for event in events:
            match event:
                case StopAnswer(stream):
                    stream.log.close_with(End("cancelled"))
                case AnsweringChanged(is_answering):
                    self.is_answering = is_answering
                case EntryChanged(info):
                    assert info == self.conversation.info

    def add(self, added: TurnAdded, parent: str | None) -> None:
        self.perform(added)
        turn = self.conversation.turn_in_memory(added.record.id)
        assert turn is not None
        assert turn.waiting
        self.turns[turn.id] = turn
        self.parents[turn.id] = parent
        self.asked.append(turn.id)

    def begin(
        self, turn: ConversationTurn, *, replaces: bool = False, can_start: bool = True
    ) -> None:
        name = f"s{next(self.numbers)}"
        segment = Segment(stream=name, model="m", created_at=1.0)
        begun = self.conversation.begin_answer(turn, segment, replaces=replaces)
        self.store.write(begun)
        self.stored.append(begun)
        stream = Stream(name, "m", owner=INFO.owner)
        if not can_start:
            stream.log.close_with(End("cancelled"))
        self.publish(self.conversation.start_answer(begun, stream))
        self.running.append((turn, stream))
        if turn.id in self.asked:
            self.asked.remove(turn.id)

    def shown(self, place: int) -> ConversationTurn:
        turns = self.path()
        return turns[place % len(turns)]

    def path(self) -> list[ConversationTurn]:
        spans = self.conversation.shown_path()
        return self.conversation.load_turns(spans, (), _not_in_memory)

    def some(self, place: int) -> ConversationTurn:
        return list(self.turns.values())[place % len(self.turns)]

    # ---- transitions -------------------------------------------------------------------------

    @rule(
        question=st.sampled_from([text_parts("why"), text_parts("how")]),
        options=OPTIONS,
        times=st.integers(1, 4),
    )
    def ask(self, question: tuple[Part, ...], options: Options, times: int) -> None:
        for _ in range(times):
            self.ask_once(f"t{next(self.numbers)}", question, options)

    def ask_once(self, turn_id: str, question: tuple[Part, ...], options: Options) -> None:
        number = float(next(self.numbers))
        is_full = len(self.asked) >= WAITING_TURNS
        if self.conversation.is_deleted or is_full:
            with pytest.raises(NotFound if self.conversation.is_deleted else TooMany):
                self.conversation.append_turn(turn_id, question, options, now=number)
            return
        path = self.path()
        added = self.conversation.append_turn(turn_id, question, options, now=number)
        self.add(added, path[-1].id if path else None)

    @rule(question=st.just(text_parts("lost")))
    def ask_while_the_store_fails(self, question: tuple[Part, ...]) -> None:
        if self.conversation.is_deleted or len(self.asked) >= WAITING_TURNS:
            return
        before = _state(self.conversation)
        self.conversation.append_turn("lost", question, Options(), now=1.0)
        assert _state(self.conversation) == before

    def is_in_progress(self, turn: ConversationTurn, options: Options | None) -> bool:
        retry = self.conversation.retry_in_progress(turn, options, turn.question_parts)
        return retry is not None

    @precondition(lambda self: self.turns)
    @rule(place=PLACES, options=st.none() | OPTIONS, is_edit=st.booleans())
    def edit_or_retry(self, place: int, options: Options | None, is_edit: bool) -> None:
        turn = self.some(place)
        if not is_edit and self.is_in_progress(turn, options):
            return
        if not is_edit and not turn.text:
            self.begin(turn, replaces=True)
            return
        turn_id = f"t{next(self.numbers)}"
        question = text_parts("edited") if is_edit else turn.question_parts
        stops = self.conversation.stop_from(turn)
        for waiting in [self.turns[waiting_id] for waiting_id in self.conversation.waiting]:
            if waiting.depth >= turn.depth and self.conversation.is_on_shown_path(waiting):
                self.begin(waiting, can_start=False)
        added = self.conversation.fork_turn(turn, turn_id, question, options, now=2.0)
        self.add(added, self.parents[turn.id])
        self.publish(stops)
        assert self.path()[-1].id == turn_id
        assert self.conversation.siblings(self.turns[turn_id])[1] > 1

    @precondition(lambda self: self.turns)
    @rule(place=PLACES, options=OPTIONS)
    def a_retry_twice_asks_once(self, place: int, options: Options) -> None:
        turn = self.some(place)
        if turn.text and not self.is_in_progress(turn, options):
            added = self.conversation.fork_turn(
                turn, "again", turn.question_parts, options, now=2.0
            )
            self.add(added, self.parents[turn.id])
            known = self.conversation.retry_in_progress(turn, options, turn.question_parts)
            assert known is self.turns["again"]
            renamed = self.turns["again"]
            self.perform(self.conversation.withdraw_turn(renamed))
            self.gone(renamed)

    @precondition(lambda self: any(turn.can_continue for turn in self.turns.values()))
    @rule(place=PLACES)
    def go_on(self, place: int) -> None:
        ended = [turn for turn in self.turns.values() if turn.can_continue]
        self.begin(ended[place % len(ended)])

    @precondition(lambda self: self.conversation.next_turn)
    @rule(can_start=st.booleans())
    def answer_next(self, can_start: bool) -> None:
        assert not self.conversation.live
        assert self.conversation.next_turn == self.asked[0]
        self.begin(self.turns[self.asked[0]], can_start=can_start)

    @precondition(lambda self: self.running)
    @rule(place=PLACES, text=st.sampled_from(["", "word"]))
    def grow_and_end(self, place: int, text: str) -> None:
        turn, stream = self.running.pop(place % len(self.running))
        if stream.is_live:
            stream.log.append_entry(TextDelta(text))
            stream.log.close_with(End("stop"))
        self.publish(self.conversation.end_answer(turn, stream))

    @precondition(lambda self: any(turn.is_live for turn in self.turns.values()))
    @rule(place=PLACES)
    def answer_one_that_is_being_answered(self, place: int) -> None:
        live = [turn for turn in self.turns.values() if turn.is_live]
        with pytest.raises(RuntimeError):
            self.conversation.begin_answer(
                live[place % len(live)], Segment(stream="s", model="m"), replaces=False
            )

    @precondition(lambda self: self.asked)
    @rule(place=PLACES)
    def withdraw(self, place: int) -> None:
        turn = self.turns[self.asked[place % len(self.asked)]]
        self.perform(self.conversation.withdraw_turn(turn))
        self.gone(turn)
        assert self.path() or not self.turns

    @precondition(lambda self: len(self.turns) > len(self.asked))
    @rule(place=PLACES)
    def withdraw_one_that_is_answered(self, place: int) -> None:
        answered = [turn for turn in self.turns.values() if not turn.waiting]
        with pytest.raises(NotFound):
            self.conversation.withdraw_turn(answered[place % len(answered)])

    def gone(self, turn: ConversationTurn) -> None:
        assert not turn.waiting
        assert self.conversation.turn_in_memory(turn.id) is None
        self.asked.remove(turn.id)
        del self.turns[turn.id]
        its_parent = self.parents.pop(turn.id)
        for child, parent in self.parents.items():
            if parent == turn.id:
                self.parents[child] = its_parent

    @precondition(lambda self: self.turns)
    @rule(place=PLACES, step=st.sampled_from([-1, 1]))
    def show_sibling(self, place: int, step: int) -> None:
        if self.path():
            self.perform(self.conversation.show_sibling(self.shown(place), step))

    @precondition(lambda self: self.turns)
    @rule(place=PLACES)
    def show_turn(self, place: int) -> None:
        turn = self.some(place)
        self.perform(self.conversation.show_turn(turn))
        assert self.conversation.is_on_shown_path(turn)

    @rule(options=OPTIONS)
    def choose_options(self, options: Options) -> None:
        self.perform(self.conversation.choose_options(options))
        assert self.conversation.choose_options(options) is None

    @precondition(lambda self: self.turns)
    @rule(place=PLACES, feedback=st.sampled_from([None, Feedback("up"), Feedback("down", "no")]))
    def give_feedback(self, place: int, feedback: Feedback | None) -> None:
        turn = self.some(place)
        self.perform(self.conversation.give_feedback(turn, feedback))
        assert turn.feedback == feedback

    @precondition(lambda self: not self.conversation.is_stored)
    @rule()
    def create(self) -> None:
        self.perform(self.conversation.create_empty("Mine"))

    @precondition(lambda self: self.conversation.is_stored)
    @rule(title=st.sampled_from(["Ours", "Yours"]))
    def rename(self, title: str) -> None:
        self.perform(self.conversation.change_info(title=title, title_source="person"))

    @precondition(lambda self: self.conversation.is_stored)
    @rule()
    def delete(self) -> None:
        self.publish(self.conversation.delete())
        assert self.conversation.next_turn is None
        assert not any(turn.is_live for turn in self.turns.values())

    @precondition(lambda self: self.conversation.is_deleted)
    @rule()
    def undelete(self) -> None:
        self.publish(self.conversation.undelete())

    # ---- invariants --------------------------------------------------------------------------

    @invariant()
    def turns_wait_in_the_order_in_which_they_were_asked(self) -> None:
        """Each is answered or withdrawn exactly once: it is waiting until then."""
        assert list(self.conversation.waiting) == self.asked
        for turn in self.turns.values():
            assert turn.waiting == (turn.id in self.asked)
            assert not (turn.waiting and turn.segments)

    @invariant()
    def a_turn_has_at_most_one_running_answer(self) -> None:
        for turn in self.turns.values():
            assert not any(stream.is_live for stream in turn.segments[:-1])
            is_followed = any(t is turn and s is turn.segments[-1] for t, s in self.running)
            assert (turn.id in self.conversation.live) == is_followed
            assert not turn.is_live or is_followed

    @invariant()
    def next_is_answered_when_no_answer_is_running(self) -> None:
        is_free = not self.conversation.live and not self.conversation.is_deleted
        assert self.conversation.next_turn == (self.asked[0] if is_free and self.asked else None)
        assert self.conversation.slots_needed >= len(self.conversation.live)
        assert self.is_answering == bool(self.conversation.live)

    @invariant()
    def the_shown_path_is_a_path_of_the_tree(self) -> None:
        path = self.path()
        assert [turn.depth for turn in path] == list(range(self.conversation.total))
        for parent, turn in itertools.pairwise([None, *path]):
            assert turn is not None
            assert self.parents[turn.id] == (parent.id if parent else None)
            assert self.conversation.is_on_shown_path(turn)

    @precondition(lambda self: self.store.info is not None and not self.conversation.is_deleted)
    @rule()
    def another_server_renames(self) -> None:
        """A change of another server arrives by a reload; turns and streams stay the same."""
        kept = dict(self.turns)
        running = dict(self.conversation.live)
        elsewhere = Conversation(self.store.read())
        name = f"n{next(self.numbers)}"
        self.stored.append(change := elsewhere.change_info(title=name))
        self.store.write(change)
        self.conversation.reload_from(
            self.store.read(),
            self.store.turns.values(),
            _not_in_memory,
            looked_up=self.conversation.turns_in_memory,
        )
        assert self.conversation.title == name
        assert {turn_id: self.conversation.turn_in_memory(turn_id) for turn_id in kept} == kept
        assert self.conversation.live == running

    @invariant()
    def siblings_follow_the_same_turn(self) -> None:
        for turn in self.turns.values():
            number = list(self.parents.values()).count(self.parents[turn.id])
            assert self.conversation.siblings(turn)[1] == number

    @invariant()
    def what_was_stored_is_the_state(self) -> None:
        """Both read from the store and replayed change by change."""
        if self.store.info is None:
            return
        expected = _state(self.conversation)
        loaded = Conversation(self.store.read())
        find = {stream.name: stream for turn in self.turns.values() for stream in turn.segments}
        kept = [
            loaded.load_turn(turn, lambda segment: find.get(segment.stream) or _ENDED)
            for turn in self.store.turns.values()
        ]
        assert _state(loaded) == expected
        choices = [change for change in self.stored if isinstance(change, OptionsChosen)]
        is_choice_stored = bool(choices) and choices[-1].is_stored  # not before the first turn
        assert loaded.options == (self.conversation.options if is_choice_stored else None)
        assert sorted(map(_turn, kept)) == sorted(map(_turn, self.turns.values()))
        replayed, kept = Conversation.new(INFO), []
        for change in self.stored:
            if isinstance(change, AnswerBegun):
                replayed.start_answer(change, find.get(change.segment.stream) or _ENDED)
            elif not isinstance(change, OptionsChosen) or change.is_stored:
                replayed.apply_change(change)
            if isinstance(change, TurnAdded) and (
                turn := replayed.turn_in_memory(change.record.id)
            ):
                kept.append(turn)  # holds it in memory
        assert _state(replayed) == expected
        turns = [turn for turn in kept if turn.id in self.turns]
        assert sorted(map(_turn, turns)) == sorted(map(_turn, self.turns.values()))


_ENDED = Stream("replaced", "m")
"""Stands for the streams of answers that were replaced later."""


def _not_in_memory(segment: Segment) -> Stream:
    raise AssertionError(f"{segment.stream} is in memory")


def _state(conversation: Conversation) -> tuple[Any, ...]:
    """Return everything that the store keeps of a conversation, apart from its turns."""
    return (
        conversation.info,
        conversation.is_stored,
        conversation.branches,
        conversation.shown,
        list(conversation.waiting),
        conversation.shown_path(),
    )


def _turn(turn: ConversationTurn) -> tuple[Any, ...]:
    names = [stream.name for stream in turn.segments]
    place = (turn.id, turn.branch, turn.depth, turn.question, turn.waiting)
    return (*place, names, repr((turn.options, turn.feedback, turn.created_at)))


AnyTransitions.TestCase.settings = settings(
    max_examples=examples(100), stateful_step_count=40, deadline=None
)
TestAnyTransitions = pytest.mark.timeout(300)(AnyTransitions.TestCase)


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("**Bold** and `code` in a [link](https://a.b/c)", "Bold and code in a link"),
        ("# Heading\ntext", "Heading text"),
        ("- first\n- second", "first second"),
        ("> said\nwhy?", "said why?"),
        ("```python\nprint(1)\n```\nWhat is it?", "print(1) What is it?"),
        ("Where is ![the logo](x.png)?", "Where is the logo?"),
        # what is meant as it stands
        ("2 * 3 ** 4 * 5", "2 * 3 ** 4 * 5"),
        ("How does __init__ call *args, **kwargs?", "How does __init__ call *args, **kwargs?"),
        ("a[0](b) `", "a[0](b) `"),
        ("#hashtag -5", "#hashtag -5"),
        ("```", "```"),
        ("x" * 5000, "x" * (TITLE_CHARS - 1) + "…"),
    ],
)
def test_the_title_of_a_question_has_no_markdown(question: str, title: str) -> None:
    assert title_from_question(question) == title
