"""The users and groups that conversations are shared with, in the database.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, delete, or_, select

from wireside.records import ConversationInfo, Member
from wireside.store.sql import Prepared, is_in_parameter
from wireside.store.tables import members, unescape, users


def is_member(user: str, groups: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a member is a user or one of its groups."""
    is_user = (members.c.kind == "user") & (members.c.member == user)
    if not groups:
        return is_user
    return or_(is_user, (members.c.kind == "group") & members.c.member.in_(sorted(groups)))


def read_members(
    connection: Connection, conversation_ids: Sequence[str]
) -> dict[str, list[Member]]:
    """Return the members of conversations by id, in their order."""
    found = _MEMBERS.fetch_rows(connection, {"ids": conversation_ids}) if conversation_ids else []
    found_members: dict[str, list[Member]] = {}
    for conversation_id, kind, member_id, access, _ in sorted(found, key=lambda row: row[4]):
        member = Member(kind=kind, id=unescape(member_id), access=access)
        found_members.setdefault(unescape(conversation_id), []).append(member)
    return found_members


def replace_all(connection: Connection, info: ConversationInfo) -> None:
    """Store the members of a conversation in the place of those before."""
    _REMOVE_MEMBERS(connection, [{"conversation": info.id}])
    if not info.members:
        return
    ids = [member.id for member in info.members if member.kind == "user"]
    # an account may have been removed since the conversation was read
    known = set(connection.scalars(select(users.c.id).where(users.c.id.in_(ids))))
    rows = [
        {
            "conversation_id": info.id,
            "kind": member.kind,
            "member": member.id,
            "access": member.access,
            "position": position,
        }
        for position, member in enumerate(info.members)
        if member.kind == "group" or member.id in known
    ]
    if rows:
        connection.execute(members.insert(), rows)


def remove_everywhere(connection: Connection, user_id: str) -> None:
    """End all sharing with an account."""
    connection.execute(delete(members).where(members.c.kind == "user", members.c.member == user_id))


_MEMBERS = Prepared(
    lambda is_on_sqlite: select(
        members.c.conversation_id,
        members.c.kind,
        members.c.member,
        members.c.access,
        members.c.position,
    ).where(is_in_parameter(members.c.conversation_id, "ids", is_on_sqlite))
)
_REMOVE_MEMBERS = Prepared(
    lambda _: delete(members).where(members.c.conversation_id == bindparam("conversation"))
)
