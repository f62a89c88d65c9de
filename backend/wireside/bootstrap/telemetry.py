"""Builds counters and traces, and samples the gauges."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

from wireside.bootstrap.providers import upstream_url
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner
from wireside.replicas.membership import Membership
from wireside.replicas.peers import Peers
from wireside.session.departure import Departure
from wireside.settings.model import Settings
from wireside.telemetry import Telemetry
from wireside.telemetry.fleet import Reporter, ServerReport, list_servers
from wireside.telemetry.state import ReplicaState, State
from wireside.telemetry.tracing import Tracing


def build_tracer(settings: Settings, provider_kind: str) -> Tracing | None:
    """Return the exporter of traces, or None. Raises ``NotConfigured``."""
    if not settings.otel:
        return None
    return Tracing(
        provider=provider_kind,
        base_url=upstream_url(settings),
        has_content=settings.otel_content,
    )


def build_telemetry(
    settings: Settings,
    tracer: Tracing | None,
    *,
    open_streams: Callable[[], int],
    open_pages: Callable[[], int],
) -> Telemetry:
    """Return the counters. The callables return the number of running answers and open pages."""
    return Telemetry(
        interval_s=settings.log_interval_s,
        open_streams=open_streams,
        open_pages=open_pages,
        tracer=tracer,
    )


def sample_state(
    telemetry: Telemetry,
    runner: Runner,
    saving: GroupCommit,
    open_pages: Callable[[], int],
    departure: Departure,
    *,
    membership: Membership | None = None,
    peers: Peers | None = None,
) -> State:
    """Return the current state, for the metrics. ``open_pages`` is that of ``build_telemetry``."""
    kept, kept_chars = runner.kept_size
    return State(
        telemetry=telemetry,
        open_pages=open_pages(),
        open_streams=runner.live_count,
        kept_streams=kept,
        kept_chars=kept_chars,
        lags=tuple(runner.reader_lags()),
        backlog=saving.backlog,
        is_draining=departure.is_announced or runner.is_draining,
        memory_mb=memory_mb(),
        replica=_replica_state(membership, peers),
    )


def _replica_state(membership: Membership | None, peers: Peers | None) -> ReplicaState | None:
    if membership is None or peers is None:
        return None
    return ReplicaState(
        id=membership.replica_id if membership.is_joined else "",
        name=membership.name,
        is_leader=membership.is_leader,
        servers=list_servers(membership),
        fenced_count=membership.fenced_count,
        is_bus_up=peers.bus.is_up,
        dropped_messages=peers.bus.dropped,
        followed_answers=peers.mirrors.live_count,
    )


def report_with_beats(
    membership: Membership,
    telemetry: Telemetry,
    runner: Runner,
    open_pages: Callable[[], int],
    departure: Departure,
) -> None:
    """Let a server report about itself with each of its beats."""

    def sample_gauges() -> ServerReport:
        return ServerReport(
            streams=runner.live_count,
            raw=telemetry.connections,
            pages=open_pages(),
            memory_mb=memory_mb(),
            clock_ahead_s=_rounded(membership.clock_ahead_s),
            is_draining=departure.is_announced or runner.is_draining,
        )

    membership.make_report = Reporter(sample_gauges).make_report


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def memory_mb() -> float | None:
    """Return the resident memory in MB; None if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return round(pages * mmap.PAGESIZE / 2**20, 1)
