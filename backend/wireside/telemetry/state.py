"""Gauges, sampled when they are read."""

from __future__ import annotations

from dataclasses import dataclass

from wireside.generation.commits import Backlog
from wireside.telemetry.counts import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Current gauges and the counters; ``lags`` holds each reader's lag in characters."""

    telemetry: Telemetry
    open_pages: int = 0
    open_streams: int = 0
    kept_streams: int = 0
    kept_chars: int = 0
    lags: tuple[int, ...] = ()
    backlog: Backlog = Backlog(streams=0, length=0, writes=0, behind_s=0.0)
    is_draining: bool = False
    memory_mb: float | None = None
