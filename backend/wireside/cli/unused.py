"""Imports the server without packages that others import if they are installed.

Socket.IO imports the clients of Redis and of HTTP for parts of it that the server does not use,
FastAPI a validator of e-mail addresses, uvicorn a watcher of files. They take 15 MB of memory and a
tenth of a second. Code of a team may use these parts, so that this is for a server without such
code only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED = ("email_validator", "redis", "requests", "valkey", "watchfiles")


@contextmanager
def without_unused_packages() -> Iterator[None]:
    """Let imports of ``UNUSED`` fail meanwhile, as if they were not installed."""
    absent = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None lets an import fail
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
