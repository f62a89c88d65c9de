"""Encrypts secrets that servers must be able to read again, such as keys of providers.

The key is derived from that which signs session cookies. A database or a backup alone does not
contain it, unless several servers keep it there (``WIRESIDE_COOKIE_KEY`` is unset).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

PROVIDERS: Final = "secrets of providers"
"""Purpose of a box: the keys of providers in the database."""

RESULTS: Final = "results of forms"
"""Purpose of a box: results of forms, which the browser keeps until the next page."""


class Unreadable(Exception):
    """A secret was encrypted with another key, or is damaged."""


class SecretBox:
    """Encrypts and decrypts short texts, authenticated (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, server_key: Callable[[], str], purpose: str = PROVIDERS) -> None:
        """Prepare the box; its key is derived when it is first needed.

        Args:
            server_key: returns the server's secret, which may not be known before the start.
            purpose: boxes of different purposes have different keys.
        """
        self._server_key = server_key
        self._purpose = purpose

    def seal(self, text: str) -> str:
        """Return ``text`` encrypted; each time another text."""
        sealed: bytes = self._cipher().encrypt(text.encode())
        return sealed.decode("ascii")

    def open(self, sealed: str) -> str:
        """Return the text that ``seal`` has encrypted. Raises ``Unreadable``."""
        from cryptography.fernet import InvalidToken

        try:
            opened: bytes = self._cipher().decrypt(sealed.encode("ascii", "replace"))
        except InvalidToken as error:
            raise Unreadable from error
        return opened.decode()

    def _cipher(self) -> Fernet:
        from cryptography.fernet import Fernet  # loaded by servers that have such secrets
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derive = HKDF(
            algorithm=SHA256(), length=32, salt=None, info=f"wireside: {self._purpose}".encode()
        )
        return Fernet(base64.urlsafe_b64encode(derive.derive(self._server_key().encode())))
