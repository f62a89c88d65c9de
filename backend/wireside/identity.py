"""The authenticated caller, a user or a program with an API key, and its permissions."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import Final, Literal

from wireside.errors import Forbidden

Role = Literal["admin", "user", "viewer"]
"""Permissions of an account: administer, chat, or only read."""

Scope = Literal["chat", "read", "admin"]
"""Permissions of an API key: ask and change, read, administer."""

MAX_NAME_CHARS: Final = 64
"""Characters of the name of an account."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated caller. Its data is stored under ``user_id``."""

    user_id: str
    name: str
    role: Role
    scopes: frozenset[Scope] = frozenset(SCOPES)
    credential: str = ""
    """The credential: ``session ID``, ``key ID`` or ``user ID``; "" without accounts.

    ``user ID`` is used if a proxy's header identifies the user in each request.
    """
    host_id: str = ""
    """The user's id in the host application of a mounted chat; "" elsewhere."""
    groups: frozenset[str] = frozenset()
    """The user's groups, as an OpenID provider, a proxy or a host application names them."""
    is_stand_in: bool = False
    """Whether the server acts for the user, whose role and groups it does not know."""
    address: str = ""
    """The client's IP address or network, for rate limits."""
    messages_per_minute: int | None = None
    """Limit of the key in addition to the user's; None adds none."""
    tokens_per_day: int | None = None
    """Limit of the key in addition to the user's; None adds none."""
    streams: int | None = None
    """Concurrent answers, as a limit of the key; None adds none."""

    def may(self, scope: Scope) -> bool:
        """Whether both the account and the key have the permission."""
        return scope in self.scopes and scope in _OF_ROLE[self.role]

    def require(self, *scopes: Scope) -> None:
        """Raise ``Forbidden`` unless one of ``scopes`` is permitted."""
        if not any(self.may(scope) for scope in scopes):
            raise Forbidden(_REFUSED[scopes[0]])

    def require_in_person(self) -> None:
        """Raise ``Forbidden`` for an API key without the permission ``admin``.

        Such keys can't read or create keys, sessions and passwords.
        """
        if self.credential.startswith("key "):
            self.require("admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """The callers that may use a model: those with one of the roles or in one of the groups."""

    roles: frozenset[Role] = frozenset()
    groups: frozenset[str] = frozenset()

    def includes(self, caller: Caller) -> bool:
        """Whether the caller may use the model."""
        return caller.role in self.roles or not self.groups.isdisjoint(caller.groups)


LOCAL: Final = Caller(user_id="", name="", role="admin")
"""The caller on a server without accounts, which accepts requests from its own machine only."""

NOBODY: Final = Caller(user_id="nobody", name="", role="viewer", scopes=frozenset())
"""An unauthenticated caller, without permissions."""


def unauthenticated_at(address: str) -> Caller:
    """Return an unauthenticated caller at an address, for the audit log."""
    return replace(NOBODY, user_id="", address=address)


def clean_name(name: str) -> str:
    """Return the canonical form of a name: NFKC, case-folded, without invisible characters."""
    shown = "".join(char for char in unicodedata.normalize("NFKC", name) if _is_visible_char(char))
    return " ".join(shown.casefold().split())[:MAX_NAME_CHARS]


def _is_visible_char(char: str) -> bool:
    return char == " " or unicodedata.category(char)[0] not in "CZ"
