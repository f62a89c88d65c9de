"""Password hashing: argon2id, in worker threads, with bounded concurrency."""

from __future__ import annotations

import asyncio
import unicodedata

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from wireside.errors import BadMessage

MIN_CHARS = 10
MAX_CHARS = 256

AT_ONCE = 2
"""Concurrent hash computations: each takes 64 MiB and most of a core."""


class Passwords:
    """Hashes and verifies passwords."""

    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        """Create the service; tests pass a faster ``hasher``."""
        self._hashes = PasswordHash((hasher or Argon2Hasher(),))
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobodys: str | None = None

    async def hash_password(self, password: str) -> str:
        """Return the hash of a password.

        Raises:
            BadMessage: the password is too short, too long or too simple.
        """
        if len(password) < MIN_CHARS:
            raise BadMessage(f"The password must have at least {MIN_CHARS} characters.")
        if len(password) > MAX_CHARS:
            raise BadMessage(f"The password may have at most {MAX_CHARS} characters.")
        if len(set(password)) < 4:
            raise BadMessage("The password is too easy to guess.")
        async with self._turns:
            return await asyncio.to_thread(self._hashes.hash, _normalize_unicode(password))

    async def verify_password(self, password: str, known: str | None) -> bool:
        """Return whether a password matches the hash ``known``.

        With ``known`` None it is False after the same time, so that the response time does not
        reveal whether an account exists.
        """
        async with self._turns:
            return await asyncio.to_thread(self._matches_hash, _normalize_unicode(password), known)

    def _matches_hash(self, password: str, known: str | None) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hashes.hash("nobody's password")
        try:
            is_right = self._hashes.verify(password[:MAX_CHARS], known or self._nobodys)
        except UnknownHashError:
            return False
        return is_right and known is not None


def _normalize_unicode(password: str) -> str:
    """Normalise to NFKC: keyboards differ in how they compose accents."""
    return unicodedata.normalize("NFKC", password)
