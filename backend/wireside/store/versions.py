"""Versions of conversations: each change raises the one for which it was made.

Where several servers share a database, each has conversations open that others change. A change is
therefore written in the transaction that finds the version for which it was made; if another one
came first, it is refused (``Conflict``), and its server loads the conversation again and makes the
change again. The row of the conversation is locked from that check to the commit.

A server alone makes no check: what it has open is what it has stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256

from sqlalchemy import Connection, bindparam, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger

from wireside.errors import Conflict
from wireside.records import AnswerBegun, ConversationVersion, Tail, TurnAdded, Write, WriteResult
from wireside.store.sql import Prepared, is_in_parameter, is_sqlite
from wireside.store.tables import conversations, segments, unescape


def raise_version(connection: Connection, conversation_id: str, made_for: int | None) -> None:
    """Raise the version of a conversation by one.

    Raises:
        Conflict: it is not ``made_for``, or the conversation is deleted. None is any version.
    """
    if made_for is None:
        _RAISE(connection, [{"conversation": conversation_id, "count": 1}])
        return
    row = {"conversation": conversation_id, "made_for": made_for}
    if not _RAISE_FROM(connection, [row]):
        raise Conflict


def raise_versions(connection: Connection, written: Iterable[Write]) -> None:
    """Raise the versions of conversations by the number of their changes."""
    counts = Counter(one.conversation_id for one in written if not isinstance(one, Tail))
    if counts:
        _RAISE(
            connection,
            [{"conversation": name, "count": count} for name, count in counts.items()],
        )


def lock_rows(connection: Connection, conversation_ids: Collection[str]) -> dict[str, int]:
    """Lock conversations until the commit, in one order; return the versions of those that exist.

    A deleted one has none that a change could be made for: -1.
    """
    rows = _LOCK.fetch_rows(connection, {"ids": sorted(conversation_ids)})
    return {unescape(name): -1 if is_deleted else version for name, version, is_deleted in rows}


def lock_new_ids(connection: Connection, added: Sequence[TurnAdded]) -> None:
    """Make other transactions wait that add a turn or a conversation of the same id."""
    if not added or is_sqlite(connection):
        return
    names = {one.record.id for one in added} | {one.info.id for one in added if one.creates}
    keys = sorted(
        int.from_bytes(sha256(name.encode("utf-8", "replace")).digest()[:8], signed=True)
        for name in names
    )
    _LOCK_NEW.fetch_rows(connection, {"keys": keys})


def split_by_version(
    connection: Connection, writes: Sequence[Write]
) -> tuple[list[int], list[WriteResult]]:
    """Return the indexes of the writes to perform, and the result of each one so far.

    The result is True for those to perform and for those that were performed before: a commit may
    have succeeded although its confirmation was lost. It is None for those that were made for
    another version, and for all later ones of the same conversation.
    """
    changes = [write for write in writes if not isinstance(write, Tail)]
    if not changes:
        return list(range(len(writes))), [True] * len(writes)
    lock_new_ids(connection, [write for write in changes if isinstance(write, TurnAdded)])
    current = lock_rows(connection, {change.conversation_id for change in changes})
    repeated = _conversations_of_begun(connection, changes)
    to_perform: list[int] = []
    results: list[WriteResult] = []
    for index, write in enumerate(writes):
        if isinstance(write, Tail):
            to_perform.append(index)
            results.append(True)
            continue
        name = write.conversation_id
        if name in repeated:
            results.append(True)
            continue
        creates = isinstance(write, TurnAdded) and write.creates
        if creates and name not in current:
            current[name] = write.version or 0
        elif creates or write.version not in (None, current.get(name)):
            current[name] = -1
        if current.get(name) == -1:
            results.append(None)
            continue
        if name in current:
            current[name] += 1
        to_perform.append(index)
        results.append(True)
    return to_perform, results


def read_versions(
    connection: Connection, conversation_ids: Sequence[str]
) -> dict[str, ConversationVersion]:
    """Return the versions of conversations; those that were purged are missing."""
    rows = connection.execute(
        select(
            conversations.c.id,
            conversations.c.version,
            conversations.c.owner,
            conversations.c.deleted_at,
        ).where(is_in_parameter(conversations.c.id, "ids", is_sqlite(connection))),
        {"ids": conversation_ids},
    ).all()
    return {
        name: ConversationVersion(version=version, owner=owner, is_deleted=deleted_at is not None)
        for name, version, owner, deleted_at in rows
    }


def _conversations_of_begun(connection: Connection, changes: Sequence[Write]) -> set[str]:
    """Return the conversations of those answers that are stored already."""
    begun = {one.segment.stream: one for one in changes if isinstance(one, AnswerBegun)}
    if not begun:
        return set()
    rows = _BEGUN.fetch_rows(connection, {"streams": list(begun)})
    return {begun[unescape(row[0])].conversation_id for row in rows}


_HAS_ID = conversations.c.id == bindparam("conversation")
_RAISE = Prepared(
    lambda _: (
        update(conversations)
        .where(_HAS_ID)
        .values(version=conversations.c.version + bindparam("count"))
    )
)
_RAISE_FROM = Prepared(
    lambda _: (
        update(conversations)
        .where(
            _HAS_ID,
            conversations.c.version == bindparam("made_for"),
            conversations.c.deleted_at.is_(None),
        )
        .values(version=conversations.c.version + literal_column("1"))
    )
)
# weaker than FOR UPDATE: it lets turns be added to other conversations meanwhile, whose foreign
# keys share the row
_LOCK = Prepared(
    lambda is_on_sqlite: (
        select(conversations.c.id, conversations.c.version, conversations.c.deleted_at.is_not(None))
        .where(is_in_parameter(conversations.c.id, "ids", is_on_sqlite))
        .order_by(conversations.c.id)
        .with_for_update(key_share=True)
    )
)
_LOCK_NEW = Prepared(
    lambda _: text("SELECT pg_advisory_xact_lock(key) FROM unnest(:keys) AS key").bindparams(
        bindparam("keys", type_=ARRAY(BigInteger))
    )
)
_BEGUN = Prepared(
    lambda is_on_sqlite: select(segments.c.stream).where(
        is_in_parameter(segments.c.stream, "streams", is_on_sqlite)
    )
)
