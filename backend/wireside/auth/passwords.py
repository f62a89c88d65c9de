"""Passwords: argon2id, in threads, a few at a time."""

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
"""Hashes that are made side by side: each takes 64 MiB and most of a core."""


class Passwords:
    """Makes and checks hashes."""

    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        """``hasher`` is for tests, which need not be slow."""
        self._hashes = PasswordHash((hasher or Argon2Hasher(),))
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a password. Raises ``BadMessage`` for one that is too easy."""
        if len(password) < MIN_CHARS:
            raise BadMessage(f"The password needs {MIN_CHARS} characters or more.")
        if len(password) > MAX_CHARS:
            raise BadMessage(f"The password may have {MAX_CHARS} characters.")
        if len(set(password)) < 4:
            raise BadMessage("The password is too easy to guess.")
        async with self._turns:
            return await asyncio.to_thread(self._hashes.hash, _one_form(password))

    async def is_right(self, password: str, known: str | None) -> bool:
        """Return whether a password has that hash. None takes as long: nobody shall learn by the
        time whether there is an account.
        """
        async with self._turns:
            return await asyncio.to_thread(self._is_right, _one_form(password), known)

    def _is_right(self, password: str, known: str | None) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hashes.hash("nobody's password")
        try:
            is_right = self._hashes.verify(password[:MAX_CHARS], known or self._nobodys)
        except UnknownHashError:
            return False
        return is_right and known is not None


def _one_form(password: str) -> str:
    """Return one spelling: keyboards differ in how they write an accent."""
    return unicodedata.normalize("NFKC", password)
