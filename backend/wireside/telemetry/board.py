"""The dashboard's data as plain values: figures, model names, error codes and ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from wireside.identity import Caller
from wireside.telemetry.counts import BOUNDS
from wireside.telemetry.fleet import ServerState, sum_of_servers
from wireside.telemetry.history import DAYS, History, Tick
from wireside.telemetry.steps import IntervalFigures, chart_columns, figures_of, merge_steps

TOP: Final = 8
"""Number of models and of errors listed."""

COUNTED: Final = ("messages", "answers", "failed", "tokens")
"""Counters that are summed over the period."""


class Board:
    """Serves the history to administrators; live updates are computed once for all listeners."""

    def __init__(
        self, history: History, list_servers: Callable[[], Sequence[ServerState]] = list
    ) -> None:
        """``list_servers`` returns all servers on the database; none if this one is alone."""
        self._history = history
        self._list_servers = list_servers
        self._listeners: set[Callable[[dict[str, Any]], object]] = set()
        self._unwatch: Callable[[], None] | None = None

    async def read_period(self, caller: Caller, since: float, until: float) -> dict[str, Any]:
        """Return the period from ``since`` to ``until`` (seconds since 1970).

        ``series`` maps each of ``steps.FIGURES`` to its values and ``t`` to their times, and
        ``servers`` lists the servers on the database, if there are several. The rest are the sums
        of the period. ``since`` is at most ``history.DAYS`` days before ``until``.

        Raises:
            Forbidden: the caller is not an administrator.
            StoreError: the store is unavailable.
        """
        caller.require("admin")
        since = max(since, until - DAYS * 86_400)
        steps = await self._history.steps_between(since, until)
        return {
            "since": since,
            "until": until,
            "series": chart_columns(steps, BOUNDS),
            "servers": _rows_of(self._list_servers()),
            **_sums_of(steps),
        }

    def add_listener(
        self, caller: Caller, listener: Callable[[dict[str, Any]], object]
    ) -> Callable[[], None]:
        """Call ``listener`` every two seconds; return a function that stops it.

        ``now`` holds the figures of the last ten seconds, ``servers`` is as in ``read_period``.
        When a step has ended, ``series`` holds its figures and ``hour`` the sums of the last hour.

        Raises:
            Forbidden: the caller is not an administrator.
        """
        caller.require("admin")
        self._listeners.add(listener)
        if self._unwatch is None:
            self._unwatch = self._history.add_listener(self._notify_listeners)
        return lambda: self._remove_listener(listener)

    def _remove_listener(self, listener: Callable[[dict[str, Any]], object]) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _notify_listeners(self, tick: Tick) -> None:
        servers = self._list_servers()
        told: dict[str, Any] = {
            "at": round(tick.now.end * 1000),
            # the gauges of all servers are newer in their reports than in their steps
            "now": figures_of(tick.now, BOUNDS) | (sum_of_servers(servers) if servers else {}),
            "servers": _rows_of(servers),
        }
        if tick.ended is not None:
            told["series"] = chart_columns([tick.ended], BOUNDS)
            told["hour"] = _sums_of(self._history.last_hour())
        for listener in tuple(self._listeners):
            listener(told)


def _rows_of(servers: Sequence[ServerState]) -> list[dict[str, Any]]:
    """Return a row of figures for each server."""
    return [
        {
            "id": one.id,
            "name": one.name,
            "version": one.version,
            "uptime_s": round(one.uptime_s),
            "silent_s": round(one.silent_s),
            "is_own": one.is_own,
            **(asdict(one.report) if one.report is not None else {}),
        }
        for one in servers
    ]


def _sums_of(steps: Sequence[IntervalFigures]) -> dict[str, Any]:
    """Return the sums of all steps."""
    whole = merge_steps(steps, 0.0, 1.0)
    found = figures_of(whole, BOUNDS)
    return {
        "sums": {
            **{name: whole.counts[name] for name in COUNTED},
            **{name: found[name] for name in ("error_rate", "first_p50", "first_p95", "speed")},
        },
        "models": _most_common(whole.models),
        "errors": [
            [code, count, whole.examples.get(code, "")]
            for code, count in _most_common(whole.errors)
        ],
    }


def _most_common(counts: Counter[str]) -> list[tuple[str, int]]:
    return [(name, count) for name, count in counts.most_common(TOP) if count > 0]
