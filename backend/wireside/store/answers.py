"""Answers in the database: streams and their pieces. Every function runs inside one transaction.

A running answer only adds rows to ``pieces``. When it ends, they are joined into as few rows as
possible, and its text is added to the search index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, assert_never

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
    Row,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    false,
    literal_column,
    select,
    true,
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
from wireside.parts import (
    Attachment,
    DataPart,
    part_from_object,
    part_to_object,
    searched_text,
)
from wireside.records import AnswerBegun, Segment, Tail, TurnRecord
from wireside.store import files, search
from wireside.store.sql import Prepared, insert_into, is_in_parameter
from wireside.store.tables import (
    IS_ASKING,
    IS_LIVE,
    IS_WAITING,
    MAX_NUMBER,
    conversations,
    pieces,
    segments,
    turns,
    unescape,
)

TEXT, REASONING, TOOL, PART = 0, 1, 2, 3

IN_ONE_QUERY = 500
"""Maximum number of names in one ``IN (…)``."""

RUNNING = select(segments.c.stream).where(IS_LIVE)

MAX_CHARS = 4_000_000
"""Maximum number of characters in one row; a longer text is split into several."""


def begin_answers(connection: Connection, begun: Sequence[AnswerBegun]) -> None:
    """Add streams to existing turns, which then do not wait, also not for an answer."""
    for answer in begun:
        if answer.replaces:
            _remove_earlier(connection, answer)
    rows = [
        {
            "stream": answer.segment.stream,
            "turn": answer.turn_id,
            "conversation": answer.conversation_id,
            "model": answer.segment.model,
            "sanitize": answer.segment.sanitize,
            "created_at": answer.segment.created_at,
        }
        for answer in begun
    ]
    _STOP_ASKING(connection, rows)
    _BEGIN(connection, rows)
    files.use(
        connection,
        [
            files.FileUse(answer.conversation_id, answer.turn_id, file_id)
            for answer in begun
            for file_id in answer.file_ids
        ],
    )
    _STOP_WAITING(connection, rows)


def write_tails(connection: Connection, tails: Sequence[Tail]) -> None:
    """Add new entries, and finish the streams that have ended."""
    rows = [
        row
        for tail in tails
        if tail.offset or tail.end is None  # otherwise it is a whole answer
        for row in _rows_of_entries(tail.stream, tail.offset, tail.entries)
    ]
    if rows:
        _ADD_PIECE(connection, rows)
    ended = [(tail, tail.end) for tail in tails if tail.end is not None]
    if ended:
        stored = _read_entries(connection, [tail.stream for tail, _ in ended if tail.offset])
        _end_streams(
            connection,
            {
                tail.stream: (stored.get(tail.stream, ()) if tail.offset else tail.entries, end)
                for tail, end in ended
            },
        )


def interrupt_all(connection: Connection) -> int:
    """End the streams that a dead process left running; returns their number."""
    names = list(connection.scalars(RUNNING))
    for some in _name_batches(names):
        stored = _read_entries(connection, some)
        _end_streams(
            connection, {name: (stored.get(name, ()), End("interrupted")) for name in some}
        )
    return len(names)


def read_segment(connection: Connection, stream: str) -> tuple[Segment, str] | None:
    """Return a stream with its text, and the id of its conversation."""
    row = connection.execute(
        select(segments, turns.c.conversation_id)
        .join(turns, turns.c.id == segments.c.turn_id)
        .join(conversations, conversations.c.id == turns.c.conversation_id)
        .where(segments.c.stream == stream, conversations.c.deleted_at.is_(None))
    ).first()
    if row is None:
        return None
    entries = _read_entries(connection, [stream]).get(stream, [])
    return _segment_from_row(row, entries), row.conversation_id


def read_segments_of_turns(
    connection: Connection, turn_ids: Sequence[str]
) -> dict[str, list[Segment]]:
    """Return the segments of each turn, in order."""
    rows: list[Row[Any]] = []
    for some in _name_batches(turn_ids):
        rows += connection.execute(
            select(segments)
            .where(segments.c.turn_id.in_(some))
            .order_by(segments.c.turn_id, segments.c.position)
        )
    entries = _read_entries(connection, [row.stream for row in rows])
    found: dict[str, list[Segment]] = {}
    for row in rows:
        found.setdefault(row.turn_id, []).append(
            _segment_from_row(row, entries.get(row.stream, []))
        )
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
                "is_asking": segment is turn.segments[-1]
                and segment.end is not None
                and segment.end.reason == "asking",
            }
            for turn, position, segment in given
        ],
    )
    rows = [
        row
        for _, _, segment in given
        for row in _rows_of_entries(segment.stream, 0, segment.entries)
    ]
    if rows:
        connection.execute(pieces.insert(), rows)
    search.add_documents(
        connection,
        [
            search.Document(
                ref=segment.stream,
                conversation_id=turn.conversation_id,
                turn_id=turn.id,
                kind="answer",
                body=_text_of_entries(segment.entries),
                created_at=segment.created_at,
            )
            for turn, _, segment in given
        ],
    )


# ---- internals -----------------------------------------------------------------------------------


def _begin_statement(is_on_sqlite: bool) -> Executable:
    after_last: ColumnElement[int] = literal_column("coalesce(max(position) + 1, 0)")
    position = select(after_last).where(segments.c.turn_id == turns.c.id)
    values = {
        "stream": _parameter(segments.c.stream),
        "turn_id": turns.c.id,
        "position": position.scalar_subquery(),
        "model": _parameter(segments.c.model),
        "sanitize": _parameter(segments.c.sanitize),
        "created_at": _parameter(segments.c.created_at),
        "is_live": true(),
    }
    return (
        insert_into(segments, is_on_sqlite)
        .from_select(list(values), select(*values.values()).where(_IS_ITS_TURN))
        .on_conflict_do_nothing()
    )


def _add_piece(is_on_sqlite: bool) -> Executable:
    """Return the statement that adds a piece to a running stream, ignoring duplicates."""
    stream = _parameter(pieces.c.stream)
    values = [stream, *(_parameter(pieces.c[name]) for name in ("offset", "kind", "content"))]
    return (
        insert_into(pieces, is_on_sqlite)
        .from_select(
            ["stream", "offset", "kind", "content"],
            select(*values).where(exists().where(segments.c.stream == stream, IS_LIVE)),
        )
        .on_conflict_do_nothing()
    )


def _parameter(column: Column[Any]) -> ColumnElement[Any]:
    # without the cast, PostgreSQL takes a parameter in a SELECT for text
    return cast(bindparam(column.name, type_=column.type), column.type)


_IS_ITS_TURN = and_(
    turns.c.id == bindparam("turn"), turns.c.conversation_id == bindparam("conversation")
)
_BEGIN = Prepared(_begin_statement)
_STOP_WAITING = Prepared(
    lambda _: update(turns).where(_IS_ITS_TURN, IS_WAITING).values(is_waiting=false())
)
_STOP_ASKING = Prepared(
    lambda _: (
        update(segments)
        .where(segments.c.turn_id == bindparam("turn"), exists().where(_IS_ITS_TURN), IS_ASKING)
        .values(is_asking=false())
    )
)
_ADD_PIECE = Prepared(_add_piece)
_ADD_JOINED = Prepared(lambda _: pieces.insert())
_REMOVE_PIECES = Prepared(lambda _: delete(pieces).where(pieces.c.stream == bindparam("stream")))
_END = Prepared(
    lambda _: (
        update(segments)
        .where(segments.c.stream == bindparam("stream"))
        .values({name: bindparam(name) for name in _end_columns(End(None))})
    )
)
_LIVE = Prepared(
    lambda is_on_sqlite: (
        select(segments.c.stream, segments.c.created_at, turns.c.id, turns.c.conversation_id)
        .join(turns, turns.c.id == segments.c.turn_id)
        .where(is_in_parameter(segments.c.stream, "streams", is_on_sqlite), IS_LIVE)
    )
)


def _remove_earlier(connection: Connection, answer: AnswerBegun) -> None:
    streams = list(
        connection.scalars(
            select(segments.c.stream)
            .join(turns, turns.c.id == segments.c.turn_id)
            .where(
                turns.c.id == answer.turn_id,
                turns.c.conversation_id == answer.conversation_id,
                segments.c.stream != answer.segment.stream,
            )
        )
    )
    search.remove_documents(connection, streams)
    connection.execute(delete(pieces).where(pieces.c.stream.in_(streams)))
    connection.execute(delete(segments).where(segments.c.stream.in_(streams)))


def _end_streams(connection: Connection, ended: Mapping[str, tuple[Sequence[Entry], End]]) -> None:
    """End the streams that are running. Each is given with all its entries and its end."""
    found = _LIVE.fetch_rows(connection, {"streams": list(ended)})
    running = {unescape(stream): owner for stream, *owner in found}
    if not running:
        return
    names = list(running)
    _REMOVE_PIECES(connection, [{"stream": name} for name in names])
    if joined := [row for name in names for row in _rows_of_entries(name, 0, ended[name][0])]:
        _ADD_JOINED(connection, joined)
    _END(connection, [{"stream": name, **_end_columns(ended[name][1])} for name in names])
    search.add_documents(
        connection,
        [
            search.Document(
                ref=name,
                conversation_id=unescape(conversation_id),
                turn_id=unescape(turn_id),
                kind="answer",
                body=_text_of_entries(ended[name][0]),
                created_at=created_at,
            )
            for name, (created_at, turn_id, conversation_id) in running.items()
        ],
    )


def _rows_of_entries(stream: str, offset: int, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    rows = []
    for entry in entries:
        for part in _split_entry(entry):
            kind, content, length = _kind_content_length(part)
            offset += length
            if length:  # an empty piece would take another piece's offset
                rows.append({"stream": stream, "offset": offset, "kind": kind, "content": content})
    return rows


def _split_entry(entry: Entry) -> Iterable[Entry]:
    if isinstance(entry, ToolDelta | PartDelta) or len(entry.text) <= MAX_CHARS:
        return (entry,)
    return [
        type(entry)(entry.text[at : at + MAX_CHARS]) for at in range(0, len(entry.text), MAX_CHARS)
    ]


def _kind_content_length(entry: Entry) -> tuple[int, str, int]:
    match entry:
        case TextDelta():
            return TEXT, entry.text, len(entry.text)
        case ReasoningDelta():
            return REASONING, entry.text, len(entry.text)
        case ToolDelta():
            return TOOL, _encode_json(asdict(entry)), 1
        case PartDelta():
            return PART, _encode_json(part_to_object(entry.part)), 1
        case _:
            assert_never(entry)


def _encode_json(value: dict[str, Any]) -> str:
    # not msgspec: it refuses unpaired surrogates, which the column replaces, and one entry that
    # can't be written would stop the writes of all answers
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read_entries(connection: Connection, streams: Sequence[str]) -> dict[str, list[Entry]]:
    """Return the entries of each stream, with neighbours of one kind joined."""
    found: dict[str, list[Entry]] = {}
    for some in _name_batches(streams):
        rows = connection.execute(
            select(pieces.c.stream, pieces.c.offset, pieces.c.kind, pieces.c.content)
            .where(pieces.c.stream.in_(some))
            .order_by(pieces.c.stream, pieces.c.offset)
        ).all()
        for stream, its_rows in groupby(rows, key=lambda row: row.stream):
            for kind, group in groupby(_without_overlaps(its_rows), key=lambda piece: piece[0]):
                contents = [content for _, content in group]
                found.setdefault(stream, []).extend(_from_plain(kind, contents))
    return found


def _without_overlaps(rows: Iterable[Any]) -> Iterable[tuple[int, str]]:
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


def _text_of_entries(entries: Iterable[Entry]) -> str:
    return searched_text(parts_of(entries))


def _end_columns(end: End) -> dict[str, Any]:
    return {
        "is_live": False,
        "reason": end.reason,
        "is_asking": end.reason == "asking",
        "error_code": end.error.code if end.error else None,
        "error_message": str(end.error) if end.error else None,
        "retry_after": end.error.retry_after if end.error else None,
        "input_tokens": _storable_count(end.usage.input_tokens),
        "output_tokens": _storable_count(end.usage.output_tokens),
    }


def _storable_count(tokens: int | None) -> int | None:
    """Return a token count, or None if the database can't store it.

    A model's server may report any number; one that can't be stored would block the writes of every
    answer.
    """
    return None if tokens is None or abs(tokens) > MAX_NUMBER else tokens


def _segment_from_row(row: Row[Any], entries: list[Entry]) -> Segment:
    return Segment(
        stream=row.stream,
        model=row.model,
        entries=tuple(entries),
        end=None if row.is_live else _end_from_row(row),
        sanitize=row.sanitize,
        created_at=row.created_at,
    )


def _end_from_row(row: Row[Any]) -> End:
    usage = Usage(row.input_tokens, row.output_tokens)
    if row.error_code is None:
        reason: FinishReason = row.reason or "interrupted"
        return End(reason, usage=usage)
    kind = BY_CODE.get(row.error_code, InternalError)
    return End(None, kind(row.error_message, retry_after=row.retry_after), usage)


def _name_batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[at : at + IN_ONE_QUERY] for at in range(0, len(names), IN_ONE_QUERY))
