"""The turns of an imported conversation: from messages in a file to branches of a new tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Generic, TypeVar

from wireside.chat import tree
from wireside.chat.conversation import title_from_question
from wireside.errors import BadMessage
from wireside.invisible_text import seen
from wireside.messages import End, Options
from wireside.parts import Part, size_of, text_parts
from wireside.records import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    Branch,
    ConversationInfo,
    Feedback,
    Imported,
    Segment,
    TitleSource,
    TurnRecord,
)
from wireside.transfer.import_limits import ImportBudget, length_of
from wireside.transfer.untyped import seconds_since_1970, single_line

NewId = Callable[[], str]
M = TypeVar("M")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportContext:
    """What the readers of all formats use.

    Attributes:
        new_id: returns an id that is not in use.
        now: the time in seconds since 1970; later times are cut to it.
        budget: what the remaining conversations may contain.
    """

    new_id: NewId
    now: float
    budget: ImportBudget

    def time_or_fallback(self, value: object, fallback: float) -> float:
        """Return a time of the file in seconds since 1970."""
        return seconds_since_1970(value, fallback=fallback, latest=self.now)

    def no_answer(self, created_at: float) -> Segment:
        """Return a placeholder for a missing answer, which can be requested again."""
        return Segment(
            stream=self.new_id(),
            model="",
            entries=(),
            end=End("interrupted"),
            created_at=created_at,
        )

    def spend_turn(self, node: Node) -> None:
        """Subtract a turn from the budget. Raises ``TooMuch``."""
        chars = sum(length_of(entry) for segment in node.segments for entry in segment.entries)
        self.budget.spend_budget(turns=1, chars=sum(map(size_of, node.question)) + chars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A turn of a file before it is placed. ``key`` and ``parent`` are ids in the file."""

    key: str
    parent: str | None
    question: tuple[Part, ...]
    created_at: float
    segments: tuple[Segment, ...]
    options: Options = Options()
    feedback: Feedback | None = None


@dataclass(slots=True)
class FileMessage(Generic[M]):
    """A shown message of a file, of any format. ``above`` is the shown message before it."""

    key: str
    above: FileMessage[M] | None
    is_question: bool
    message: M
    time: float
    is_end: bool = True
    """Whether a turn ends here: no part of an answer follows, or a question does."""
    after: FileMessage[M] | None = None
    """The last part of an answer that follows this message."""


def find_ends(messages: Sequence[FileMessage[M]]) -> None:
    """Mark the messages with which a turn ends."""
    for here in messages:
        here.is_end = here.after is None
    for here in messages:
        if here.is_question and here.above is not None:
            here.above.is_end = True


def build_nodes(
    *,
    messages: list[FileMessage[M]],
    question: Callable[[FileMessage[M]], str],
    answer: Callable[[list[FileMessage[M]]], Segment | None],
    context: ImportContext,
) -> list[Node]:
    """Return a turn for each end, with all parts of its answer, ordered by time."""
    ends = sorted((here for here in messages if here.is_end), key=lambda here: here.time)
    nodes: list[Node] = []
    for end in ends:
        chain: list[FileMessage[M]] = []
        at: FileMessage[M] | None = end
        while at is not None and not at.is_question:
            chain.append(at)
            at = at.above
        context.budget.spend_budget(parts=len(chain))
        first = at or chain[-1]
        segment = answer(chain[::-1])
        if segment is not None:  # one message may have many parts
            context.budget.spend_budget(parts=max(0, len(segment.entries) - len(chain)))
        nodes.append(
            Node(
                key=end.key,
                parent=first.above.key if first.above else None,
                question=text_parts(question(first) if at else ""),
                created_at=first.time,
                segments=(segment or context.no_answer(first.time),),
            )
        )
        context.spend_turn(nodes[-1])
    return nodes


def shown_end(here: FileMessage[M] | None) -> str | None:
    """Return the key of the message that ends the turn of a message."""
    while here is not None and not here.is_end:
        here = here.after
    return here.key if here else None


def build_imported(
    nodes: Sequence[Node],
    shown_key: object,
    context: ImportContext,
    *,
    title: str,
    title_source: TitleSource,
    created_at: float,
    updated_at: float,
    is_pinned: bool,
    is_archived: bool,
    tags: Iterable[object] = (),
    folder: str = "",
    left_out: int = 0,
) -> Imported:
    """Return a conversation with new ids.

    Args:
        nodes: its turns.
        shown_key: key of the last shown turn; an unknown one selects the last branch.
        context: see ``ImportContext``.
        title: "" for the words of the first question.
        title_source: source of ``title``.
        created_at: in seconds since 1970; not before ``now`` if the file does not say.
        updated_at: in seconds since 1970.
        is_pinned: whether it is pinned.
        is_archived: whether it is archived.
        tags: as in the file.
        folder: name of its folder, "" for none.
        left_out: number of items that were omitted from its messages.

    Raises:
        BadMessage: no turn has a question or an answer.
    """
    kept, above = _with_something(nodes)
    if nodes and not kept:
        raise BadMessage("turns: at least one with a question or an answer.")
    placed, branches = place_nodes(kept)
    conversation_id = context.new_id()
    turns: list[TurnRecord] = []
    places: dict[str, tuple[int, int]] = {}
    for node, branch, depth in placed:
        places[node.key] = (branch, depth)
        turns.append(
            TurnRecord(
                id=context.new_id(),
                conversation_id=conversation_id,
                branch=branch,
                depth=depth,
                question_parts=node.question,
                created_at=node.created_at,
                options=node.options,
                feedback=node.feedback,
                segments=node.segments,
            )
        )
    shown = places.get(above(shown_key) or "") if isinstance(shown_key, str) else None
    by_id = {branch.id: branch for branch in branches}
    first = next((turn.question for turn in turns if turn.question.strip()), "")
    if created_at >= context.now:  # missing in the file, or in the future
        created_at = min((turn.created_at for turn in turns), default=context.now)
    updated_at = max(created_at, updated_at)
    return Imported(
        info=ConversationInfo(
            id=conversation_id,
            title=title or title_from_question(first),
            created_at=created_at,
            updated_at=updated_at,
            title_source=title_source,
            pinned_at=updated_at if is_pinned else None,
            archived_at=updated_at if is_archived else None,
            tags=_clean_tags(tags),
        ),
        branches=branches,
        shown=tree.tip_branch(by_id, *shown) if shown else branches[-1].id,
        turns=tuple(turns),
        folder=folder,
        passed_over=len(nodes) - len(kept) + left_out,
        is_dated=created_at < context.now,
    )


def _clean_tags(tags: Iterable[object]) -> tuple[str, ...]:
    lines = (single_line(seen(tag), MAX_TAG_CHARS) for tag in tags if isinstance(tag, str))
    return tuple(dict.fromkeys(line for line in lines if line))[:MAX_TAGS]


def _with_something(
    nodes: Sequence[Node],
) -> tuple[Sequence[Node], Callable[[str | None], str | None]]:
    """Drop turns with neither a question nor an answer, and reattach their children.

    Children of a dropped turn follow the turn before it. Returns the kept turns, and a function
    from a turn's key to the nearest kept turn above it, itself included.
    """
    is_empty = [_is_empty_node(node) for node in nodes]
    if not any(is_empty):
        return nodes, lambda key: key
    full = {node.key for node, empty in zip(nodes, is_empty, strict=True) if not empty}
    instead = {node.key: node.parent for node in nodes if node.key not in full}

    def nearest_filled(key: str | None) -> str | None:
        passed: set[str] = set()
        while key in instead and key not in passed:
            passed.add(key)
            key = instead[key]
        end = None if key in passed else key  # a cycle of empty turns
        instead.update(dict.fromkeys(passed, end))  # visit each path only once
        return end

    kept = [
        replace(node, parent=nearest_filled(node.parent))
        for node, empty in zip(nodes, is_empty, strict=True)
        if not empty
    ]
    return kept, nearest_filled


def _is_empty_node(node: Node) -> bool:
    return not node.question and not any(
        segment.entries or (segment.end and segment.end.error) for segment in node.segments
    )


def place_nodes(nodes: Sequence[Node]) -> tuple[list[tuple[Node, int, int]], tuple[Branch, ...]]:
    """Return each node with its branch and depth, by branch, then depth, and the branches.

    Of the children of a node, the first in ``nodes`` continues its branch; each other one starts a
    new branch, in order. Nodes with an unknown parent are roots. Of several nodes with the same
    key, only the first is used; nodes in a cycle are omitted.
    """
    by_key: dict[str, int] = {}
    for index, node in enumerate(nodes):
        by_key.setdefault(node.key, index)
    follow: dict[int | None, list[int]] = {}
    for node in nodes:
        index = by_key[node.key]
        if nodes[index] is node:
            follow.setdefault(by_key.get(node.parent or ""), []).append(index)

    places: dict[int, tuple[int, int]] = {}
    branches: list[Branch] = []
    # The earliest of all nodes whose parent is placed: a branch is created after its parent.
    ready: list[tuple[int, int | None]] = [(index, None) for index in follow.get(None, [])]
    while ready:
        index, parent = heappop(ready)
        branch, depth = places[parent] if parent is not None else (None, -1)
        depth += 1
        if branch is not None and branches[branch].last == depth - 1:
            branches[branch] = replace(branches[branch], last=depth)
            places[index] = (branch, depth)
        else:
            places[index] = (len(branches), depth)
            branches.append(Branch(id=len(branches), parent=branch, first=depth, last=depth))
        for child in follow.get(index, ()):
            heappush(ready, (child, index))
    placed = sorted((*where, index) for index, where in places.items())
    return (
        [(nodes[index], branch, depth) for branch, depth, index in placed],
        tuple(branches) or (Branch(id=0, parent=None, first=0, last=-1),),
    )
