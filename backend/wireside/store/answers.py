"""Answers in the database: streams and their pieces. Every function runs inside one transaction.

A running answer only adds rows to ``pieces``. When it ends, they are joined into as few rows as
possible, and its text is added to the search index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    String,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    false,
    literal_column,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, SmallInteger, Text

from wireside.errors import Fenced, error_from_code
from wireside.messages import (
    Cost,
    End,
    Entry,
    FinishReason,
    PartDelta,
    Timing,
    ToolDelta,
    Usage,
    parts_of,
)
from wireside.parts import (
    searched_text,
)
from wireside.plain_entries import PART, TOOL, entry_from_plain, entry_to_plain, plain_count
from wireside.records import AnswerBegun, Segment, StoredTail, Tail, TurnRecord
from wireside.store import files, search
from wireside.store.sql import Prepared, Texts, insert_into, is_in_parameter, is_sqlite
from wireside.store.tables import (
    IS_ASKING,
    IS_LIVE,
    IS_WAITING,
    AnyId,
    AnyText,
    conversations,
    escape,
    pieces,
    replicas,
    segments,
    turns,
    unescape,
)

IN_ONE_QUERY = 500
"""Maximum number of names in one ``IN (…)``."""

RUNNING = select(segments.c.stream).where(IS_LIVE)

MAX_CHARS = 4_000_000
"""Maximum number of characters in one row; a longer text is split into several."""


def hold_replica(connection: Connection, replica: str) -> None:
    """Keep a replica from being removed until the transaction ends.

    Raises:
        Fenced: it was removed.
    """
    if not _HOLD.fetch_rows(connection, {"replica": replica}):
        raise Fenced


def begin_answers(
    connection: Connection, begun: Sequence[AnswerBegun], replica: str | None = None
) -> None:
    """Add streams to existing turns, which then do not wait, also not for an answer.

    ``replica`` is the id of the server that writes them, if several share the database.
    """
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
            "replica": replica,
        }
        for answer in begun
    ]
    _STOP_ASKING(connection, rows)
    _BEGIN(connection, rows)
    files.use(
        connection,
        [files.FileUse(answer.turn_id, file_id) for answer in begun for file_id in answer.file_ids],
    )
    _STOP_WAITING(connection, rows)


def add_entries(connection: Connection, tails: Sequence[Tail], replica: str) -> None:
    """Add new entries of running answers of a replica, in one statement of PostgreSQL.

    Raises:
        Fenced: the replica was removed; nothing was added then.
    """
    columns = _columns_of_rows(_new_rows(tails))
    [(is_there,)] = _ADD_FENCED.fetch_rows(connection, {**columns, "replica": replica})
    if not is_there:
        raise Fenced


def write_tails(connection: Connection, tails: Sequence[Tail], replica: str | None = None) -> None:
    """Add new entries, and finish the streams that have ended.

    Streams of another replica than ``replica`` are left alone.
    """
    rows = _new_rows(tails)
    if len(rows) == 1 and is_sqlite(connection):
        _ADD_PIECE(connection, rows)
    elif rows and is_sqlite(connection):
        _ADD_LISTED(connection, [{"rows": _listed(rows)}])
    elif rows and replica is None:
        _ADD_PIECES(connection, [_columns_of_rows(rows)])
    elif replica is not None:
        add_entries(connection, tails, replica)
    ended = [(tail, tail.end) for tail in tails if tail.end is not None]
    if ended:
        stored = _read_entries(connection, [tail.stream for tail, _ in ended if tail.offset])
        _end_streams(
            connection,
            {
                tail.stream: (stored.get(tail.stream, ()) if tail.offset else tail.entries, end)
                for tail, end in ended
            },
            replica,
        )


def interrupt_all(connection: Connection) -> int:
    """End the streams that a dead process left running; returns their number."""
    names = list(connection.scalars(RUNNING))
    for some in _name_batches(names):
        _interrupt_streams(connection, some)
    return len(names)


def orphans(connection: Connection) -> list[str]:
    """Return up to ``IN_ONE_QUERY`` streams whose replica was removed."""
    return [row.stream for row in connection.execute(_ORPHANS)]


def interrupt_orphans(connection: Connection, stream: str | None = None) -> list[tuple[str, str]]:
    """End the streams whose replica was removed, except those that another server is ending.

    Returns up to ``IN_ONE_QUERY`` streams with their conversations; only ``stream`` if given.
    """
    its = _ORPHANS if stream is None else _ORPHANS.where(segments.c.stream == stream)
    found = connection.execute(its.with_for_update(of=segments, skip_locked=True)).all()
    if found:
        _interrupt_streams(connection, [row.stream for row in found])
    return [(row.stream, row.conversation_id) for row in found]


def _interrupt_streams(connection: Connection, streams: Sequence[str]) -> None:
    stored = _read_entries(connection, streams)
    ended = {name: (stored.get(name, ()), End("interrupted")) for name in streams}
    _end_streams(connection, ended)


def request_stop(connection: Connection, stream: str) -> None:
    """Ask the server that writes a running answer to stop it."""
    is_its = (segments.c.stream == stream, IS_LIVE)
    connection.execute(update(segments).where(*is_its).values(is_stop_requested=True))


def requested_stops(connection: Connection) -> list[str]:
    """Return the running answers that must be stopped."""
    statement = select(segments.c.stream).where(IS_LIVE, segments.c.is_stop_requested)
    return list(connection.scalars(statement))


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


def turn_of_stream(connection: Connection, stream: str) -> tuple[str, str] | None:
    """Return the conversation and the turn of a stream."""
    row = connection.execute(
        select(turns.c.conversation_id, turns.c.id)
        .join(segments, turns.c.id == segments.c.turn_id)
        .where(segments.c.stream == stream)
    ).first()
    return None if row is None else (row.conversation_id, row.id)


def read_tails(connection: Connection, offsets: Mapping[str, int]) -> dict[str, StoredTail]:
    """Return what there is of streams after an offset of each, on PostgreSQL.

    A join of a list with ``pieces`` would scan the whole table; LATERAL takes each from the index.
    """
    wanted = {"streams": list(map(escape, offsets)), "offsets": list(offsets.values())}
    entries: dict[str, list[Entry]] = {}
    found = connection.execute(_TAILS, wanted).all()
    for stream, its_rows in groupby(found, key=lambda row: row.stream):
        pieces_after = _without_overlaps(its_rows, offsets[stream])
        for kind, group in groupby(pieces_after, key=lambda piece: piece[0]):
            contents = [content for _, content in group]
            entries.setdefault(stream, []).extend(_from_plain(kind, contents))
    rows = connection.execute(select(segments).where(segments.c.stream.in_(list(offsets))))
    return {
        row.stream: StoredTail(
            entries=tuple(entries.get(row.stream, ())),
            end=None if row.is_live else _end_from_row(row),
            replica=row.replica if row.is_live else None,
        )
        for row in rows
    }


def answering_conversations(connection: Connection) -> list[tuple[str, str]]:
    """Return owner and id of the conversations that are being answered."""
    rows = connection.execute(
        select(conversations.c.owner, conversations.c.id)
        .join(turns, turns.c.conversation_id == conversations.c.id)
        .join(segments, segments.c.turn_id == turns.c.id)
        .where(IS_LIVE, conversations.c.deleted_at.is_(None))
        .distinct()
    )
    return [(row.owner, row.id) for row in rows]


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
        "replica": _parameter(segments.c.replica),
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
# SQLite: one step of the driver, which else gives up Python's lock and takes it again for each row
_ADD_LISTED = Prepared(
    lambda _: text(
        'INSERT INTO pieces (stream, "offset", kind, content)'
        " SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:rows)"
        " WHERE EXISTS (SELECT 1 FROM segments WHERE stream = value ->> 0 AND is_live)"
        " ON CONFLICT DO NOTHING"
    )
)
# PostgreSQL takes five times as long for a statement for each row
_ADD_PIECES = Prepared(
    lambda _: text(
        'INSERT INTO pieces (stream, "offset", kind, content)'
        " SELECT added.* FROM unnest(:stream, :offset, :kind, :content)"
        ' AS added (stream, "offset", kind, content)'
        " WHERE EXISTS (SELECT 1 FROM segments WHERE segments.stream = added.stream AND is_live)"
        " ON CONFLICT DO NOTHING"
    ).bindparams(
        bindparam("stream", type_=Texts),
        bindparam("offset", type_=ARRAY(BigInteger)),
        bindparam("kind", type_=ARRAY(SmallInteger)),
        bindparam("content", type_=Texts),
    )
)
# one statement, so that no lock is held between two; a removal waits for the lock on the row
_ADD_FENCED = Prepared(
    lambda _: text(
        "WITH mine AS (SELECT 1 FROM replicas WHERE id = :replica FOR KEY SHARE),"
        ' added AS (INSERT INTO pieces (stream, "offset", kind, content)'
        " SELECT new.* FROM unnest(:stream, :offset, :kind, :content)"
        ' AS new (stream, "offset", kind, content)'
        " WHERE EXISTS (SELECT 1 FROM mine) AND EXISTS (SELECT 1 FROM segments"
        " WHERE segments.stream = new.stream AND is_live AND segments.replica = :replica)"
        " ON CONFLICT DO NOTHING)"
        " SELECT EXISTS (SELECT 1 FROM mine)"
    ).bindparams(
        bindparam("replica", type_=String),
        bindparam("stream", type_=Texts),
        bindparam("offset", type_=ARRAY(BigInteger)),
        bindparam("kind", type_=ARRAY(SmallInteger)),
        bindparam("content", type_=Texts),
    )
)
_HOLD = Prepared(
    lambda _: (
        select(replicas.c.id)
        .where(replicas.c.id == bindparam("replica"))
        .with_for_update(read=True, key_share=True)
    )
)
_ORPHANS = (
    select(segments.c.stream, turns.c.conversation_id)
    .join(turns, turns.c.id == segments.c.turn_id)
    .where(IS_LIVE, ~exists().where(replicas.c.id == segments.c.replica))
    .limit(IN_ONE_QUERY)
)
# the cast lets PostgreSQL use the primary key of ``pieces``
_TAILS = (
    text(
        "SELECT wanted.stream, piece.offset, piece.kind, piece.content"
        " FROM unnest(CAST(:streams AS text[]), CAST(:offsets AS bigint[]))"
        " AS wanted (stream, after)"
        ' CROSS JOIN LATERAL (SELECT "offset", kind, content FROM pieces'
        ' WHERE pieces.stream = wanted.stream::varchar AND pieces."offset" > wanted.after'
        ' ORDER BY "offset") AS piece'
    )
    .bindparams(
        bindparam("streams", type_=ARRAY(Text)), bindparam("offsets", type_=ARRAY(BigInteger))
    )
    .columns(stream=AnyId, offset=BigInteger, kind=SmallInteger, content=AnyText)
)
_ADD_JOINED = Prepared(lambda _: pieces.insert())
_REMOVE_PIECES = Prepared(lambda _: delete(pieces).where(pieces.c.stream == bindparam("stream")))
_END = Prepared(
    lambda _: (
        update(segments)
        .where(segments.c.stream == bindparam("stream"))
        .values({name: bindparam(name) for name in _end_columns(End(None))})
    )
)


def _live_streams(is_on_sqlite: bool) -> Select[Any]:
    return (
        select(segments.c.stream, segments.c.created_at, turns.c.id, turns.c.conversation_id)
        .join(turns, turns.c.id == segments.c.turn_id)
        .where(is_in_parameter(segments.c.stream, "streams", is_on_sqlite), IS_LIVE)
    )


_LIVE = Prepared(_live_streams)
_LIVE_OF_REPLICA = Prepared(
    lambda is_on_sqlite: _live_streams(is_on_sqlite).where(
        segments.c.replica == bindparam("replica")
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


def _end_streams(
    connection: Connection,
    ended: Mapping[str, tuple[Sequence[Entry], End]],
    replica: str | None = None,
) -> None:
    """End the streams that are running, of ``replica`` if given.

    Each is given with all its entries and its end.
    """
    live = _LIVE if replica is None else _LIVE_OF_REPLICA
    found = live.fetch_rows(connection, {"streams": list(ended), "replica": replica})
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


def _new_rows(tails: Sequence[Tail]) -> list[dict[str, Any]]:
    return [
        row
        for tail in tails
        if tail.offset or tail.end is None  # otherwise it is a whole answer
        for row in _rows_of_entries(tail.stream, tail.offset, tail.entries)
    ]


def _listed(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows for ``pieces`` as a JSON list of lists."""
    return msgspec.json.encode(
        [
            (escape(row["stream"]), row["offset"], row["kind"], escape(row["content"]))
            for row in rows
        ]
    ).decode()


def _columns_of_rows(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of rows for ``pieces``, for ``unnest``."""
    return {name: [row[name] for row in rows] for name in ("stream", "offset", "kind", "content")}


def _rows_of_entries(stream: str, offset: int, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    rows = []
    for entry in entries:
        for part in _split_entry(entry):
            kind, content = entry_to_plain(part)
            length = 1 if kind in (TOOL, PART) else len(content)
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


def _without_overlaps(rows: Iterable[Any], position: int = 0) -> Iterable[tuple[int, str]]:
    """Return kind and content of a stream's pieces after ``position``, each position once.

    If a commit succeeds but its confirmation is lost, the write is repeated with the same text
    split at other positions: its pieces then overlap those of the first write.
    """
    placed = [
        (row.offset - (1 if row.kind in (TOOL, PART) else len(row.content)), row.offset, row)
        for row in rows
    ]
    for start, end, row in sorted(placed, key=lambda piece: piece[:2]):
        if end > position:
            yield row.kind, row.content[position - start :] if start < position else row.content
            position = end


def _from_plain(kind: int, contents: list[str]) -> list[Entry]:
    if kind in (TOOL, PART):
        return [entry_from_plain(kind, content) for content in contents]
    return [entry_from_plain(kind, "".join(contents))]


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
        "input_tokens": plain_count(end.usage.input_tokens),
        "output_tokens": plain_count(end.usage.output_tokens),
        "cost": end.cost.amount if end.cost else None,
        "currency": end.cost.currency if end.cost else None,
        "first_s": end.timing.first_s,
        "reasoning_s": end.timing.reasoning_s,
        "total_s": end.timing.total_s,
    }


def _segment_from_row(row: Row[Any], entries: list[Entry]) -> Segment:
    return Segment(
        stream=row.stream,
        model=row.model,
        entries=tuple(entries),
        end=None if row.is_live else _end_from_row(row),
        sanitize=row.sanitize,
        created_at=row.created_at,
        replica=row.replica if row.is_live else None,
    )


def _end_from_row(row: Row[Any]) -> End:
    usage = Usage(row.input_tokens, row.output_tokens)
    timing = Timing(first_s=row.first_s, reasoning_s=row.reasoning_s, total_s=row.total_s)
    cost = None if row.cost is None else Cost(row.cost, row.currency or "")
    if row.error_code is None:
        reason: FinishReason = row.reason or "interrupted"
        return End(reason, usage=usage, timing=timing, cost=cost)
    error = error_from_code(row.error_code, row.error_message, retry_after=row.retry_after)
    return End(None, error, usage, timing, cost)


def _name_batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[at : at + IN_ONE_QUERY] for at in range(0, len(names), IN_ONE_QUERY))
