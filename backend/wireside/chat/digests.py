"""Digests that identify what a client has sent, so that the same is not made twice."""

from __future__ import annotations

import hashlib


def sha256_of_repr(value: object) -> bytes:
    """Identify a value by the SHA-256 of its ``repr``."""
    return hashlib.sha256(repr(value).encode()).digest()


def id_of_key(*values: object) -> str:
    """Return the id of a new object: the same for the same user, key and content."""
    return f"key-{sha256_of_repr(values).hex()[:40]}"
