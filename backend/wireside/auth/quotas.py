"""Quotas per user, key and address: messages per minute, tokens per day, concurrent answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wireside.auth.limiter import Limiter, Rate, Remaining
from wireside.auth.shared_slots import SharedSlots
from wireside.errors import RateLimited, TooMany
from wireside.identity import Caller
from wireside.ports.quotas import QuotaState

MINUTE = 60
DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLimits:
    """The configured limits; None: unlimited. Limits of an API key are part of ``Caller``."""

    messages_per_minute: int | None = None
    messages_per_minute_address: int | None = None
    tokens_per_day: int | None = None
    streams: int | None = None
    requests_per_minute: int = 600
    """Requests per minute to the REST API, per user or key."""


class UserQuotas:
    """Implements ``ports.quotas.Quotas`` per user, key and address; reconnecting resets nothing."""

    def __init__(
        self, limiter: Limiter, limits: QuotaLimits, shared: SharedSlots | None = None
    ) -> None:
        """``shared`` counts concurrent answers over several servers; None: over this one."""
        self._limiter = limiter
        self._limits = limits
        self._busy: Counter[str] = Counter()
        """Answers running in this process, by the name of the user or key."""
        self._shared = shared
        if shared is not None:
            shared.use_counter(self._busy)

    def acquire_slot(self, caller: Caller, *, is_due: bool = False) -> Callable[[], None]:
        """See ``Quotas``. Never awaits, so concurrent requests can't both take the last slot."""
        taken = []
        for name, most in self._stream_limits(caller):
            if self._busy[name] >= most and not is_due:
                raise _too_many(most)
            taken.append(name)
        self._busy.update(taken)
        if self._shared is not None and is_due:  # others are claimed by `claim_slots`
            self._shared.note_change(taken)

        def release_slot() -> None:
            for name in taken:
                self._busy[name] -= 1
                if not self._busy[name]:
                    del self._busy[name]
            if self._shared is not None and taken:
                self._shared.note_change(taken)
            taken.clear()

        return release_slot

    async def claim_slots(self, caller: Caller) -> None:
        """See ``Quotas``."""
        if self._shared is not None:
            for name, most in self._stream_limits(caller):
                if not await self._shared.claim_slots(name, most):
                    raise _too_many(most)

    async def record_message(self, caller: Caller) -> None:
        """See ``Quotas``."""
        budgets = [await self._limiter.remaining(*one) for one in self._token_budgets(caller)]
        for spent in budgets:
            if not spent.count:
                raise RateLimited(retry_after=spent.reset_s)
        for name, rate in self._message_rates(caller):
            left = await self._limiter.count_if_allowed(name, rate)
            if not left.was_counted:
                raise RateLimited(retry_after=left.reset_s)

    async def record_tokens(self, caller: Caller, tokens: int) -> None:
        """See ``Quotas``."""
        for name, rate in self._token_budgets(caller):
            await self._limiter.record_hits(name, rate, tokens)

    async def allowance(self, caller: Caller) -> QuotaState:
        """See ``Quotas``."""
        messages, tokens = await asyncio.gather(
            self._least_remaining(self._message_rates(caller)),
            self._least_remaining(self._token_budgets(caller)),
        )
        limits = dict(self._stream_limits(caller))
        elsewhere: dict[str, int] = {}
        if self._shared is not None:
            elsewhere = await self._shared.count_elsewhere(list(limits))
        streams = [
            (max(0, most - self._busy[name] - elsewhere.get(name, 0)), most)
            for name, most in limits.items()
        ]
        left, limit = min(streams, default=(None, None))
        return QuotaState(
            messages_left=messages[0].count if messages else None,
            messages_limit=messages[1].limit if messages else None,
            messages_reset_s=messages[0].reset_s if messages else None,
            tokens_left=tokens[0].count if tokens else None,
            tokens_limit=tokens[1].limit if tokens else None,
            tokens_reset_s=tokens[0].reset_s if tokens else None,
            streams_left=left,
            streams_limit=limit,
        )

    async def take_request(self, caller: Caller) -> tuple[Remaining, Rate]:
        """Count a request to the REST API; return what is left and the limit."""
        rate = Rate(self._limits.requests_per_minute, MINUTE)
        name = caller.credential or f"user {caller.user_id} {caller.address}"
        return await self._limiter.count_if_allowed(f"requests {name}", rate), rate

    def _message_rates(self, caller: Caller) -> Iterator[tuple[str, Rate]]:
        if caller.messages_per_minute is not None:
            yield f"messages {caller.credential}", Rate(caller.messages_per_minute, MINUTE)
        if self._limits.messages_per_minute is not None and caller.user_id:
            yield f"messages {caller.user_id}", Rate(self._limits.messages_per_minute, MINUTE)
        if self._limits.messages_per_minute_address is not None and caller.address:
            limit = self._limits.messages_per_minute_address
            yield f"messages at {caller.address}", Rate(limit, MINUTE)

    def _token_budgets(self, caller: Caller) -> Iterator[tuple[str, Rate]]:
        if caller.tokens_per_day is not None:
            yield f"tokens {caller.credential}", Rate(caller.tokens_per_day, DAY)
        if self._limits.tokens_per_day is not None:
            yield f"tokens {caller.user_id}", Rate(self._limits.tokens_per_day, DAY)

    def _stream_limits(self, caller: Caller) -> Iterator[tuple[str, int]]:
        if caller.streams is not None:
            yield f"streams {caller.credential}", caller.streams
        if self._limits.streams is not None:
            yield f"streams {caller.user_id}", self._limits.streams

    async def _least_remaining(
        self, windows: Iterator[tuple[str, Rate]]
    ) -> tuple[Remaining, Rate] | None:
        found = [(await self._limiter.remaining(name, rate), rate) for name, rate in windows]
        return min(found, key=lambda one: one[0].count, default=None)


def _too_many(most: int) -> TooMany:
    return TooMany(f"Your limit of {most} concurrent answers is reached; wait until one ends.")
