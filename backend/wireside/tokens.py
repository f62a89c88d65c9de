"""Random secrets of 256 bits, such as API keys and links, of which only a hash is stored."""

from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """Return a new secret: letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(32)


def new_record_id() -> str:
    """Return a new unique id, which is not a secret."""
    return secrets.token_hex(8)


def hash_secret(secret: str) -> str:
    """Return the hash to store for a secret.

    A secret is random, so a fast hash is as good as a slow one, and the time of a lookup by hash
    reveals nothing.
    """
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
