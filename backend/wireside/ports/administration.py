"""The interfaces of storage for what administrators set, and for usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wireside.records import (
    AdministeredState,
    Banner,
    FeedbackCount,
    FeedbackQuery,
    ModelRule,
    RatedAnswer,
    StoredProvider,
    UsageKey,
    UsageSum,
)


class AdministrationStore(Protocol):
    """Storage of what administrators set. Each change increments the version.

    Every method raises ``StoreError`` when the store is unavailable; nothing is changed then.
    """

    async def version(self) -> int:
        """Return the version, by which servers notice the changes of others."""
        ...

    async def read_state(self) -> AdministeredState:
        """Return everything."""
        ...

    async def add_provider(self, provider: StoredProvider, *, max_count: int) -> bool:
        """Add a provider; False if there is one of that name, or there would be too many."""
        ...

    async def update_provider(self, provider: StoredProvider, *, keeps_secret: bool) -> bool:
        """Replace a provider; False if there is none. ``keeps_secret``: its key stays."""
        ...

    async def remove_provider(self, name: str) -> None:
        """Remove a provider."""
        ...

    async def set_model_rule(self, rule: ModelRule) -> None:
        """Set what applies to a model; a rule that says nothing is removed."""
        ...

    async def put_banner(self, banner: Banner, *, max_count: int) -> bool:
        """Add or replace a banner; False if there would be too many."""
        ...

    async def remove_banner(self, banner_id: str) -> None:
        """Remove a banner."""
        ...

    async def set_default_preset(self, preset_id: str | None) -> None:
        """Set the preset with which users begin new chats that have chosen none."""
        ...


class UsageStore(Protocol):
    """Storage of usage by day, account and model. Every method raises ``StoreError``."""

    async def add_usage(self, sums: Mapping[UsageKey, UsageSum]) -> None:
        """Add to what is stored."""
        ...

    async def read_usage(
        self, first_day: int, last_day: int, *, owner: str | None = None
    ) -> Sequence[tuple[UsageKey, UsageSum]]:
        """Return the usage of days, both included, the newest first; ``owner``: of one account."""
        ...

    async def conversation_usage(self, conversation_id: str) -> Sequence[tuple[str, UsageSum]]:
        """Return the usage of a conversation's answers, by currency, "" for unknown costs."""
        ...


class FeedbackStore(Protocol):
    """Reads feedback on answers of all accounts. Every method raises ``StoreError``.

    Feedback in deleted conversations is not read.
    """

    async def read_feedback(
        self, query: FeedbackQuery, *, offset: int, limit: int
    ) -> Sequence[RatedAnswer]:
        """Return ratings, the newest first."""
        ...

    async def count_feedback(self, query: FeedbackQuery) -> Sequence[FeedbackCount]:
        """Return the number of ratings by model, the most rated first."""
        ...
