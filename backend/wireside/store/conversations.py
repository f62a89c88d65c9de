"""Conversations and lists of them. Every function runs inside one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import isfinite
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import Insert

from wireside.errors import BadMessage
from wireside.messages import Options
from wireside.records import (
    Branch,
    ConversationInfo,
    Listing,
    StoredConversation,
    TagCount,
    TurnAdded,
)
from wireside.store import folders, search, versions
from wireside.store import members as its_members
from wireside.store.options import options_from, options_json
from wireside.store.sql import Prepared, insert_into, is_in_parameter
from wireside.store.tables import (
    IS_LIVE,
    IS_WAITING,
    AnyText,
    branches,
    conversations,
    members,
    segments,
    shares,
    tags,
    turns,
    unescape,
)

OUTDATED_AT_ONCE = 500

LISTED = [column for column in conversations.c if column.name != "options"]
"""The columns that a list reads: without options, which may hold long instructions."""


def insert_conversation(connection: Connection, info: ConversationInfo, *, shown: int = 0) -> bool:
    """Add a conversation without branches; returns False if it exists."""
    row = _row_from_info(info, shown) | {"folder_id": folders.folder_of(connection, info)}
    if not _ADD(connection, [row]):
        return False
    _replace_tags(connection, info)
    its_members.replace_all(connection, info)
    search.add_documents(connection, [search.title_document(info)])
    return True


def create_with_turns(connection: Connection, added: Sequence[TurnAdded]) -> None:
    """Add the conversations of first turns; their titles are not searchable yet."""
    _ADD(connection, [_row_from_info(turn.info, turn.branch.id) for turn in added])
    for turn in added:
        if turn.info.tags:
            _replace_tags(connection, turn.info)


def existing_ids(connection: Connection, conversation_ids: Sequence[str]) -> set[str]:
    """Return those of the ids that a conversation has, which may be a deleted one."""
    rows = _EXISTING.fetch_rows(connection, {"ids": conversation_ids})
    return {unescape(row[0]) for row in rows}


def titles_and_times(connection: Connection, owner: str) -> list[tuple[str, str, float]]:
    """Return the ids of an owner's conversations with their titles and creation times."""
    columns = (conversations.c.id, conversations.c.title, conversations.c.created_at)
    there = (conversations.c.owner == owner, conversations.c.deleted_at.is_(None))
    rows = connection.execute(select(*columns).where(*there))
    return [(row.id, row.title, row.created_at) for row in rows]


def move_shares(connection: Connection, old_id: str, new_id: str) -> None:
    """Make snapshots of one conversation those of another."""
    moved = update(shares).where(shares.c.conversation_id == old_id)
    connection.execute(moved.values(conversation_id=new_id))


def keep_branches(connection: Connection, changed: Iterable[tuple[str, Branch]]) -> None:
    """Add branches, each with the id of its conversation, or change existing ones."""
    rows = [
        {
            "conversation_id": conversation_id,
            "id": branch.id,
            "parent": branch.parent,
            "first": branch.first,
            "last": branch.last,
        }
        for conversation_id, branch in changed
    ]
    if rows:
        _KEEP_BRANCH(connection, rows)


def list_all(connection: Connection) -> list[tuple[str, str]]:
    """Return the ids and owners of all conversations that are not deleted."""
    rows = connection.execute(
        select(conversations.c.id, conversations.c.owner)
        .where(conversations.c.deleted_at.is_(None))
        .order_by(conversations.c.created_at, conversations.c.id)
    )
    return [(row.id, row.owner) for row in rows]


def read_conversation(connection: Connection, conversation_id: str) -> StoredConversation | None:
    """Return a conversation without its turns."""
    row = connection.execute(
        select(conversations).where(
            conversations.c.id == conversation_id, conversations.c.deleted_at.is_(None)
        )
    ).first()
    if row is None:
        return None
    its_branches = connection.execute(
        select(branches)
        .where(branches.c.conversation_id == conversation_id)
        .order_by(branches.c.id)
    )
    waiting = connection.scalars(
        select(turns.c.id)
        .where(turns.c.conversation_id == conversation_id, IS_WAITING)
        .order_by(turns.c.created_at, turns.c.depth)
    )
    return StoredConversation(
        info=_infos_from_rows(connection, [row])[0],
        branches=tuple(
            Branch(id=b.id, parent=b.parent, first=b.first, last=b.last) for b in its_branches
        ),
        shown=row.shown,
        waiting=tuple(waiting),
        options=None if row.options is None else options_from(row.options),
        version=row.version,
    )


def list_page(
    connection: Connection,
    *,
    owner: str,
    archived: bool,
    tag: str | None,
    folder: str | None,
    cursor: str | None,
    limit: int,
) -> Listing:
    """Return a page of an owner's list: pinned conversations, then the others."""
    rows: list[Row[Any]] = []
    after = _read_cursor(cursor)
    if after is None or after[0]:
        rows += _select_rows(
            connection=connection,
            owner=owner,
            archived=archived,
            tag=tag,
            folder=folder or None,
            after=after,
            limit=limit + 1,
            is_pinned=True,
        )
        after = None
    if len(rows) <= limit:
        left = limit + 1 - len(rows)
        rows += _select_rows(
            connection=connection,
            owner=owner,
            archived=archived,
            tag=tag,
            folder=folder,
            after=after,
            limit=left,
            is_pinned=False,
        )
    more = len(rows) > limit
    infos = _infos_from_rows(connection, rows[:limit])
    return Listing(tuple(infos), _cursor_after(infos[-1]) if more and infos else None)


def list_shared(
    connection: Connection,
    *,
    user: str,
    groups: Collection[str],
    cursor: str | None,
    limit: int,
) -> Listing:
    """Return a page of the conversations that others share with a user, newest first."""
    columns = conversations.c
    is_there = [
        exists().where(
            members.c.conversation_id == columns.id, its_members.is_member(user, groups)
        ),
        columns.owner != user,
        columns.deleted_at.is_(None),
    ]
    if after := _read_cursor(cursor):
        is_there.append(_is_before(columns.updated_at, after[1], after[2]))
    rows = connection.execute(
        select(*LISTED)
        .where(*is_there)
        .order_by(columns.updated_at.desc(), columns.id.desc())
        .limit(limit + 1)
    ).all()
    infos = _infos_from_rows(connection, rows[:limit])
    last = f"u {infos[-1].updated_at!r} {infos[-1].id}" if len(rows) > limit else None
    return Listing(tuple(infos), last)


def count_tags(connection: Connection, owner: str, limit: int) -> list[TagCount]:
    """Return the most frequent tags of an owner's conversations, ordered by tag."""
    count = func.count()
    rows = connection.execute(
        select(tags.c.tag, count)
        .join(conversations)
        .where(conversations.c.owner == owner, conversations.c.deleted_at.is_(None))
        .group_by(tags.c.tag)
        .order_by(count.desc(), tags.c.tag)
        .limit(limit)
    )
    found = [TagCount(tag, number) for tag, number in rows]
    return sorted(found, key=lambda one: (one.tag.casefold(), one.tag))


def update_entry(connection: Connection, info: ConversationInfo) -> None:
    """Update the list entry of a conversation."""
    titles = _TITLE.fetch_rows(connection, {"conversation": info.id})
    if not titles:
        return
    changes = {
        name: value for name, value in _row_from_info(info, 0).items() if name in _CHANGEABLE
    }
    changes["folder_id"] = folders.folder_of(connection, info)
    _CHANGE(connection, [{"conversation": info.id, **changes}])
    _replace_tags(connection, info)
    its_members.replace_all(connection, info)
    if info.title != unescape(titles[0][0]):  # a new document would become the newest search result
        search.remove_documents(connection, [info.id])
        search.add_documents(connection, [search.title_document(info)])


def touch_entries(connection: Connection, added: Sequence[TurnAdded]) -> None:
    """Record that turns were added."""
    rows = [
        {
            "conversation": turn.record.conversation_id,
            "updated_at": turn.record.created_at,
            "shown": turn.branch.id,
        }
        for turn in added
    ]
    _TOUCH(connection, rows)


def set_shown_branch(connection: Connection, conversation_id: str, branch: int) -> None:
    """Set the shown branch of a conversation."""
    connection.execute(
        update(conversations).where(conversations.c.id == conversation_id).values(shown=branch)
    )


def keep_options(connection: Connection, conversation_id: str, options: Options) -> None:
    """Store the model and settings chosen for a conversation."""
    connection.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id)
        .values(options=options_json(options))
    )


def mark_deleted(
    connection: Connection, conversation_ids: Sequence[str], at: float, owner: str
) -> list[str]:
    """Hide conversations of an owner; returns their ids."""
    versions.lock_rows(connection, conversation_ids)
    statement = (
        update(conversations)
        .where(
            conversations.c.id.in_(conversation_ids),
            conversations.c.owner == owner,
            conversations.c.deleted_at.is_(None),
        )
        .values(deleted_at=at, version=conversations.c.version + 1)
        .returning(conversations.c.id)
    )
    return list(connection.scalars(statement))


def keep_deleted(connection: Connection, conversation_id: str, at: float) -> None:
    """Postpone the removal of a deleted conversation."""
    connection.execute(
        update(conversations).where(conversations.c.id == conversation_id).values(deleted_at=at)
    )


def restore_conversations(
    connection: Connection, conversation_ids: Sequence[str], owner: str
) -> list[str]:
    """Restore deleted conversations of an owner; returns their ids."""
    versions.lock_rows(connection, conversation_ids)
    statement = (
        update(conversations)
        .where(
            conversations.c.id.in_(conversation_ids),
            conversations.c.owner == owner,
            conversations.c.deleted_at.is_not(None),
        )
        .values(deleted_at=None, version=conversations.c.version + 1)
        .returning(conversations.c.id)
    )
    back = set(connection.scalars(statement))
    return [name for name in conversation_ids if name in back]


def has_deleted(connection: Connection, before: float) -> bool:
    """Return whether there is anything to purge."""
    return bool(connection.scalar(select(exists().where(conversations.c.deleted_at < before))))


def purge_conversations(connection: Connection, deleted_before: float) -> int:
    """Remove up to 100 deleted conversations completely; returns their number."""
    gone = list(
        connection.scalars(
            select(conversations.c.id).where(conversations.c.deleted_at < deleted_before).limit(100)
        )
    )
    if gone:
        search.remove_all_of(connection, gone)
        connection.execute(delete(conversations).where(conversations.c.id.in_(gone)))
    return len(gone)


def outdated_conversations(
    connection: Connection, *, updated_before: float | None, keep: int | None
) -> list[tuple[str, str]]:
    """Return some conversations that are past their retention, with their owners."""
    is_old: list[ColumnElement[bool]] = []
    if updated_before is not None:
        is_old.append(conversations.c.updated_at < updated_before)
    if keep is not None:
        is_old += _beyond_newest(connection, keep)
    if not is_old:
        return []
    statement = (
        select(conversations.c.id, conversations.c.owner)
        .where(
            conversations.c.deleted_at.is_(None), conversations.c.pinned_at.is_(None), or_(*is_old)
        )
        .order_by(conversations.c.updated_at)
        .limit(OUTDATED_AT_ONCE)
    )
    return [(row.id, row.owner) for row in connection.execute(statement)]


def _beyond_newest(connection: Connection, keep: int) -> list[ColumnElement[bool]]:
    """Return, for each owner, the condition for conversations beyond the ``keep`` newest."""
    owners = connection.scalars(
        select(conversations.c.owner)
        .where(conversations.c.deleted_at.is_(None))
        .group_by(conversations.c.owner)
        .having(func.count() > keep)
    )
    is_old: list[ColumnElement[bool]] = []
    for owner in owners.all():
        newest = connection.execute(
            select(conversations.c.updated_at, conversations.c.id)
            .where(conversations.c.deleted_at.is_(None), conversations.c.owner == owner)
            .order_by(conversations.c.updated_at.desc(), conversations.c.id.desc())
            .offset(keep - 1)
            .limit(1)
        ).first()
        if newest is not None:
            is_older = _is_before(conversations.c.updated_at, newest.updated_at, newest.id)
            is_old.append(and_(conversations.c.owner == owner, is_older))
    return is_old


def with_waiting_turns(connection: Connection) -> list[str]:
    """Return the conversations in which a turn waits and none is being answered."""
    others = turns.alias()
    is_answering = (
        exists()
        .select_from(others.join(segments, segments.c.turn_id == others.c.id))
        .where(others.c.conversation_id == turns.c.conversation_id, IS_LIVE)
    )
    statement = (
        select(turns.c.conversation_id)
        .join(conversations)
        .where(IS_WAITING, conversations.c.deleted_at.is_(None), ~is_answering)
        .distinct()
    )
    return list(connection.scalars(statement))


# ---- internals -----------------------------------------------------------------------------------


def _keep_branch(is_on_sqlite: bool) -> Insert:
    statement = insert_into(branches, is_on_sqlite)
    return statement.on_conflict_do_update(
        index_elements=[branches.c.conversation_id, branches.c.id],
        set_={name: statement.excluded[name] for name in ("parent", "first", "last")},
    )


_ADD = Prepared(
    lambda is_on_sqlite: insert_into(conversations, is_on_sqlite).on_conflict_do_nothing()
)
_EXISTING = Prepared(
    lambda is_on_sqlite: select(conversations.c.id).where(
        is_in_parameter(conversations.c.id, "ids", is_on_sqlite)
    )
)
_KEEP_BRANCH = Prepared(_keep_branch)
_CHANGEABLE = ("title", "title_source", "updated_at", "pinned_at", "archived_at", "folder_id")
_TITLE = Prepared(
    lambda _: (
        select(conversations.c.title)
        .where(conversations.c.id == bindparam("conversation"))
        .with_for_update()
    )
)
_CHANGE = Prepared(
    lambda _: (
        update(conversations)
        .where(conversations.c.id == bindparam("conversation"))
        .values({name: bindparam(name) for name in _CHANGEABLE})
    )
)
_REMOVE_TAGS = Prepared(
    lambda _: delete(tags).where(tags.c.conversation_id == bindparam("conversation_id"))
)
_ADD_TAG = Prepared(lambda _: tags.insert())
_TOUCH = Prepared(
    lambda _: (
        update(conversations)
        .where(conversations.c.id == bindparam("conversation"))
        .values(updated_at=bindparam("updated_at"), shown=bindparam("shown"))
    )
)


def _row_from_info(info: ConversationInfo, shown: int) -> dict[str, Any]:
    return {
        "id": info.id,
        "owner": info.owner,
        "title": info.title,
        "title_source": info.title_source,
        "created_at": info.created_at,
        "updated_at": info.updated_at,
        "pinned_at": info.pinned_at,
        "archived_at": info.archived_at,
        "folder_id": info.folder_id,
        "deleted_at": None,
        "shown": shown,
        "options": None,
        "version": 0,
    }


def _select_rows(
    connection: Connection,
    owner: str,
    archived: bool,
    tag: str | None,
    folder: str | None,
    after: tuple[bool, float, str] | None,
    limit: int,
    *,
    is_pinned: bool,
) -> Sequence[Row[Any]]:
    columns = conversations.c
    key = columns.pinned_at if is_pinned else columns.updated_at
    is_there: list[ColumnElement[bool]] = [
        columns.owner == owner,
        columns.deleted_at.is_(None),
        columns.archived_at.is_not(None) if archived else columns.archived_at.is_(None),
        columns.pinned_at.is_not(None) if is_pinned else columns.pinned_at.is_(None),
    ]
    if tag is not None:
        is_there.append(exists().where(tags.c.conversation_id == columns.id, tags.c.tag == tag))
    if folder is not None:
        is_there.append(columns.folder_id == folder if folder else columns.folder_id.is_(None))
    if after is not None:
        is_there.append(_is_before(key, after[1], after[2]))
    return connection.execute(
        select(*LISTED).where(*is_there).order_by(key.desc(), columns.id.desc()).limit(limit)
    ).all()


def _is_before(key: ColumnElement[Any], value: float, name: str) -> ColumnElement[bool]:
    # a row comparison lets the index provide the order; an OR would sort all remaining rows
    return tuple_(key, conversations.c.id) < tuple_(value, literal(name, AnyText))


def _cursor_after(info: ConversationInfo) -> str:
    if info.pinned_at is not None:
        return f"p {info.pinned_at!r} {info.id}"
    return f"u {info.updated_at!r} {info.id}"


def _read_cursor(cursor: str | None) -> tuple[bool, float, str] | None:
    if cursor is None:
        return None
    kind, _, rest = cursor.partition(" ")
    at, _, name = rest.partition(" ")
    try:
        if kind not in ("p", "u") or not name or not isfinite(float(at)):
            raise ValueError
        return kind == "p", float(at), name
    except ValueError:
        raise BadMessage("cursor: take the one that the page before has given.") from None


def _infos_from_rows(connection: Connection, rows: Sequence[Row[Any]]) -> list[ConversationInfo]:
    found = connection.execute(
        select(tags.c.conversation_id, tags.c.tag)
        .where(tags.c.conversation_id.in_([row.id for row in rows]))
        .order_by(tags.c.position)
    )
    its_tags: dict[str, list[str]] = {}
    for conversation_id, tag in found:
        its_tags.setdefault(conversation_id, []).append(tag)
    members_by_id = its_members.read_members(connection, [row.id for row in rows])
    return [
        ConversationInfo(
            id=row.id,
            title=row.title,
            created_at=row.created_at,
            updated_at=row.updated_at,
            title_source=row.title_source,
            pinned_at=row.pinned_at,
            archived_at=row.archived_at,
            folder_id=row.folder_id,
            tags=tuple(its_tags.get(row.id, ())),
            owner=row.owner,
            members=tuple(members_by_id.get(row.id, ())),
        )
        for row in rows
    ]


def _replace_tags(connection: Connection, info: ConversationInfo) -> None:
    _REMOVE_TAGS(connection, [{"conversation_id": info.id}])
    if info.tags:
        _ADD_TAG(
            connection,
            [
                {"conversation_id": info.id, "tag": tag, "position": position}
                for position, tag in enumerate(info.tags)
            ],
        )
