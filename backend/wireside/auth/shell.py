"""Audit entries of the command line, under the operating system's user name."""

from __future__ import annotations

import getpass
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from wireside.auth.audit import Audit
from wireside.identity import Caller
from wireside.ports.accounts import AccountStore
from wireside.ports.audit import AuditRecorder, NullAuditRecorder


class CommandLineAudit:
    """Implements ``ports.audit.AuditRecorder`` for the command line."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._user = _user_name()

    def record(self, caller: Caller, action: str, subject: str = "") -> None:
        """See ``AuditRecorder``."""
        name = caller.name or self._user
        self._audit.record(
            replace(caller, name=name, address=f"command line of {self._user}"), action, subject
        )


@asynccontextmanager
async def witnessed(store: AccountStore, *, has_accounts: bool) -> AsyncIterator[AuditRecorder]:
    """Yield the audit log for a command, and write the entries when the block exits."""
    if not has_accounts:
        yield NullAuditRecorder()
        return
    audit = Audit(store, time.time)
    try:
        yield CommandLineAudit(audit)
    finally:
        await audit.flush_entries()


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"
