"""Secrets that the server gives out: 256 random bits, of which it keeps a hash only."""

from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """Return one: letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """Return a name that is no secret but that nobody has had before."""
    return secrets.token_hex(8)


def digest(secret: str) -> str:
    """Return what is kept of a secret. It is random, so a fast hash is as good as a slow one, and
    to look its hash up tells nothing by the time it takes.
    """
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
