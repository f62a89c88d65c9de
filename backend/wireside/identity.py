"""Who asks: a person, or a program with a key, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from wireside.errors import Forbidden

Role = Literal["admin", "user", "viewer"]
"""What an account may do: administer, chat, or only read."""

Scope = Literal["chat", "read", "admin"]
"""What a key was made for: ask and change, read, administer."""

SCOPES: Final[tuple[Scope, ...]] = ("chat", "read", "admin")

_OF_ROLE: Final[dict[Role, frozenset[Scope]]] = {
    "admin": frozenset(SCOPES),
    "user": frozenset({"chat", "read"}),
    "viewer": frozenset({"read"}),
}

_REFUSED: Final[dict[Scope, str]] = {
    "chat": "You may read here, but not write.",
    "read": "This key may not read conversations.",
    "admin": "Only administrators may do this.",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in. What they own is stored under ``user_id``."""

    user_id: str
    name: str
    role: Role
    scopes: frozenset[Scope] = frozenset(SCOPES)
    credential: str = ""
    """What they came with: ``session ID``, ``key ID``; ``user ID`` where a proxy says who it is at
    each request; "" without accounts.
    """
    address: str = ""
    """Where they are, for limits: an address, or a network of them."""
    messages_per_minute: int | None = None
    """What the key allows, beside what the user may; None: nothing less."""
    tokens_per_day: int | None = None
    streams: int | None = None
    """Answers at once."""

    def may(self, scope: Scope) -> bool:
        """Whether both the account and the key allow it."""
        return scope in self.scopes and scope in _OF_ROLE[self.role]

    def require(self, *scopes: Scope) -> None:
        """Raise ``Forbidden`` unless one of ``scopes`` is allowed."""
        if not any(self.may(scope) for scope in scopes):
            raise Forbidden(_REFUSED[scopes[0]])

    def require_in_person(self) -> None:
        """Raise ``Forbidden`` for a program: its key may not see or make keys, sessions and
        passwords, unless it is an administrator's.
        """
        if self.credential.startswith("key "):
            self.require("admin")


LOCAL: Final = Caller("", "", "admin")
"""Whoever reaches a server without accounts: it listens on its own machine only."""

NOBODY: Final = Caller("nobody", "", "viewer", frozenset())
"""Who was not let in."""
