"""Users of a host application, in which a chat is mounted."""

from __future__ import annotations

from dataclasses import dataclass

from wireside.identity import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUser:
    """A user of the host application, as the host authenticates it.

    Attributes:
        id: unique and lasting; conversations are stored under it, and handlers see it.
        name: the name that the page shows; "" shows the id.
        role: what the user may do; None derives it from the groups, by ``WIRESIDE_ADMIN_GROUPS``
            and ``WIRESIDE_USER_GROUPS``; without these, all users may chat.
        groups: the user's groups.
    """

    id: str
    name: str = ""
    role: Role | None = None
    groups: frozenset[str] = frozenset()


def subject_of(user_id: str) -> str:
    """Return the subject of the account of a host's user."""
    return f"host {user_id}"
