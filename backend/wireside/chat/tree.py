"""The tree of a conversation's turns, as runs without a fork (``records.Branch``). Pure.

A user sees one path through the tree: from a first turn to the end of the shown branch. The
position of a turn on the path is its depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wireside.records import Branch, Span

Branches = Mapping[int, Branch]


def path_of_spans(branches: Branches, shown: int) -> list[Span]:
    """Return the spans from the first turn to the end of the branch ``shown``, in that order.

    >>> trunk = Branch(id=0, parent=None, first=0, last=9)
    >>> path({0: trunk, 1: Branch(id=1, parent=0, first=4, last=6)}, 1)
    [Span(branch=0, first=0, last=3), Span(branch=1, first=4, last=6)]
    """
    spans: list[Span] = []
    at: int | None = shown
    last = branches[shown].last
    while at is not None:
        branch = branches[at]
        if last >= branch.first:
            spans.append(Span(at, branch.first, last))
        at, last = branch.parent, branch.first - 1
    return spans[::-1]


def clip_spans(spans: list[Span], first: int, last: int) -> list[Span]:
    """Return the parts of ``spans`` at the depths ``first`` … ``last``, both included."""
    return [
        Span(span.branch, max(first, span.first), min(last, span.last))
        for span in spans
        if span.first <= last and span.last >= first
    ]


def extend_branch(branches: Branches, shown: int) -> Branch:
    """Return the branch ``shown`` extended by one turn."""
    branch = branches[shown]
    return replace(branch, last=branch.last + 1)


def fork_branch(branches: Branches, branch: int, depth: int) -> Branch:
    """Return a new branch whose first turn replaces the turn at ``depth``."""
    return Branch(
        id=len(branches), parent=_parent_branch(branches, branch, depth), first=depth, last=depth
    )


def sibling_branches(branches: Branches, branch: int, depth: int) -> list[int]:
    """Return the branches of all turns that follow the same turn, in order of creation.

    A branch whose turns were all removed is not among them.
    """
    parent = _parent_branch(branches, branch, depth)
    forks = [b.id for b in branches.values() if b.parent == parent and b.first == depth <= b.last]
    goes_on = parent is not None and branches[parent].first < depth <= branches[parent].last
    return ([parent] if goes_on and parent is not None else []) + sorted(forks)


def tip_branch(branches: Branches, branch: int, depth: int) -> int:
    """Return the branch to show when the turn at ``depth`` of ``branch`` is selected.

    Of the branches that continue from there, it is the one created last.
    """
    return max(
        [
            branch,
            *(
                b
                for b in branches_below(branches, branch, depth)
                if not is_empty_branch(branches[b])
            ),
        ]
    )


def branches_below(branches: Branches, branch: int, depth: int) -> list[int]:
    """Return the branches that begin after the turn at ``depth`` of ``branch``."""
    found: list[int] = []
    for candidate in sorted(branches.values(), key=lambda other: other.id):
        is_fork = candidate.parent == branch and candidate.first > depth
        if is_fork or candidate.parent in found:
            found.append(candidate.id)
    return found


def branches_without(branches: Branches, branch: int, depth: int) -> list[Branch]:
    """Return the branches that change when the turn at ``depth`` of ``branch`` is removed.

    The branch itself comes first. All turns after the removed one move up.
    """
    shorter = replace(branches[branch], last=branches[branch].last - 1)
    changed = [shorter]
    for moved in (branches[other] for other in branches_below(branches, branch, depth)):
        first = moved.first - 1
        is_beside = moved.parent == branch and first == shorter.first
        parent = shorter.parent if is_beside else moved.parent
        changed.append(replace(moved, parent=parent, first=first, last=moved.last - 1))
    return changed


def is_empty_branch(branch: Branch) -> bool:
    """Return whether a branch has no turns."""
    return branch.last < branch.first


def shared_length(before: list[Span], after: list[Span]) -> int:
    """Return the number of leading turns that two paths have in common."""
    depth = 0
    for one, other in zip(before, after, strict=False):
        if (one.branch, one.first) != (other.branch, other.first):
            break
        depth = min(one.last, other.last) + 1
        if one.last != other.last:
            break
    return depth


def _parent_branch(branches: Branches, branch: int, depth: int) -> int | None:
    """Return the branch of the turn before the one at ``depth`` of ``branch``."""
    return branch if depth > branches[branch].first else branches[branch].parent
