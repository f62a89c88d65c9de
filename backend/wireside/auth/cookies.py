"""The session cookie, and the key that signs it."""

from __future__ import annotations

from typing import Final

COOKIE: Final = "wireside_session"
SECURE_COOKIE: Final = "__Host-wireside_session"
"""The name over TLS: browsers accept the ``__Host-`` prefix from this host and over TLS only."""
SECURE_COOKIE_BELOW_PATH: Final = "__Secure-wireside_session"
"""The name over TLS below a root path: a ``__Host-`` cookie would be sent to all paths."""


class CookieKey:
    """The key that signs cookies. Servers that share a database learn it when they open that."""

    def __init__(self, value: str | None = None) -> None:
        self._value = value

    @property
    def is_known(self) -> bool:
        """Whether the key has been set."""
        return self._value is not None

    @property
    def value(self) -> str:
        """The key. Raises ``RuntimeError`` before it is known."""
        if self._value is None:
            raise RuntimeError("The key that signs cookies is not known yet.")
        return self._value

    @value.setter
    def value(self, value: str) -> None:
        self._value = value


def cookie_of(header: str, *, is_secure: bool, root_path: str = "") -> str | None:
    """Return the value of the session cookie in a ``Cookie`` header, None if it is absent.

    Over TLS (``is_secure``) only the cookie with a prefix counts: an attacker on the network could
    have set the other one, and a sibling host too, except below a root path. Of several cookies of
    that name, browsers send the one with the longest path first.
    """
    wanted = _cookie_name(is_secure=is_secure, root_path=root_path)
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted:
            return value
    return None


def set_cookie(value: str, *, days: float, is_secure: bool, root_path: str = "") -> str:
    """Return the ``Set-Cookie`` value; an empty ``value`` deletes the cookie.

    The cookie is HttpOnly (hidden from scripts) and SameSite=Lax (not sent with cross-site forms).
    It is sent to paths below ``root_path`` only, so that servers at other paths of the host keep
    their own.
    """
    name = _cookie_name(is_secure=is_secure, root_path=root_path)
    age = int(days * 86_400) if value else 0
    end = "; Secure" if is_secure else ""
    path = root_path or "/"
    return f"{name}={value}; Max-Age={age}; Path={path}; HttpOnly; SameSite=Lax{end}"


def _cookie_name(*, is_secure: bool, root_path: str) -> str:
    if not is_secure:
        return COOKIE
    return SECURE_COOKIE_BELOW_PATH if root_path else SECURE_COOKIE
