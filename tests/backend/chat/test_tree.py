"""The tree of turns as branches: every turn added has exactly one place and one path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wireside.chat import tree
from wireside.records import Branch, Span


def test_a_path_goes_from_the_first_turn_to_the_end_of_the_branch() -> None:
    branches = {
        0: Branch(id=0, parent=None, first=0, last=9),
        1: Branch(id=1, parent=0, first=4, last=6),
        2: Branch(id=2, parent=1, first=6, last=8),
    }
    assert tree.path_of_spans(branches, 0) == [Span(0, 0, 9)]
    assert tree.path_of_spans(branches, 2) == [Span(0, 0, 3), Span(1, 4, 5), Span(2, 6, 8)]


def test_an_empty_conversation_has_an_empty_path() -> None:
    assert tree.path_of_spans({0: Branch(id=0, parent=None, first=0, last=-1)}, 0) == []


def test_clipping_keeps_the_depths_asked_for() -> None:
    spans = [Span(0, 0, 3), Span(1, 4, 5), Span(2, 6, 8)]
    assert tree.clip_spans(spans, 3, 6) == [Span(0, 3, 3), Span(1, 4, 5), Span(2, 6, 6)]
    assert tree.clip_spans(spans, 9, 20) == []
    assert tree.clip_spans(spans, -5, 0) == [Span(0, 0, 0)]


def test_a_turn_of_the_first_of_a_branch_has_the_same_siblings_as_its_rivals() -> None:
    branches = {
        0: Branch(id=0, parent=None, first=0, last=5),
        1: Branch(id=1, parent=0, first=2, last=4),
        2: Branch(id=2, parent=0, first=2, last=2),
    }
    assert tree.sibling_branches(branches, 0, 2) == [0, 1, 2]
    assert tree.sibling_branches(branches, 1, 2) == [0, 1, 2]
    assert tree.sibling_branches(branches, 1, 3) == [1]
    assert tree.sibling_branches(branches, 0, 5) == [0]


def test_first_turns_have_siblings_too() -> None:
    branches = {
        0: Branch(id=0, parent=None, first=0, last=2),
        1: Branch(id=1, parent=None, first=0, last=0),
    }
    assert tree.sibling_branches(branches, 0, 0) == [0, 1]
    assert tree.sibling_branches(branches, 1, 0) == [0, 1]
    assert tree.sibling_branches(branches, 0, 1) == [0]


def test_choosing_a_turn_shows_what_was_begun_last_after_it() -> None:
    branches = {
        0: Branch(id=0, parent=None, first=0, last=5),
        1: Branch(id=1, parent=0, first=2, last=4),
        2: Branch(id=2, parent=1, first=4, last=4),
        3: Branch(id=3, parent=0, first=1, last=1),
    }
    assert tree.tip_branch(branches, 1, 2) == 2
    assert tree.tip_branch(branches, 0, 2) == 0  # neither forks at the turn itself nor earlier ones
    assert tree.tip_branch(branches, 0, 0) == 3


def test_without_a_turn_all_after_it_move_up() -> None:
    branches = {
        0: Branch(id=0, parent=None, first=0, last=3),
        1: Branch(id=1, parent=0, first=2, last=2),
        2: Branch(id=2, parent=0, first=1, last=1),
        3: Branch(id=3, parent=1, first=2, last=4),
    }
    assert tree.branches_without(branches, 0, 1) == [
        Branch(id=0, parent=None, first=0, last=2),
        Branch(id=1, parent=0, first=1, last=1),
        Branch(id=3, parent=1, first=1, last=3),
    ]


def test_what_follows_a_removed_first_turn_stands_beside_its_branch() -> None:
    branches = {
        0: Branch(id=0, parent=None, first=0, last=0),
        1: Branch(id=1, parent=None, first=0, last=1),
        2: Branch(id=2, parent=1, first=1, last=1),
    }
    for changed in tree.branches_without(branches, 1, 0):
        branches[changed.id] = changed
    assert branches[2] == Branch(id=2, parent=None, first=0, last=0)
    assert tree.sibling_branches(branches, 2, 0) == [0, 1, 2]


def test_a_branch_without_turns_is_neither_a_sibling_nor_shown() -> None:
    branches = {
        0: Branch(id=0, parent=None, first=0, last=2),
        1: Branch(id=1, parent=0, first=1, last=0),
    }
    assert tree.sibling_branches(branches, 0, 1) == [0]
    assert tree.tip_branch(branches, 0, 0) == 0


def test_what_two_paths_share() -> None:
    before = [Span(0, 0, 3), Span(1, 4, 6)]
    assert tree.shared_length(before, before) == 7
    assert tree.shared_length(before, [Span(0, 0, 3), Span(1, 4, 8)]) == 7
    assert tree.shared_length(before, [Span(0, 0, 9)]) == 4
    assert tree.shared_length(before, [Span(0, 0, 1), Span(2, 2, 2)]) == 2
    assert tree.shared_length([], before) == 0


class Plain:
    """The same tree as parents and children, which is slow and obvious."""

    def __init__(self) -> None:
        self.parent: dict[int, int | None] = {}
        self.place: dict[tuple[int, int], int] = {}

    def add(self, branch: int, depth: int, parent: int | None) -> None:
        turn = len(self.parent)
        self.parent[turn] = parent
        self.place[branch, depth] = turn

    def path(self, turn: int | None) -> list[int]:
        turns: list[int] = []
        while turn is not None:
            turns.append(turn)
            turn = self.parent[turn]
        return turns[::-1]


@given(steps=st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 30), st.integers(0, 30)))))
def test_branches_are_the_tree_that_parents_make(steps: list[tuple[int, int] | None]) -> None:
    """None continues the shown branch; (a, b) retries the turn at place ``a``."""
    branches = {0: Branch(id=0, parent=None, first=0, last=-1)}
    shown = 0
    plain = Plain()
    for step in steps:
        places = sorted(plain.place)
        if step is None or not places:
            spans = tree.path_of_spans(branches, shown)
            parent = plain.place[spans[-1].branch, spans[-1].last] if spans else None
            new = tree.extend_branch(branches, shown)
            plain.add(new.id, new.last, parent)
        else:
            branch, depth = places[step[0] % len(places)]
            parent = plain.parent[plain.place[branch, depth]]
            new = tree.fork_branch(branches, branch, depth)
            plain.add(new.id, depth, parent)
        branches[new.id] = new
        shown = new.id
        spans = tree.path_of_spans(branches, shown)
        turns = [plain.place[s.branch, d] for s in spans for d in range(s.first, s.last + 1)]
        assert turns == plain.path(turns[-1])
    for (branch, depth), turn in plain.place.items():
        beside = [plain.place[b, depth] for b in tree.sibling_branches(branches, branch, depth)]
        assert beside == [t for t, p in plain.parent.items() if p == plain.parent[turn]]
        tip = tree.path_of_spans(branches, tree.tip_branch(branches, branch, depth))
        assert turn in plain.path(plain.place[tip[-1].branch, tip[-1].last])
