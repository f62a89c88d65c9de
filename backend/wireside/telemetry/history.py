"""Time series for the dashboard: the last hour in memory, thirty days in the store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

import structlog

from wireside.errors import StoreError
from wireside.ports.clock import Clock
from wireside.ports.figures import FigureStore
from wireside.records import FigureStep
from wireside.telemetry.counts import Histogram, Telemetry
from wireside.telemetry.state import State
from wireside.telemetry.steps import IntervalFigures, merge_steps, sum_servers, thin_steps

_log = structlog.get_logger(__name__)

TICK_S: Final = 2.0
"""Sampling interval, in seconds; listeners are called on each sample."""

FINE_S: Final = 10
"""Length of a step of the last hour, in seconds; only several servers store them, for an hour."""

LATE_S: Final = 60
"""Seconds within which a step of another server can appear in the store."""

CURRENT_S: Final = 3 * FINE_S
"""Age up to which the last step of another server counts as its present, in seconds."""

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAYS: Final = 30
"""Retention of minute and hour steps, in days."""

MOST_POINTS: Final = 240
"""Maximum number of steps in one chart."""

WAITING: Final = 24 * 60
"""Steps buffered while the store is unavailable; beyond it the oldest are dropped."""


@dataclass(slots=True, kw_only=True)
class _Totals:
    """All cumulative counters at one point in time."""

    at: float
    clock: float
    counts: Counter[str] = field(default_factory=Counter)
    spread: dict[str, Counter[float]] = field(default_factory=dict)
    models: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Tick:
    """One sample: the figures of the last ten seconds, and the step that ended, if any."""

    now: IntervalFigures
    ended: IntervalFigures | None


class History:
    """Samples the counters every two seconds; ``look`` returns the current state.

    Where several servers share the database, the steps of all end at the same times of the clock,
    each server stores its own, and periods are the sums of all. A sum is final a step later.
    """

    def __init__(
        self,
        look: Callable[[], State],
        store: FigureStore,
        *,
        is_shared: bool = False,
        wall_clock: Clock = time.time,
        clock: Clock = time.monotonic,
        cpu_clock: Clock = time.process_time,
    ) -> None:
        """``is_shared``: several servers share the database."""
        self._look = look
        self._store = store
        self._is_shared = is_shared
        self._now = wall_clock
        self._clock = clock
        self._cpu = cpu_clock
        self._fine: deque[IntervalFigures] = deque(maxlen=HOUR_S // FINE_S)
        self._earlier: list[IntervalFigures] = []
        """Minute steps of the last hour that an earlier process has stored."""
        self._minutes: dict[int, IntervalFigures] = {}
        self._unsaved: dict[tuple[int, int], IntervalFigures] = {}
        self._listeners: set[Callable[[Tick], object]] = set()
        self._recent: deque[_Totals] = deque(maxlen=round(FINE_S / TICK_S) + 1)
        self._since = self._read_totals(look())
        self._peaks: dict[str, float] = {}
        self._forgot_at = -inf
        self._minute: int | None = None
        """Start of the current minute, in seconds since 1970."""
        self._others: dict[int, IntervalFigures] = {}
        """Sums of the fine steps of the other servers, by the start of their interval."""
        self._others_now: dict[str, IntervalFigures] = {}
        """The last fine step of each other server."""
        self._others_read_at = -inf

    def add_listener(self, listener: Callable[[Tick], object]) -> Callable[[], None]:
        """Call ``listener`` on each sample; return a function that stops it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def load_last_hour(self) -> None:
        """Load the steps of the last hour that an earlier process has stored."""
        now = self._now()
        since = int(min(now - HOUR_S, now // HOUR_S * HOUR_S))
        try:
            for kept in await self._store.read_steps(MINUTE_S, since, int(now) + 1):
                step = self._minutes[kept.at] = _step_from_record(kept)
                is_cut = step.at <= now < step.end  # this process records the rest of it
                self._earlier.append(
                    merge_steps([step], step.at, now - step.at) if is_cut else step
                )
            if self._is_shared:
                fine = await self._store.read_steps(FINE_S, int(now - HOUR_S), int(now) + 1)
                self._earlier = list(map(_step_from_record, fine))
        except StoreError:
            _log.warning("figures_not_read", exc_info=True)

    async def sample_until_cancelled(self) -> None:
        """Sample, notify listeners and store steps, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            if self._is_shared:
                tasks.create_task(self._follow_others(), name="figures of other servers")
            await self._keep_sampling()

    async def _keep_sampling(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.take_sample()
            if self._unsaved:
                await self.store_unsaved()
            await self._remove_old_steps()

    def take_sample(self) -> None:
        """Take one sample."""
        state = self._look()
        totals = self._read_totals(state)
        peaks = _peak_values(state)
        for name, value in peaks.items():
            self._peaks[name] = max(value, self._peaks.get(name, value))
        ended = None
        if self._is_step_over(totals):
            ended = _step_between(self._since, totals)
            ended.peaks = self._peaks
            ended.examples = self._error_examples(state.telemetry, ended)
            self._keep_fine_step(ended)
            self._since, self._peaks = totals, {}
        self._recent.append(totals)
        if self._listeners:
            now = _step_between(self._recent[0], totals)
            now.peaks = peaks
            if self._is_shared:
                now = sum_servers([now, *self._current_others()], now.at, now.seconds)
                ended = ended and self._sum_at(_interval_of(ended) - FINE_S)
            for listener in tuple(self._listeners):
                listener(Tick(now, ended))

    async def aclose(self) -> None:
        """Store the remaining steps, the unfinished minute included."""
        if self._minute is not None:
            self._queue_minute(self._minute)
        await self.store_unsaved()

    async def store_unsaved(self) -> None:
        """Store the unsaved steps; they stay buffered if the store is unavailable."""
        steps = dict(self._unsaved)
        try:
            await self._store.store_steps(
                [FigureStep(at, seconds, step.to_json()) for (seconds, at), step in steps.items()]
            )
        except StoreError:
            oldest = self._now() - HOUR_S
            for key in [key for key in steps if key[0] == FINE_S and key[1] < oldest]:
                self._unsaved.pop(key, None)
            while len(self._unsaved) > WAITING:
                del self._unsaved[next(iter(self._unsaved))]
            return
        for key, step in steps.items():
            if self._unsaved.get(key) is step:
                del self._unsaved[key]

    async def steps_between(self, since: float, until: float) -> list[IntervalFigures]:
        """Return at most ``MOST_POINTS`` steps of a period given in seconds since 1970.

        They are the sums of all servers on the database.

        Raises:
            StoreError: the store is unavailable.
        """
        now = self._now()
        if since >= now - HOUR_S - FINE_S:
            if self._is_shared:
                await self._read_others()
            return thin_steps(
                [step for step in self.last_hour() if since <= step.end and step.at <= until],
                MOST_POINTS,
            )
        seconds = MINUTE_S if until - since <= 26 * HOUR_S else HOUR_S
        kept = await self._store.read_steps(seconds, int(since), int(until))
        others = await self._store.read_others(seconds, int(since), int(until))
        steps = {
            one.at: one
            for one in await asyncio.to_thread(lambda: list(map(_step_from_record, kept)))
        }
        steps.update(
            {at: one for at, one in self._steps_not_stored(seconds) if since <= at < until}
        )
        for one in await asyncio.to_thread(lambda: list(map(_step_from_record, others))):
            own = steps.get(one.at)
            steps[one.at] = one if own is None else sum_servers([own, one], one.at, own.seconds)
        return thin_steps([steps[at] for at in sorted(steps)], MOST_POINTS)

    def _steps_not_stored(self, seconds: int) -> Iterator[tuple[int, IntervalFigures]]:
        """Yield the steps missing in the store: the unsaved ones and the unfinished one."""
        for (length, at), step in self._unsaved.items():
            if length == seconds:
                yield at, step
        if self._minute is not None:
            at = self._minute // seconds * seconds
            so_far = min(seconds, max(FINE_S, self._now() - at))
            yield at, merge_steps([self._merged_step(seconds, at)], at, so_far)

    def last_hour(self) -> list[IntervalFigures]:
        """Return the steps of the last hour, including those of an earlier process.

        Of several servers, they are the final sums.
        """
        since = self._now() - HOUR_S
        self._earlier = [step for step in self._earlier if step.end > since]
        own = [*self._earlier, *(step for step in self._fine if step.end > since)]
        return self._sum_hour(own, since) if self._is_shared else own

    # ---- several servers ---------------------------------------------------------------------

    async def _follow_others(self) -> None:
        """Read what other servers have stored while there are listeners, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            if self._listeners:
                with contextlib.suppress(StoreError):  # the store reports its failures itself
                    await self._read_others()

    async def _read_others(self) -> None:
        """Read the fine steps of the other servers that were stored since the last time."""
        now = self._now()
        since = int(max(self._others_read_at - LATE_S, now - HOUR_S)) // FINE_S * FINE_S
        kept = await self._store.read_others(FINE_S, since, int(now) + LATE_S)
        steps = await asyncio.to_thread(lambda: list(map(_step_from_record, kept)))
        self._others_read_at = now
        found: dict[int, list[IntervalFigures]] = {}
        for record, step in zip(kept, steps, strict=True):
            found.setdefault(record.at, []).append(step)
            last = self._others_now.get(record.server)
            if last is None or last.at < step.at:
                self._others_now[record.server] = step
        self._others.update((at, sum_servers(some, at, FINE_S)) for at, some in found.items())
        for at in [at for at in self._others if at < now - HOUR_S]:
            del self._others[at]

    def _current_others(self) -> list[IntervalFigures]:
        """Return the last step of each other server that still stores some."""
        since = self._now() - CURRENT_S
        self._others_now = {name: one for name, one in self._others_now.items() if one.end > since}
        return list(self._others_now.values())

    def _sum_at(self, at: int) -> IntervalFigures | None:
        """Return the sum of all servers in the interval from ``at`` on, None if there is none."""
        own = [step for step in (*self._earlier, *self._fine) if _interval_of(step) == at]
        return next(iter(self._sum_steps(own, [at])), None)

    def _sum_hour(self, own: Sequence[IntervalFigures], since: float) -> list[IntervalFigures]:
        final = int(self._since.at // FINE_S * FINE_S) - FINE_S
        intervals = {_interval_of(step) for step in own} | self._others.keys()
        return self._sum_steps(own, sorted(at for at in intervals if since < at + FINE_S <= final))

    def _sum_steps(
        self, own: Sequence[IntervalFigures], intervals: Sequence[int]
    ) -> list[IntervalFigures]:
        of_own: dict[int, list[IntervalFigures]] = {}
        for step in own:
            of_own.setdefault(_interval_of(step), []).append(step)
        sums = []
        for at in intervals:
            # two of a server's own: its clock was set, or another process of it began
            mine = of_own.get(at, [])
            seconds = sum(step.seconds for step in mine) or FINE_S
            begin = mine[0].at if mine else at
            servers = [merge_steps(mine, begin, seconds)] if mine else []
            if at in self._others:
                servers.append(self._others[at])
            if servers:
                sums.append(sum_servers(servers, begin, seconds))
        return sums

    def _is_step_over(self, totals: _Totals) -> bool:
        if self._is_shared:
            return totals.at // FINE_S != self._since.at // FINE_S
        return totals.clock - self._since.clock >= FINE_S - TICK_S / 2

    def _keep_fine_step(self, fine: IntervalFigures) -> None:
        """Add a fine step to memory and to its minute; queue a finished minute for the store."""
        self._fine.append(fine)
        if self._is_shared:
            self._unsaved[FINE_S, _interval_of(fine)] = fine
        minute = int(fine.at // MINUTE_S * MINUTE_S)
        known = self._minutes.get(minute)
        self._minutes[minute] = merge_steps([known, fine] if known else [fine], minute, MINUTE_S)
        oldest = min(fine.at - HOUR_S, fine.at // HOUR_S * HOUR_S) - MINUTE_S
        for at in [at for at in self._minutes if not oldest <= at <= fine.at + HOUR_S]:
            del self._minutes[at]
        if self._minute is not None and self._minute != minute:
            self._queue_minute(self._minute)
        self._minute = minute

    def _queue_minute(self, minute: int) -> None:
        hour = minute // HOUR_S * HOUR_S
        self._unsaved[MINUTE_S, minute] = self._minutes[minute]
        self._unsaved[HOUR_S, hour] = self._merged_step(HOUR_S, hour)

    def _merged_step(self, seconds: int, begin: int) -> IntervalFigures:
        """Return the step of ``seconds`` starting at ``begin``, merged from minutes in memory."""
        inside = [step for at, step in self._minutes.items() if begin <= at < begin + seconds]
        return merge_steps(inside, begin, seconds)

    async def _remove_old_steps(self) -> None:
        now = self._clock()
        if now - self._forgot_at < HOUR_S:
            return
        self._forgot_at = now
        try:
            await self._store.remove_steps(int(self._now() - DAYS * 86_400))
            if self._is_shared:
                await self._store.remove_steps(int(self._now() - HOUR_S), seconds=FINE_S)
        except StoreError:
            _log.warning("figures_not_forgotten", exc_info=True)

    def _read_totals(self, state: State) -> _Totals:
        telemetry = state.telemetry
        totals = _Totals(at=self._now(), clock=self._clock())
        failed = sum(n for (_, outcome), n in telemetry.streams.items() if outcome == "error")
        totals.counts.update(
            messages=telemetry.questions.total(),
            answers=telemetry.streams.total(),
            failed=failed,
            tokens=sum(n for (_, kind), n in telemetry.tokens.items() if kind == "output"),
            refused=telemetry.refused,
            cpu_ms=round(self._cpu() * 1000),
        )
        totals.spread = {
            "first_token": _sum_buckets(telemetry.first_token_s.items.values()),
            "speed": _sum_buckets(telemetry.speed.items.values()),
            "loop_lag": _sum_buckets([telemetry.loop_lag_s]),
        }
        for (model, _), count in telemetry.streams.items():
            totals.models[model] += count
        totals.errors = telemetry.failures
        return totals

    def _error_examples(self, telemetry: Telemetry, step: IntervalFigures) -> dict[str, str]:
        return {
            code: telemetry.examples[code] for code in step.errors if code in telemetry.examples
        }


def _step_between(before: _Totals, now: _Totals) -> IntervalFigures:
    seconds = max(now.clock - before.clock, 1e-9)
    step = IntervalFigures(at=now.at - seconds, seconds=seconds)
    step.counts = now.counts - before.counts
    step.models = now.models - before.models
    step.errors = now.errors - before.errors
    for name, buckets in now.spread.items():
        if more := buckets - before.spread[name]:
            step.spread[name] = more
    return step


def _interval_of(fine: IntervalFigures) -> int:
    """Return the start of the interval of the clock that a fine step is about."""
    return int((fine.at + fine.end) / 2 // FINE_S * FINE_S)


def _sum_buckets(histograms: Iterable[Histogram]) -> Counter[float]:
    found: Counter[float] = Counter()
    for histogram in histograms:
        for bound, count in zip((*histogram.bounds, inf), histogram.counts, strict=True):
            found[bound] += count
    return found


def _peak_values(state: State) -> dict[str, float]:
    return {
        "raw": state.telemetry.connections,
        "pages": state.open_pages,
        "streams": state.open_streams,
        "behind": round(state.backlog.behind_s, 1),
        "memory": state.memory_mb or 0.0,
    }


def _step_from_record(kept: FigureStep) -> IntervalFigures:
    return IntervalFigures.from_json(kept.at, kept.seconds, kept.figures)
