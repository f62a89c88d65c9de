"""Copies of a conversation: all of it, or one path of its turns. Pure.

A copy has ids of its own and is finished: an answer that is being written, or that a question waits
for, is interrupted in the copy, where it can be requested again. Feedback, pin, archive and links
belong to the original.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from wireside.chat import tree
from wireside.messages import End
from wireside.records import Branch, ConversationInfo, Imported, Segment, Span, TurnRecord

_NUMBERED = re.compile(r"(.*) \(([0-9]{1,6})\)", re.DOTALL)


def path_to(branches: tree.Branches, branch: int, depth: int) -> list[Span]:
    """Return the spans from the first turn to the one at ``depth`` of ``branch``."""
    return tree.clip_spans(tree.path_of_spans(branches, branch), 0, depth)


def copy_turns(
    info: ConversationInfo,
    records: Sequence[TurnRecord],
    branches: Sequence[Branch],
    shown: int,
    *,
    new_id: Callable[[], str],
) -> Imported:
    """Return turns of another conversation as those of ``info``, with new ids."""
    return Imported(
        info=info,
        branches=tuple(branches),
        shown=shown,
        turns=tuple(_copy_turn(record, info.id, new_id) for record in records),
    )


def in_one_branch(records: Sequence[TurnRecord]) -> tuple[list[TurnRecord], Branch]:
    """Return the turns of a path as those of one branch."""
    flat = [replace(record, branch=0, depth=depth) for depth, record in enumerate(records)]
    return flat, Branch(id=0, parent=None, first=0, last=len(flat) - 1)


def title_of_copy(title: str, *, max_chars: int) -> str:
    """Return the title of a copy, which has a number in every language.

    >>> title_of_copy("Otters", max_chars=200)
    'Otters (2)'
    >>> title_of_copy("Otters (2)", max_chars=200)
    'Otters (3)'
    """
    if not title:
        return ""
    base, number = title, 2
    if numbered := _NUMBERED.fullmatch(title):
        base, number = numbered[1], int(numbered[2]) + 1
    end = f" ({number})"
    return base[: max_chars - len(end)].rstrip() + end


def _copy_turn(record: TurnRecord, conversation_id: str, new_id: Callable[[], str]) -> TurnRecord:
    segments = tuple(_copy_segment(segment, new_id()) for segment in record.segments)
    return replace(
        record,
        id=new_id(),
        conversation_id=conversation_id,
        is_waiting=False,
        feedback=None,
        asked_by=None,
        segments=segments or (_no_answer(new_id(), record.created_at),),
    )


def _copy_segment(segment: Segment, stream: str) -> Segment:
    end = segment.end or End("interrupted")
    return replace(segment, stream=stream, end=end, replica=None)


def _no_answer(stream: str, created_at: float) -> Segment:
    return Segment(stream=stream, model="", end=End("interrupted"), created_at=created_at)
