"""Turns with their answers. Every function runs inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from wireside.parts import Part, part_from_object, part_to_object, text_of, text_parts
from wireside.records import Branch, Feedback, Span, TurnAdded, TurnRecord
from wireside.store import answers, conversations, files, search
from wireside.store.options import options_from, options_json
from wireside.store.sql import Prepared, is_in_parameter, is_sqlite
from wireside.store.tables import IS_ASKING, IS_LIVE, branches, segments, turns, unescape
from wireside.store.tables import conversations as conversations_table

MAX_DEPTH = 2**31 - 1
"""Greater than the depth of any turn."""


def add_turns(connection: Connection, added: Sequence[TurnAdded]) -> list[bool]:
    """Add turns without segments, and the conversations of those that create one.

    Returns for each whether it was added; it is not if a turn of its id exists, or if it creates a
    conversation that exists, which may be a deleted one.
    """
    ids = [turn.record.id for turn in added]
    taken = {unescape(row[0]) for row in _TAKEN.fetch_rows(connection, {"ids": ids})}
    created = [turn.info.id for turn in added if turn.creates]
    existing = conversations.existing_ids(connection, created) if created else set()
    is_added: list[bool] = []
    for turn in added:
        exists = turn.creates and turn.info.id in existing
        is_added.append(turn.record.id not in taken and not exists)
        taken.add(turn.record.id)
    if new := [turn for turn, is_new in zip(added, is_added, strict=True) if is_new]:
        _insert_turns(connection, new)
    return is_added


def add_answered_turns(connection: Connection, added: Sequence[TurnRecord]) -> None:
    """Add whole turns with their finished answers."""
    if added:
        connection.execute(turns.insert(), [_row_from_turn(turn) for turn in added])
        files.record_uses(connection, added)
        search.add_documents(connection, [_document_of_turn(turn) for turn in added])
        answers.add_finished(connection, added)


def remove_turn(
    connection: Connection, turn_id: str, changed: Sequence[Branch], shown: int
) -> None:
    """Remove a turn without segments; the turns after it move up, on all ``changed`` branches."""
    row = connection.execute(select(turns).where(turns.c.id == turn_id)).first()
    if row is None:
        return
    search.remove_documents(connection, [turn_id])
    files.release_files(connection, turn_id)
    connection.execute(delete(turns).where(turns.c.id == turn_id))
    begin_after = [branch.id for branch in changed if branch.id != row.branch]
    is_after = and_(turns.c.branch == row.branch, turns.c.depth > row.depth)
    connection.execute(
        update(turns)
        .where(turns.c.conversation_id == row.conversation_id)
        .where(or_(is_after, turns.c.branch.in_(begin_after)))
        .values(depth=turns.c.depth - 1)
    )
    conversations.keep_branches(connection, [(row.conversation_id, one) for one in changed])
    conversations.set_shown_branch(connection, row.conversation_id, shown)


def set_feedback(connection: Connection, turn_id: str, feedback: Feedback | None) -> None:
    """Store the feedback on an answer, or remove it."""
    connection.execute(
        update(turns)
        .where(turns.c.id == turn_id)
        .values(
            verdict=feedback.verdict if feedback else None,
            words=feedback.words if feedback else None,
            feedback_shown=feedback is not None and feedback.is_shown,
            rated_at=feedback.at if feedback else None,
        )
    )


def asking(connection: Connection, owner: str, limit: int) -> list[str]:
    """Return the conversations of an owner whose shown turns have an open question.

    Only the ``limit`` newest open questions are considered.
    """
    asking_turns = (
        select(turns.c.conversation_id, turns.c.branch, turns.c.depth, conversations_table.c.shown)
        .select_from(segments)
        .join(turns, turns.c.id == segments.c.turn_id)
        .join(conversations_table, conversations_table.c.id == turns.c.conversation_id)
        .where(
            IS_ASKING,
            conversations_table.c.owner == owner,
            conversations_table.c.deleted_at.is_(None),
        )
        .order_by(segments.c.created_at.desc())
        .limit(limit)
        .cte("asking")
    )
    # the branches of each shown path, from the shown one to the first, each up to its last turn
    shown = select(
        asking_turns.c.conversation_id,
        asking_turns.c.shown.label("branch"),
        literal(MAX_DEPTH).label("last"),
    ).distinct()
    path = shown.cte("path", recursive=True)
    parents = (
        select(path.c.conversation_id, branches.c.parent, branches.c.first - 1)
        .select_from(path)
        .join(
            branches,
            and_(
                branches.c.conversation_id == path.c.conversation_id,
                branches.c.id == path.c.branch,
            ),
        )
        .where(branches.c.parent.is_not(None))
    )
    path = path.union_all(parents)
    found = (
        select(asking_turns.c.conversation_id)
        .join(
            path,
            and_(
                path.c.conversation_id == asking_turns.c.conversation_id,
                path.c.branch == asking_turns.c.branch,
                path.c.last >= asking_turns.c.depth,
            ),
        )
        .distinct()
    )
    return list(connection.scalars(found))


def read_turn(connection: Connection, turn_id: str) -> TurnRecord | None:
    """Return one turn with its segments."""
    rows = connection.execute(
        select(turns)
        .join(conversations_table)
        .where(turns.c.id == turn_id, conversations_table.c.deleted_at.is_(None))
    ).all()
    return next(iter(_with_answers(connection, rows)), None)


def read_open_turns(
    connection: Connection, conversation_id: str, turn_ids: Sequence[str]
) -> list[TurnRecord]:
    """Return those turns of a conversation, and the ones that are being answered."""
    is_in = is_in_parameter(turns.c.id, "ids", is_sqlite(connection))
    running = (
        select(segments.c.turn_id)
        .join(turns)
        .where(turns.c.conversation_id == conversation_id, IS_LIVE)
    )
    rows = connection.execute(
        select(turns).where(
            turns.c.conversation_id == conversation_id, or_(is_in, turns.c.id.in_(running))
        ),
        {"ids": turn_ids},
    ).all()
    return _with_answers(connection, rows)


def read_spans(
    connection: Connection, conversation_id: str, spans: Sequence[Span]
) -> list[TurnRecord]:
    """Return the turns of the spans, in order."""
    if not spans:
        return []
    on_spans = [
        and_(turns.c.branch == span.branch, turns.c.depth.between(span.first, span.last))
        for span in spans
    ]
    rows = connection.execute(
        select(turns).where(turns.c.conversation_id == conversation_id, or_(*on_spans))
    ).all()
    place = {span.branch: number for number, span in enumerate(spans)}
    return _with_answers(connection, sorted(rows, key=lambda row: (place[row.branch], row.depth)))


def read_turns_page(
    connection: Connection, conversation_id: str, *, after: tuple[int, int] | None, limit: int
) -> list[TurnRecord]:
    """Return turns of all branches, by branch, then depth."""
    wanted: list[ColumnElement[bool]] = [turns.c.conversation_id == conversation_id]
    if after is not None:
        wanted.append(tuple_(turns.c.branch, turns.c.depth) > after)
    rows = connection.execute(
        select(turns).where(*wanted).order_by(turns.c.branch, turns.c.depth).limit(limit)
    ).all()
    return _with_answers(connection, rows)


# ---- internals -----------------------------------------------------------------------------------

_TAKEN = Prepared(
    lambda is_on_sqlite: select(turns.c.id).where(is_in_parameter(turns.c.id, "ids", is_on_sqlite))
)
_ADD = Prepared(lambda _: turns.insert())


def _insert_turns(connection: Connection, added: Sequence[TurnAdded]) -> None:
    firsts = [turn for turn in added if turn.creates]
    others = [turn for turn in added if not turn.creates]
    if firsts:
        conversations.create_with_turns(connection, firsts)
    if others:
        conversations.touch_entries(connection, others)
    branches = [(turn.record.conversation_id, turn.branch) for turn in added]
    conversations.keep_branches(connection, branches)
    _ADD(connection, [_row_from_turn(turn.record) for turn in added])
    files.record_uses(connection, [turn.record for turn in added])
    titles = [search.title_document(turn.info) for turn in firsts]
    search.add_documents(connection, [*titles, *(_document_of_turn(turn.record) for turn in added)])


def _with_answers(connection: Connection, rows: Iterable[Row[Any]]) -> list[TurnRecord]:
    rows = list(rows)
    found = answers.read_segments_of_turns(connection, [row.id for row in rows])
    return [
        TurnRecord(
            id=row.id,
            conversation_id=row.conversation_id,
            branch=row.branch,
            depth=row.depth,
            question_parts=_question_of(row),
            created_at=row.created_at,
            options=options_from(row.options),
            is_waiting=row.is_waiting,
            feedback=_feedback_of(row),
            segments=tuple(found.get(row.id, ())),
            asked_by=row.asked_by,
        )
        for row in rows
    ]


def _row_from_turn(turn: TurnRecord) -> dict[str, Any]:
    return {
        "id": turn.id,
        "conversation_id": turn.conversation_id,
        "branch": turn.branch,
        "depth": turn.depth,
        "question": turn.question,
        "question_parts": _parts_json(turn.question_parts),
        "options": options_json(turn.options),
        "created_at": turn.created_at,
        "is_waiting": turn.is_waiting,
        "verdict": turn.feedback.verdict if turn.feedback else None,
        "words": turn.feedback.words if turn.feedback else None,
        "asked_by": turn.asked_by,
        "feedback_shown": turn.feedback is not None and turn.feedback.is_shown,
        "rated_at": (turn.feedback.at or turn.created_at) if turn.feedback else None,
    }


def _feedback_of(row: Row[Any]) -> Feedback | None:
    if not row.verdict:
        return None
    return Feedback(row.verdict, row.words or "", row.feedback_shown, row.rated_at or 0.0)


def _question_of(row: Row[Any]) -> tuple[Part, ...]:
    if row.question_parts is None:
        return text_parts(row.question)
    found = map(part_from_object, msgspec.json.decode(row.question_parts))
    return tuple(part for part in found if part is not None)


def _parts_json(parts: tuple[Part, ...]) -> str | None:
    if parts == text_parts(text_of(parts)):
        return None
    # not msgspec: it refuses unpaired surrogates, which the column replaces
    return json.dumps([part_to_object(part) for part in parts], ensure_ascii=False)


def _document_of_turn(turn: TurnRecord) -> search.Document:
    return search.Document(
        ref=turn.id,
        conversation_id=turn.conversation_id,
        turn_id=turn.id,
        kind="question",
        body=turn.question,
        created_at=turn.created_at,
    )
