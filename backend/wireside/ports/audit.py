"""The interface of the audit log."""

from __future__ import annotations

from typing import Protocol

from wireside.identity import Caller


class AuditRecorder(Protocol):
    """Audit log: records actions on accounts, keys and conversations."""

    def record(self, caller: Caller, action: str, subject: str = "") -> None:
        """Record that ``caller`` did ``action`` to ``subject``. Never raises or blocks."""
        ...


class NullAuditRecorder:
    """An ``AuditRecorder`` that records nothing."""

    def record(self, caller: Caller, action: str, subject: str = "") -> None:
        """See ``AuditRecorder``."""
