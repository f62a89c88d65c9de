"""Builds counters and traces, and samples the gauges."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

from wireside.bootstrap.providers import upstream_url
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner
from wireside.settings.model import Settings
from wireside.telemetry import Telemetry
from wireside.telemetry.state import State
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
    telemetry: Telemetry, runner: Runner, saving: GroupCommit, open_pages: Callable[[], int]
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
        is_draining=runner.is_draining,
        memory_mb=memory_mb(),
    )


def memory_mb() -> float | None:
    """Return the resident memory in MB; None if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return round(pages * mmap.PAGESIZE / 2**20, 1)
