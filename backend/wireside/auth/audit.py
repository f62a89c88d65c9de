"""The audit log: sign-ins, changes to accounts and keys, exports and deletions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from wireside.errors import StoreError
from wireside.identity import Caller
from wireside.ports.accounts import AccountStore
from wireside.ports.clock import Clock
from wireside.records import AuditEntry

_log = structlog.get_logger(__name__)

WRITE_S = 0.2
"""How long entries are buffered before a write, in seconds."""

MAX_WAITING = 10_000
"""Entries buffered while the store is unavailable; beyond it the oldest are dropped and logged."""

FORGET_S = 3600.0

MAX_SUBJECT_CHARS = 300

PAGE = 100


def is_another_day(before: float | None, now: float) -> bool:
    """Return whether ``before`` and ``now`` (seconds since 1970) are on different days (UTC).

    Comparing days instead of the time elapsed records a daily user on each day, however short the
    pause. True where ``before`` is None.
    """
    return before is None or before // 86_400 != now // 86_400


class Audit:
    """Implements ``ports.audit.AuditRecorder`` and lets administrators read the audit log.

    Each entry is also written to the server's log.
    """

    def __init__(self, store: AccountStore, wall_clock: Clock) -> None:
        self._store = store
        self._now = wall_clock
        self._waiting: deque[AuditEntry] = deque(maxlen=MAX_WAITING)
        self._has_some = asyncio.Event()
        self._writing = asyncio.Lock()
        self._forgot_at = 0.0

    def record(self, caller: Caller, action: str, subject: str = "") -> None:
        """See ``Witness``."""
        _log.info(action, user=caller.user_id, subject=subject, peer=caller.address)
        if len(self._waiting) == MAX_WAITING:
            _log.error("audit_entry_lost")
        self._waiting.append(
            AuditEntry(
                at=self._now(),
                action=action,
                user_id=caller.user_id,
                name=caller.name,
                subject=subject[:MAX_SUBJECT_CHARS],
                address=caller.address,
            )
        )
        self._has_some.set()

    async def write_entries(self) -> None:
        """Write buffered entries until cancelled."""
        while True:
            await self._has_some.wait()
            self._has_some.clear()
            await asyncio.sleep(WRITE_S)
            await self.flush_entries()

    async def flush_entries(self) -> None:
        """Write all buffered entries now; keep them buffered if the store is unavailable."""
        async with self._writing:
            entries = list(self._waiting)
            if not entries:
                return
            try:
                await self._store.append_audit_entries(entries)
            except StoreError:
                self._has_some.set()
                return
            for _ in entries:
                self._waiting.popleft()

    async def read_entries(
        self, caller: Caller, query: str = "", *, before: int | None = None, limit: int = PAGE
    ) -> Sequence[AuditEntry]:
        """Return the entries that contain all words of ``query`` (at most 10), newest first.

        ``before`` is the id of an entry and selects the page before it. Requires an administrator.
        """
        caller.require("admin")
        await self.flush_entries()
        return await self._store.read_audit_entries(query.split()[:10], before=before, limit=limit)

    async def remove_outdated(self, days: float) -> None:
        """Remove entries older than ``days``; does nothing if it ran less than an hour ago."""
        if self._now() - self._forgot_at < FORGET_S:
            return
        self._forgot_at = self._now()
        await self._store.forget_audit(self._now() - days * 86_400)
