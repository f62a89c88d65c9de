"""The right of a caller on a conversation.

The only place that decides it: the library and the chat service ask here before they read or change
a conversation, each time. A conversation has an owner, and members with whom it is shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from wireside.errors import Forbidden, NotFound
from wireside.identity import Caller
from wireside.records import ConversationInfo, Member

Right = Literal["read", "reply", "own"]
"""Read a conversation, also ask in it, or do everything. Each includes those before it."""

NO_CONVERSATION: Final = "There is no such conversation."

_RANKS: Final[dict[Right, int]] = {"read": 1, "reply": 2, "own": 3}

_REFUSED: Final[dict[Right, str]] = {
    "read": NO_CONVERSATION,
    "reply": "This conversation is shared with you to read only.",
    "own": "Only the owner of the conversation may do this.",
}


def right_on(info: ConversationInfo, caller: Caller, *, is_sharing: bool = True) -> Right | None:
    """Return the right of ``caller`` on a conversation; None: it does not exist for the caller.

    Without ``is_sharing``, members have none.
    """
    if info.owner == caller.user_id:
        return "own"
    if not is_sharing:
        return None
    access = {member.access for member in info.members if _includes(member, caller)}
    return "reply" if "reply" in access else "read" if access else None


def check_right(right: Right | None, needed: Right) -> None:
    """Check that a right on a conversation includes ``needed``.

    Raises:
        NotFound: there is none at all.
        Forbidden: it is a lesser one.
    """
    if right is None:
        raise NotFound(NO_CONVERSATION)
    if _RANKS[right] < _RANKS[needed]:
        raise Forbidden(_REFUSED[needed])


def watch_keys(caller: Caller) -> tuple[str, ...]:
    """Return the keys of the lists of conversations that show what is shared with ``caller``."""
    return (caller.user_id, *map(_key_of_group, sorted(caller.groups)))


def list_keys(members: Iterable[Member]) -> frozenset[str]:
    """Return the keys of the lists that show a conversation which is shared with ``members``."""
    return frozenset(
        member.id if member.kind == "user" else _key_of_group(member.id) for member in members
    )


def _includes(member: Member, caller: Caller) -> bool:
    if member.kind == "user":
        return member.id == caller.user_id
    return member.id in caller.groups


def _key_of_group(name: str) -> str:
    return f"group\n{name}"  # no id of an account has a line break
