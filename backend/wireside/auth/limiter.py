"""Rate limiters: in-process, or shared by several servers through Redis.

The Redis limiter uses the ``limits`` library. The in-process one does not: the library's memory
storage uses the wall clock and scans all keys, with one thread switch each, on every hit, which
costs 0.2 s of CPU per message with 2,000 users.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from wireside.errors import NotConfigured, missing_extra
from wireside.limits.windows import CountingWindow
from wireside.ports.clock import Clock

if TYPE_CHECKING:
    from limits import RateLimitItem

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``limit`` hits in ``window_s`` seconds."""

    limit: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """State of a window: hits left now, and seconds (``reset_s``) until more become available."""

    count: int
    reset_s: float
    was_counted: bool = True


class Limiter(Protocol):
    """Interface of rate limiters; a window is identified by its name."""

    async def count_if_allowed(self, name: str, rate: Rate) -> Remaining:
        """Count one hit if any is left; ``was_counted`` of the result is False if none was."""
        ...

    async def record_hits(self, name: str, rate: Rate, count: int) -> None:
        """Count ``count`` hits unconditionally, also beyond the limit."""
        ...

    async def remaining(self, name: str, rate: Rate) -> Remaining:
        """Return the state of a window without counting a hit."""
        ...

    async def reset_window(self, name: str, rate: Rate) -> None:
        """Reset a window."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class MemoryLimiter:
    """Limiter for one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, CountingWindow] = {}
        self._look_at = 1024

    async def count_if_allowed(self, name: str, rate: Rate) -> Remaining:
        """See ``Limiter``."""
        now = self._clock()
        window = self._window_for(name, rate, now)
        was_counted = window.remaining(now) > 0
        if was_counted:
            window.add_amount(now, 1)
        return Remaining(window.remaining(now), window.reset_s(now), was_counted)

    async def record_hits(self, name: str, rate: Rate, count: int) -> None:
        """See ``Limiter``."""
        now = self._clock()
        self._window_for(name, rate, now).add_amount(now, count)

    async def remaining(self, name: str, rate: Rate) -> Remaining:
        """See ``Limiter``."""
        now = self._clock()
        window = self._window_for(name, rate, now)
        return Remaining(window.remaining(now), window.reset_s(now))

    async def reset_window(self, name: str, rate: Rate) -> None:
        """See ``Limiter``."""
        self._windows.pop(name, None)

    async def aclose(self) -> None:
        """See ``Limiter``."""

    def _window_for(self, name: str, rate: Rate, now: float) -> CountingWindow:
        window = self._windows.get(name)
        if window is None or window.limit != rate.limit:
            if len(self._windows) >= self._look_at:
                self._windows = {n: w for n, w in self._windows.items() if not w.is_idle(now)}
                self._look_at = max(1024, 2 * len(self._windows))
            window = self._windows[name] = CountingWindow(rate.limit, rate.window_s)
        return window


class RedisLimiter:
    """Limiter shared through Redis; while Redis is unreachable each server counts separately."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Create the limiter.

        Raises:
            NotConfigured: ``url`` is not a Redis URL, or the extra ``redis`` is not installed.
        """
        try:
            import redis  # noqa: F401  # the storage imports it on first use
            from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
            from limits.errors import ConfigurationError
            from limits.storage import storage_from_string
        except ImportError as error:
            raise missing_extra("WIRESIDE_REDIS_URL", "redis") from error
        try:
            storage = storage_from_string(
                f"async+{url}", implementation="redispy", socket_timeout=2, socket_connect_timeout=2
            )
        except (ConfigurationError, ValueError):
            # without its cause: the message contains the URL, which may contain a password
            raise NotConfigured(
                "WIRESIDE_REDIS_URL is not a Redis URL."
                " Example: WIRESIDE_REDIS_URL=redis://127.0.0.1:6379"
            ) from None
        self._storage: Any = storage
        self._moving = MovingWindowRateLimiter(storage)
        self._fixed = FixedWindowRateLimiter(storage)
        self._alone = MemoryLimiter(clock)
        self._is_lost = False

    async def count_if_allowed(self, name: str, rate: Rate) -> Remaining:
        """See ``Limiter``."""
        item = _limit_item(rate)
        try:
            was_counted = await self._moving.hit(item, name)
            stats = await self._moving.get_window_stats(item, name)
        except Exception as error:  # the library documents no common base class
            self._note_failure(error)
            return await self._alone.count_if_allowed(name, rate)
        self._is_lost = False
        return Remaining(stats.remaining, _seconds_until(stats.reset_time), was_counted)

    async def record_hits(self, name: str, rate: Rate, count: int) -> None:
        """See ``Limiter``."""
        try:
            await self._fixed.hit(_limit_item(rate), "sum", name, cost=count)
        except Exception as error:
            self._note_failure(error)
            await self._alone.record_hits(name, rate, count)

    async def remaining(self, name: str, rate: Rate) -> Remaining:
        """See ``Limiter``."""
        try:
            moving = await self._moving.get_window_stats(_limit_item(rate), name)
            fixed = await self._fixed.get_window_stats(_limit_item(rate), "sum", name)
        except Exception as error:
            self._note_failure(error)
            return await self._alone.remaining(name, rate)
        stats = min(moving, fixed, key=lambda stats: stats.remaining)
        return Remaining(stats.remaining, _seconds_until(stats.reset_time))

    async def reset_window(self, name: str, rate: Rate) -> None:
        """See ``Limiter``."""
        await self._alone.reset_window(name, rate)
        try:
            await self._moving.clear(_limit_item(rate), name)
        except Exception as error:
            self._note_failure(error)

    async def aclose(self) -> None:
        """See ``Limiter``."""
        with suppress(Exception):  # the connection may be broken
            await self._storage.bridge.storage.aclose()

    def _note_failure(self, error: Exception) -> None:
        if not self._is_lost:
            self._is_lost = True
            _log.warning("redis_lost", error=type(error).__name__)


def _limit_item(rate: Rate) -> RateLimitItem:
    from limits import RateLimitItemPerSecond

    return RateLimitItemPerSecond(rate.limit, rate.window_s, namespace="wireside")


def _seconds_until(reset_time: float) -> float:
    return max(0.0, reset_time - time.time())
