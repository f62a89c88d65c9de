"""The interface of rate limits and quotas of callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wireside.identity import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaState:
    """What a caller may still use; None where there is no limit. Times in seconds."""

    messages_left: int | None = None
    messages_limit: int | None = None
    messages_reset_s: float | None = None
    tokens_left: int | None = None
    tokens_limit: int | None = None
    tokens_reset_s: float | None = None
    streams_left: int | None = None
    streams_limit: int | None = None


class Quotas(Protocol):
    """Rate limits and quotas of callers."""

    def acquire_slot(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        """Acquire a slot among the concurrent answers; returns a callable that releases it.

        Raises ``TooMany``, except for an answer that ``is_due``: it was accepted earlier.
        """
        ...

    async def claim_slots(self, caller: Caller) -> None:
        """Have the acquired slots of a caller counted by all servers.

        Raises:
            TooMany: other servers have taken the slots of the caller.
            Overloaded: another server is in the middle of a claim, and may be frozen.
            StoreError: the slots of several servers can't be counted.
        """
        ...

    async def record_message(self, caller: Caller) -> None:
        """Count one message.

        Raises:
            RateLimited: there were too many; with the seconds to wait.
        """
        ...

    async def record_tokens(self, caller: Caller, tokens: int) -> None:
        """Count the tokens of an answer, its context included."""
        ...

    async def allowance(self, caller: Caller) -> QuotaState:
        """Return what is left."""
        ...


class Unlimited:
    """``Quotas`` without any limit."""

    def acquire_slot(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        """See ``Quotas``."""
        return lambda: None

    async def claim_slots(self, caller: Caller) -> None:
        """See ``Quotas``."""

    async def record_message(self, caller: Caller) -> None:
        """See ``Quotas``."""

    async def record_tokens(self, caller: Caller, tokens: int) -> None:
        """See ``Quotas``."""

    async def allowance(self, caller: Caller) -> QuotaState:
        """See ``Quotas``."""
        return QuotaState()
