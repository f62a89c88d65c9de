"""Gauges, sampled when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wireside.generation.commits import Backlog
from wireside.telemetry.counts import Telemetry
from wireside.telemetry.fleet import ServerState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """The server among several on one database, as it sees itself."""

    id: str
    name: str
    is_leader: bool
    servers: Sequence[ServerState]
    fenced_count: int
    is_bus_up: bool = False
    dropped_messages: int = 0
    followed_answers: int = 0


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
    replica: ReplicaState | None = None
