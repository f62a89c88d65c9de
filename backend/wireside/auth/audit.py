"""The audit log: who came in, who did what to accounts and keys, what was exported or deleted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from wireside.errors import StoreError
from wireside.identity import Caller
from wireside.ports import AccountStore, Clock
from wireside.records import AuditEntry

_log = structlog.get_logger(__name__)

WRITE_S = 0.2
"""How long entries are gathered before they are written."""

MAX_WAITING = 10_000
"""Entries that wait while the store can't be written; the oldest go first, and the log says so."""

FORGET_S = 3600.0

MAX_SUBJECT_CHARS = 300

PAGE = 100


def is_another_day(before: float | None, now: float) -> bool:
    """Whether what was last seen at ``before`` is seen on another day (UTC) now. Who comes every
    day is told of every day, however short the nights.
    """
    return before is None or before // 86_400 != now // 86_400


class Audit:
    """Implements ``ports.Witness``, and shows administrators what it has seen. Each entry is in the
    server's log too.
    """

    def __init__(self, store: AccountStore, wall_clock: Clock) -> None:
        self._store = store
        self._now = wall_clock
        self._waiting: deque[AuditEntry] = deque(maxlen=MAX_WAITING)
        self._has_some = asyncio.Event()
        self._writing = asyncio.Lock()
        self._forgot_at = 0.0

    def saw(self, caller: Caller, action: str, subject: str = "") -> None:
        """See ``Witness``."""
        _log.info(action, user=caller.user_id, subject=subject, peer=caller.address)
        if len(self._waiting) == MAX_WAITING:
            _log.error("audit_entry_lost")
        self._waiting.append(
            AuditEntry(
                self._now(),
                action,
                caller.user_id,
                caller.name,
                subject[:MAX_SUBJECT_CHARS],
                caller.address,
            )
        )
        self._has_some.set()

    async def run(self) -> None:
        """Write what was seen, for ever."""
        while True:
            await self._has_some.wait()
            self._has_some.clear()
            await asyncio.sleep(WRITE_S)
            await self.flush()

    async def flush(self) -> None:
        """Write now; what can't be written waits."""
        async with self._writing:
            entries = list(self._waiting)
            if not entries:
                return
            try:
                await self._store.note(entries)
            except StoreError:
                self._has_some.set()
                return
            for _ in entries:
                self._waiting.popleft()

    async def read(
        self, caller: Caller, query: str = "", *, before: int | None = None, limit: int = PAGE
    ) -> Sequence[AuditEntry]:
        """Return entries in which all words of ``query`` occur, the newest first, to an
        administrator.
        """
        caller.require("admin")
        await self.flush()
        return await self._store.audit(query.split()[:10], before=before, limit=limit)

    async def forget(self, days: float) -> None:
        """Remove what is older than that; asked often, it looks once an hour."""
        if self._now() - self._forgot_at < FORGET_S:
            return
        self._forgot_at = self._now()
        await self._store.forget_audit(self._now() - days * 86_400)
