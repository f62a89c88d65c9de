"""The session cookie."""

from __future__ import annotations

from typing import Final

COOKIE: Final = "wireside_session"
SECURE_COOKIE: Final = "__Host-wireside_session"
"""The name over TLS: browsers accept the ``__Host-`` prefix from this host and over TLS only."""


def cookie_of(header: str, *, is_secure: bool) -> str | None:
    """Return the value of the session cookie in a ``Cookie`` header, None if it is absent.

    Over TLS (``is_secure``) only the ``__Host-`` cookie counts: a sibling host or an attacker on
    the network could have set the other one.
    """
    wanted = SECURE_COOKIE if is_secure else COOKIE
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted:
            return value
    return None


def set_cookie(value: str, *, days: float, is_secure: bool) -> str:
    """Return the ``Set-Cookie`` value; an empty ``value`` deletes the cookie.

    The cookie is HttpOnly (hidden from scripts) and SameSite=Lax (not sent with cross-site forms).
    """
    name = SECURE_COOKIE if is_secure else COOKIE
    age = int(days * 86_400) if value else 0
    end = "; Secure" if is_secure else ""
    return f"{name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{end}"
