"""Answers in the database: streams and their pieces. Every function runs inside one transaction.

A running answer only adds rows to ``pieces``. When it ends, they are joined into as few rows as
possible, and its text is added to the search index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any, assert_never

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    SmallInteger,
    bindparam,
    cast,
    delete,
    exists,
    func,
    select,
    update,
)

from wireside.errors import BY_CODE, InternalError
from wireside.messages import (
    End,
    Entry,
    FinishReason,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
    parts_of,
)
from wireside.parts import Attachment, DataPart, part_from_object, part_to_object, searched_text
from wireside.records import Segment, Tail, TurnRecord
from wireside.store import search
from wireside.store.sql import insert, is_sqlite
from wireside.store.tables import (
    IS_LIVE,
    MAX_NUMBER,
    AnyText,
    conversations,
    pieces,
    segments,
    turns,
)

TEXT, REASONING, TOOL, PART = 0, 1, 2, 3

IN_ONE_QUERY = 500
"""Maximum number of names in one ``IN (…)``."""

RUNNING = select(segments.c.stream).where(IS_LIVE)

MAX_CHARS = 4_000_000
"""Maximum number of characters in one row; a longer text is split into several."""


def begin(connection: Connection, turn_id: str, segment: Segment, *, replaces: bool) -> None:
    """Add a stream to a turn and mark the turn as not waiting."""
    if replaces:
        streams = list(
            connection.scalars(
                select(segments.c.stream).where(
                    segments.c.turn_id == turn_id, segments.c.stream != segment.stream
                )
            )
        )
        search.remove(connection, streams)
        connection.execute(delete(pieces).where(pieces.c.stream.in_(streams)))
        connection.execute(delete(segments).where(segments.c.stream.in_(streams)))
    position = select(func.coalesce(func.max(segments.c.position) + 1, 0)).where(
        segments.c.turn_id == turn_id
    )
    is_there = connection.scalar(select(turns.c.id).where(turns.c.id == turn_id))
    if is_there is None:
        return
    connection.execute(
        insert(segments, is_sqlite(connection))
        .values(
            stream=segment.stream,
            turn_id=turn_id,
            position=position.scalar_subquery(),
            model=segment.model,
            sanitize=segment.sanitize,
            created_at=segment.created_at,
            is_live=True,
        )
        .on_conflict_do_nothing()
    )
    connection.execute(update(turns).where(turns.c.id == turn_id).values(is_waiting=False))


def write(connection: Connection, tails: Sequence[Tail]) -> None:
    """Add new entries, and finish the streams that have ended."""
    rows = [row for tail in tails for row in _rows(tail.stream, tail.offset, tail.entries)]
    if rows:
        connection.execute(_add_piece(is_sqlite(connection)), rows)
    ended = {tail.stream: tail.end for tail in tails if tail.end is not None}
    if ended:
        _end(connection, ended)


def interrupt_all(connection: Connection) -> int:
    """End the streams that a dead process left running; returns their number."""
    names = list(connection.scalars(RUNNING))
    for some in _some(names):
        _end(connection, dict.fromkeys(some, End("interrupted")))
    return len(names)


def read(connection: Connection, stream: str) -> tuple[Segment, str] | None:
    """Return a stream with its text, and the id of its conversation."""
    row = connection.execute(
        select(segments, turns.c.conversation_id)
        .join(turns, turns.c.id == segments.c.turn_id)
        .join(conversations, conversations.c.id == turns.c.conversation_id)
        .where(segments.c.stream == stream, conversations.c.deleted_at.is_(None))
    ).first()
    if row is None:
        return None
    entries = _entries(connection, [stream]).get(stream, [])
    return _segment(row, entries), row.conversation_id


def of_turns(connection: Connection, turn_ids: Sequence[str]) -> dict[str, list[Segment]]:
    """Return the segments of each turn, in order."""
    rows: list[Row[Any]] = []
    for some in _some(turn_ids):
        rows += connection.execute(
            select(segments)
            .where(segments.c.turn_id.in_(some))
            .order_by(segments.c.turn_id, segments.c.position)
        )
    entries = _entries(connection, [row.stream for row in rows])
    found: dict[str, list[Segment]] = {}
    for row in rows:
        found.setdefault(row.turn_id, []).append(_segment(row, entries.get(row.stream, [])))
    return found


def add_finished(connection: Connection, added: Sequence[TurnRecord]) -> None:
    """Add the segments of whole turns."""
    given = [
        (turn, position, segment)
        for turn in added
        for position, segment in enumerate(turn.segments)
    ]
    if not given:
        return
    connection.execute(
        segments.insert(),
        [
            {
                "stream": segment.stream,
                "turn_id": turn.id,
                "position": position,
                "model": segment.model,
                "sanitize": segment.sanitize,
                "created_at": segment.created_at,
                **_end_columns(segment.end or End("interrupted")),
            }
            for turn, position, segment in given
        ],
    )
    rows = [row for _, _, segment in given for row in _rows(segment.stream, 0, segment.entries)]
    if rows:
        connection.execute(pieces.insert(), rows)
    search.add(
        connection,
        [
            search.Document(
                ref=segment.stream,
                conversation_id=turn.conversation_id,
                turn_id=turn.id,
                kind="answer",
                body=_text(segment.entries),
                created_at=segment.created_at,
            )
            for turn, _, segment in given
        ],
    )


# ---- internals -----------------------------------------------------------------------------------


@cache
def _add_piece(is_on_sqlite: bool) -> Any:
    """Return the statement that inserts a piece of an existing stream, ignoring duplicates."""
    stream = cast(bindparam("stream", type_=AnyText), AnyText)
    return (
        insert(pieces, is_on_sqlite)
        .from_select(
            ["stream", "offset", "kind", "content"],
            select(
                stream,
                cast(bindparam("offset"), BigInteger),
                cast(bindparam("kind"), SmallInteger),
                cast(bindparam("content", type_=AnyText), AnyText),
            ).where(exists().where(segments.c.stream == stream)),
        )
        .on_conflict_do_nothing()
    )


def _end(connection: Connection, ended: dict[str, End]) -> None:
    names = list(ended)
    found = _entries(connection, names)
    for some in _some(names):
        connection.execute(delete(pieces).where(pieces.c.stream.in_(some)))
    rows = [row for name, entries in found.items() for row in _rows(name, 0, entries)]
    if rows:
        connection.execute(pieces.insert(), rows)
    connection.execute(
        update(segments).where(segments.c.stream == bindparam("name")),
        [{"name": name, **_end_columns(end)} for name, end in ended.items()],
    )
    owners: list[Row[Any]] = []
    for some in _some(names):
        owners += connection.execute(
            select(segments.c.stream, segments.c.created_at, turns.c.id, turns.c.conversation_id)
            .join(turns, turns.c.id == segments.c.turn_id)
            .where(segments.c.stream.in_(some))
        )
    search.add(
        connection,
        [
            search.Document(
                ref=row.stream,
                conversation_id=row.conversation_id,
                turn_id=row.id,
                kind="answer",
                body=_text(found.get(row.stream, ())),
                created_at=row.created_at,
            )
            for row in owners
        ],
    )


def _rows(stream: str, offset: int, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    rows = []
    for entry in entries:
        for part in _parts(entry):
            kind, content, length = _plain(part)
            offset += length
            if length:  # an empty piece would take another piece's offset
                rows.append({"stream": stream, "offset": offset, "kind": kind, "content": content})
    return rows


def _parts(entry: Entry) -> Iterable[Entry]:
    if isinstance(entry, ToolDelta | PartDelta) or len(entry.text) <= MAX_CHARS:
        return (entry,)
    return [
        type(entry)(entry.text[at : at + MAX_CHARS]) for at in range(0, len(entry.text), MAX_CHARS)
    ]


def _plain(entry: Entry) -> tuple[int, str, int]:
    match entry:
        case TextDelta():
            return TEXT, entry.text, len(entry.text)
        case ReasoningDelta():
            return REASONING, entry.text, len(entry.text)
        case ToolDelta():
            return TOOL, msgspec.json.encode(entry).decode(), 1
        case PartDelta():
            return PART, msgspec.json.encode(part_to_object(entry.part)).decode(), 1
        case _:
            assert_never(entry)


def _entries(connection: Connection, streams: Sequence[str]) -> dict[str, list[Entry]]:
    """Return the entries of each stream, with neighbours of one kind joined."""
    found: dict[str, list[Entry]] = {}
    for some in _some(streams):
        rows = connection.execute(
            select(pieces.c.stream, pieces.c.offset, pieces.c.kind, pieces.c.content)
            .where(pieces.c.stream.in_(some))
            .order_by(pieces.c.stream, pieces.c.offset)
        ).all()
        for stream, its_rows in groupby(rows, key=lambda row: row.stream):
            for kind, group in groupby(_once(its_rows), key=lambda piece: piece[0]):
                contents = [content for _, content in group]
                found.setdefault(stream, []).extend(_from_plain(kind, contents))
    return found


def _once(rows: Iterable[Any]) -> Iterable[tuple[int, str]]:
    """Return kind and content of a stream's pieces, each position once.

    If a commit succeeds but its confirmation is lost, the write is repeated with the same text
    split at other positions: its pieces then overlap those of the first write.
    """
    placed = [
        (row.offset - (1 if row.kind in (TOOL, PART) else len(row.content)), row.offset, row)
        for row in rows
    ]
    position = 0
    for start, end, row in sorted(placed, key=lambda piece: piece[:2]):
        if end > position:
            yield row.kind, row.content[position - start :] if start < position else row.content
            position = end


def _from_plain(kind: int, contents: list[str]) -> list[Entry]:
    if kind == TOOL:
        return [msgspec.json.decode(content, type=ToolDelta) for content in contents]
    if kind == PART:
        return [PartDelta(_attachment(content)) for content in contents]
    text = "".join(contents)
    return [TextDelta(text) if kind == TEXT else ReasoningDelta(text)]


def _attachment(content: str) -> Attachment:
    part = part_from_object(msgspec.json.decode(content))
    # written by this module; a kind that a later version added is kept as data
    return part if isinstance(part, Attachment) else DataPart(kind="unknown", data=content)


def _text(entries: Iterable[Entry]) -> str:
    return searched_text(parts_of(entries))


def _end_columns(end: End) -> dict[str, Any]:
    return {
        "is_live": False,
        "reason": end.reason,
        "error_code": end.error.code if end.error else None,
        "error_message": str(end.error) if end.error else None,
        "retry_after": end.error.retry_after if end.error else None,
        "input_tokens": _count(end.usage.input_tokens),
        "output_tokens": _count(end.usage.output_tokens),
    }


def _count(tokens: int | None) -> int | None:
    """Return a token count, or None if the database can't store it.

    A model's server may report any number; one that can't be stored would block the writes of every
    answer.
    """
    return None if tokens is None or abs(tokens) > MAX_NUMBER else tokens


def _segment(row: Row[Any], entries: list[Entry]) -> Segment:
    return Segment(
        stream=row.stream,
        model=row.model,
        entries=tuple(entries),
        end=None if row.is_live else _read_end(row),
        sanitize=row.sanitize,
        created_at=row.created_at,
    )


def _read_end(row: Row[Any]) -> End:
    usage = Usage(row.input_tokens, row.output_tokens)
    if row.error_code is None:
        reason: FinishReason = row.reason or "interrupted"
        return End(reason, usage=usage)
    kind = BY_CODE.get(row.error_code, InternalError)
    return End(None, kind(row.error_message, retry_after=row.retry_after), usage)


def _some(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[at : at + IN_ONE_QUERY] for at in range(0, len(names), IN_ONE_QUERY))
