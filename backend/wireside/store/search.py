"""Full-text search in titles, questions and answers.

Every function with a connection runs inside the caller's transaction.

Documents are indexed after the transaction that adds them, many at once: the tokens of an answer
took four fifths of the time of its end, and SQLite's index several times as long for one document
as for each of many. The tokens are made outside of a transaction (``tokens_of``), as running
answers wait for those. Documents without an index are, on SQLite, those after the last one in the
index, and on PostgreSQL those whose ``words`` are null.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Integer,
    bindparam,
    column,
    delete,
    exists,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Text

from wireside.plain_entries import MAX_NUMBER
from wireside.records import ConversationInfo, Hit, HitKind, SearchFilter
from wireside.store import members as its_members
from wireside.store.sql import Prepared, insert_into, is_in_parameter, is_sqlite
from wireside.store.tables import conversations, documents, members, segments, tags, turns, unescape
from wireside.store.words import (
    MAX_INDEXED_CHARS,
    Term,
    fold,
    index_tokens,
    query_terms,
    snippet,
)

MAX_TERMS = 20

INDEXED_AT_ONCE = 50
"""Number of documents per batch; each has at most ``MAX_INDEXED_CHARS``."""

CHARS_AT_ONCE = 100_000
"""Number of characters after which a batch of ``added_texts`` ends: running answers may wait while
it is written, and share Python's lock with the thread that makes its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A searchable text.

    ``ref`` is the id of its turn or stream, or of the conversation if the text is a title.
    """

    ref: str
    conversation_id: str
    turn_id: str | None
    kind: HitKind
    body: str
    created_at: float


def title_document(info: ConversationInfo) -> Document:
    """Return the document for a conversation's title."""
    return Document(
        ref=info.id,
        conversation_id=info.id,
        turn_id=None,
        kind="title",
        body=info.title,
        created_at=info.created_at,
    )


def add_documents(connection: Connection, added: Sequence[Document]) -> None:
    """Add documents, not yet to the index; existing ones are left unchanged."""
    rows: list[dict[str, Any]] = [
        {
            "ref": document.ref,
            "conversation_id": document.conversation_id,
            "turn_id": document.turn_id,
            "kind": document.kind,
            "body": document.body[:MAX_INDEXED_CHARS],
            "created_at": document.created_at,
        }
        for document in added
        if document.body
    ]
    if rows:
        _ADD(connection, rows)


def added_texts(connection: Connection) -> tuple[dict[int, str], bool]:
    """Return the first texts that are not indexed yet, by their ids, and whether there may be more.

    On PostgreSQL, several servers may index the same texts at the same time.
    """
    found = _ADDED.fetch_rows(connection, {"most": INDEXED_AT_ONCE})
    texts: dict[int, str] = {}
    chars = 0
    for number, body in found:
        texts[number] = unescape(body)
        chars += len(body)
        if chars >= CHARS_AT_ONCE:
            break
    return texts, len(texts) < len(found) or len(texts) == INDEXED_AT_ONCE


def tokens_of(texts: Mapping[int, str]) -> dict[int, list[str]]:
    """Return the tokens of each text. Takes about a second for 2,000,000 characters."""
    return {number: index_tokens(text) for number, text in texts.items()}


def index_texts(connection: Connection, tokens: Mapping[int, list[str]]) -> int:
    """Index documents with these tokens by id, except those that were removed or indexed meanwhile.

    Returns their number. On PostgreSQL, those are skipped that another server is indexing: a
    transaction that waits for no row can't be part of a deadlock.
    """
    if is_sqlite(connection):
        added = [row[0] for row in _ADDED.fetch_rows(connection, {"most": len(tokens)})]
        numbers = list(takewhile(tokens.__contains__, added))
    else:
        numbers = [row[0] for row in _HOLD_ADDED.fetch_rows(connection, {"ids": list(tokens)})]
    _add_words(connection, {number: tokens[number] for number in numbers})
    return len(numbers)


def index_all(connection: Connection, on_done: Callable[[int], None]) -> None:
    """Index all documents, for a migration or a restored backup without an index.

    ``on_done`` is called with the number of documents of each batch.
    """
    last = 0
    bodies = (
        select(documents.c.id, documents.c.body).order_by(documents.c.id).limit(INDEXED_AT_ONCE)
    )
    while found := connection.execute(bodies.where(documents.c.id > last)).all():
        _add_words(connection, tokens_of({row.id: row.body for row in found}))
        on_done(len(found))
        last = found[-1].id


def remove_documents(connection: Connection, refs: Sequence[str]) -> None:
    """Remove the documents with these ``ref`` values."""
    if is_sqlite(connection):
        _REMOVE_WORDS(connection, [{"refs": refs}])
    _REMOVE(connection, [{"refs": refs}])


def remove_all_of(connection: Connection, conversation_ids: Sequence[str]) -> None:
    """Remove all documents of these conversations."""
    which = documents.c.conversation_id.in_(conversation_ids)
    if is_sqlite(connection):
        numbers = list(connection.scalars(select(documents.c.id).where(which)))
        if numbers:
            connection.execute(_REMOVE_IN_SQLITE, [{"id": number} for number in numbers])
    connection.execute(delete(documents).where(which))


def erase_removed(connection: Connection) -> None:
    """Erase removed text from the index's storage."""
    # unnecessary for an index created by SQLite 3.42 or later, which deletes securely
    if is_sqlite(connection) and connection.scalar(_IS_SECURE) is None:
        connection.execute(_REBUILD)


def find_documents(
    connection: Connection,
    query: str,
    *,
    owner: str,
    groups: Collection[str] | None = None,
    filters: SearchFilter,
    cursor: int | None,
    limit: int,
) -> list[Hit]:
    """Return documents of ``owner`` that contain all terms of ``query``, newest first.

    With ``groups``, also those of conversations that others share with ``owner`` or these groups.

    Without terms, these are the titles of the conversations that ``filters`` finds. ``cursor`` is
    that of the last hit of the previous page; None starts at the newest document.
    """
    terms = query_terms(query)[:MAX_TERMS]
    if not terms and (query.strip() or filters.is_empty):
        return []
    is_on_sqlite = is_sqlite(connection)
    parameters: dict[str, Any] = {"most": limit, "owner": owner}
    if terms:
        statement = (_IN_SQLITE if is_on_sqlite else _IN_POSTGRESQL).where(*_conditions(filters))
        parameters["match"] = _fts5_query(terms) if is_on_sqlite else _tsquery(terms)
    else:
        statement = _TITLES.where(*_conversation_conditions(filters))
    is_readable = conversations.c.owner == bindparam("owner")
    if groups is not None:
        its_id = members.c.conversation_id == conversations.c.id
        is_readable = or_(is_readable, exists().where(its_id, its_members.is_member(owner, groups)))
    statement = statement.where(is_readable)
    before = MAX_NUMBER if cursor is None else max(0, min(cursor, MAX_NUMBER))
    hits: list[Hit] = []
    while True:
        rows = connection.execute(statement, {**parameters, "before": before}).all()
        hits += [_hit_from_row(row, terms) for row in rows if _contains_terms(row.body, terms)]
        if len(rows) < limit or len(hits) >= limit:
            return hits[:limit]
        before = rows[-1].id


def _conditions(filters: SearchFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of filters on documents."""
    found = _list_conditions(filters)
    if filters.kind is not None:
        found.append(documents.c.kind == filters.kind)
    if filters.since is not None:
        found.append(documents.c.created_at >= filters.since)
    if filters.until is not None:
        found.append(documents.c.created_at < filters.until)
    if filters.model is not None:
        # an answer is that of its stream, a question has the answers of its turn
        of_answer = (documents.c.kind == "answer") & (segments.c.stream == documents.c.ref)
        of_question = (documents.c.kind == "question") & (segments.c.turn_id == documents.c.turn_id)
        its_model = segments.c.model == filters.model
        found.append(exists().where(its_model, or_(of_answer, of_question)))
    return found


def _conversation_conditions(filters: SearchFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of filters on conversations, for a search without words."""
    found = _list_conditions(filters)
    if filters.since is not None:
        found.append(conversations.c.updated_at >= filters.since)
    if filters.until is not None:
        found.append(conversations.c.created_at < filters.until)
    if filters.model is not None:
        found.append(
            exists()
            .select_from(turns.join(segments, segments.c.turn_id == turns.c.id))
            .where(
                turns.c.conversation_id == documents.c.conversation_id,
                segments.c.model == filters.model,
            )
        )
    return found


def _list_conditions(filters: SearchFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.folder_id is not None:
        found.append(conversations.c.folder_id == filters.folder_id)
    if filters.tag is not None:
        found.append(
            exists().where(
                tags.c.conversation_id == documents.c.conversation_id, tags.c.tag == filters.tag
            )
        )
    return found


def _contains_terms(body: str, terms: Sequence[Term]) -> bool:
    """Return whether a text with the tokens of ``terms`` contains the terms themselves."""
    if all(term.is_exact for term in terms):
        return True
    folded = fold(body)
    return all(term.is_contained_in(folded) for term in terms)


def _fts5_query(terms: Sequence[Term]) -> str:
    # a token contains letters, digits and signs, but never a quotation mark
    return " AND ".join(
        "("
        + " OR ".join(
            "(" + " AND ".join(f'"{token}"*' for token in tokens) + ")" for tokens in term.lookups
        )
        + ")"
        for term in terms
    )


def _tsquery(terms: Sequence[Term]) -> str:
    return " & ".join(
        "("
        + " | ".join(
            "(" + " & ".join(f"'{token}':*" for token in tokens) + ")" for tokens in term.lookups
        )
        + ")"
        for term in terms
    )


def _add_words(connection: Connection, tokens: Mapping[int, list[str]]) -> None:
    if not tokens:
        return
    is_on_sqlite = is_sqlite(connection)
    _ADD_WORDS(
        connection,
        [
            {"id": number, "words": " ".join(its) if is_on_sqlite else its}
            for number, its in tokens.items()
        ],
    )


def _hit_from_row(row: Any, terms: Sequence[Term]) -> Hit:
    return Hit(
        conversation_id=row.conversation_id,
        title=row.title,
        turn_id=row.turn_id,
        kind=row.kind,
        snippet=snippet(row.body, terms),
        cursor=row.id,
        created_at=row.created_at,
        is_archived=row.archived_at is not None,
        owner=row.owner,
        place=None if row.branch is None else (row.branch, row.depth),
    )


_VALUES = ("ref", "conversation_id", "turn_id", "kind", "body", "created_at")


def _insert_statement(is_on_sqlite: bool) -> Executable:
    rows = insert_into(documents, is_on_sqlite)
    return rows.values({name: bindparam(name) for name in _VALUES}).on_conflict_do_nothing()


def _added_statement(is_on_sqlite: bool) -> Executable:
    # `document_words_docsize` is a table of the index, with a row for each document
    is_added = (
        "id > (SELECT coalesce(max(id), 0) FROM document_words_docsize)"
        if is_on_sqlite
        else "words IS NULL"
    )
    return text(f"SELECT id, body FROM documents WHERE {is_added} ORDER BY id LIMIT :most")  # noqa: S608


def _add_words_statement(is_on_sqlite: bool) -> Executable:
    if is_on_sqlite:
        return text("INSERT INTO document_words (rowid, words) VALUES (:id, :words)")
    return text("UPDATE documents SET words = array_to_tsvector(:words) WHERE id = :id").bindparams(
        bindparam("words", type_=ARRAY(Text))
    )


_ADD = Prepared(_insert_statement)
_ADDED = Prepared(_added_statement)
_HOLD_ADDED = Prepared(
    lambda _: text(
        "SELECT id FROM documents WHERE id = ANY(:ids) AND words IS NULL"
        " ORDER BY id FOR UPDATE SKIP LOCKED"
    ).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
)
_ADD_WORDS = Prepared(_add_words_statement)
_REMOVE_WORDS = Prepared(
    lambda is_on_sqlite: delete(table("document_words", column("rowid", Integer))).where(
        column("rowid", Integer).in_(
            select(documents.c.id).where(is_in_parameter(documents.c.ref, "refs", is_on_sqlite))
        )
    )
)
_REMOVE = Prepared(
    lambda is_on_sqlite: delete(documents).where(
        is_in_parameter(documents.c.ref, "refs", is_on_sqlite)
    )
)
_REMOVE_IN_SQLITE = text("DELETE FROM document_words WHERE rowid = :id")
_IS_SECURE = text("SELECT v FROM document_words_config WHERE k = 'secure-delete'")
_REBUILD = text("INSERT INTO document_words (document_words) VALUES ('optimize')")
_FOUND = select(
    documents.c.id,
    documents.c.conversation_id,
    documents.c.turn_id,
    documents.c.kind,
    documents.c.body,
    documents.c.created_at,
    conversations.c.title,
    conversations.c.archived_at,
    conversations.c.owner,
    turns.c.branch,
    turns.c.depth,
)
_FOUND = _FOUND.select_from(
    documents.join(conversations, conversations.c.id == documents.c.conversation_id).outerjoin(
        turns, turns.c.id == documents.c.turn_id
    )
).where(conversations.c.deleted_at.is_(None))

_IN_SQLITE = (
    _FOUND.where(
        text(
            "documents.id IN (SELECT rowid FROM document_words"
            " WHERE document_words MATCH :match AND rowid < :before ORDER BY rowid DESC)"
        )
    )
    .order_by(documents.c.id.desc())
    .limit(bindparam("most"))
)
_TITLES = (
    _FOUND.where(documents.c.kind == "title", documents.c.id < bindparam("before"))
    .order_by(documents.c.id.desc())
    .limit(bindparam("most"))
)
_IN_POSTGRESQL = (
    _FOUND.where(
        text("documents.words @@ CAST(:match AS tsquery)"),
        documents.c.id < bindparam("before"),
    )
    .order_by(documents.c.id.desc())
    .limit(bindparam("most"))
)
