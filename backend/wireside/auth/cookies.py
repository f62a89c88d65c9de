"""The cookie of a session."""

from __future__ import annotations

from typing import Final

COOKIE: Final = "wireside_session"
SECURE_COOKIE: Final = "__Host-wireside_session"
"""Its name over TLS: browsers take it from this very host only, and only over TLS."""


def cookie_of(header: str, *, is_secure: bool) -> str | None:
    """Return the session's cookie among all of a request. Over TLS (``is_secure``) it is the one
    that was set there: the other one a neighbour's host, or anybody on the way, may have planted.
    """
    wanted = SECURE_COOKIE if is_secure else COOKIE
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted:
            return value
    return None


def set_cookie(value: str, *, days: float, is_secure: bool) -> str:
    """Return the header that sets it; an empty value takes it away. Scripts can't read it, and
    other sites' forms don't send it.
    """
    name = SECURE_COOKIE if is_secure else COOKIE
    age = int(days * 86_400) if value else 0
    end = "; Secure" if is_secure else ""
    return f"{name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{end}"
