"""Prometheus metrics, served at ``/metrics``.

``METRICS`` is the complete list; docs/operations.md documents it, and a test keeps both equal. A
separate prometheus-client registry renders the text; the package is imported on the first scrape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from wireside.telemetry.counts import OTHER, Histogram, error_codes
from wireside.telemetry.fleet import sum_of_servers
from wireside.telemetry.state import State
from wireside.version import __version__

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

Kind = Literal["counter", "gauge", "histogram"]

FRAMES_IN = ("batch", "binary", "cancel", "chat", "heartbeat", "ping", "refused", "resume")
FRAMES_OUT = (
    *("batch_done", "chunk", "done", "error", "part", "pong", "reasoning", "resumed", "start"),
    "tool",
)
DOORS = ("ag-ui", "ai-sdk", "durable-streams", "openai")
QUESTIONS = ("again", "ask", "turn")

Values = Mapping[Any, float]
"""Values by a tuple of strings, one per label."""

Histograms = Mapping[Any, Histogram]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; ``read`` returns its values by label values."""

    name: str
    kind: Kind
    _: KW_ONLY
    help: str
    read: Callable[[State], Values | Histograms]
    labels: tuple[str, ...] = ()
    unit: str = ""


def _single_value(value: float) -> Values:
    return {(): value}


def _by_error_code(counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    """Return counts of all error codes: a code that never occurred is 0 instead of missing."""
    values: dict[tuple[str, ...], float] = dict.fromkeys(((code,) for code in error_codes()), 0)
    for code, count in counts.items():
        values[(code if (code,) in values else OTHER,)] = count
    return values


def _error_counts(state: State) -> Values:
    doors: dict[str, Mapping[str, int]] = {
        "raw": state.telemetry.errors,
        "http": state.telemetry.problems,
        **{door: state.telemetry.door_errors.get(door, {}) for door in DOORS},
    }
    return {
        (door, *code): count
        for door, counts in doors.items()
        for code, count in _by_error_code(counts).items()
    }


def _door_requests(state: State) -> Values:
    """Return the requests of all doors: one that had none is 0 instead of missing."""
    none = dict.fromkeys(((door, kind) for door in DOORS for kind in ("ask", "read")), 0)
    return none | state.telemetry.door_requests


def _frame_counts(state: State) -> Values:
    frames = state.telemetry.frames
    values: dict[tuple[str, ...], float] = {
        ("in", kind): frames.received.get(kind, 0) for kind in FRAMES_IN
    }
    values |= {("out", kind): frames.sent.get(kind, 0) for kind in FRAMES_OUT}
    values["out", "chunk"] = frames.chunk_count
    return values


def _chunk_sizes(state: State) -> Histograms:
    frames = state.telemetry.frames
    sizes = Histogram([2**bits - 1 for bits in range(1, 16)])
    sizes.counts = [*frames.chunk_sizes[1:16], sum(frames.chunk_sizes[16:])]
    sizes.total = frames.chunk_chars
    return {(): sizes}


def _of_models(items: Mapping[str, Histogram]) -> Histograms:
    return {(model,): histogram for model, histogram in items.items()}


def _fleet_sums(state: State) -> Mapping[str, float]:
    """Return the gauges of all servers; those of this one if it has the database alone."""
    if state.replica is not None:
        return sum_of_servers(state.replica.servers)
    return {
        "streams": state.open_streams,
        "raw": state.telemetry.connections,
        "pages": state.open_pages,
    }


def _task_count() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # outside of a loop
        return 0


METRICS: tuple[Metric, ...] = (
    # ---- connections
    Metric(
        "wireside_connections", "gauge", labels=("kind",),
        help="Open connections: `raw` at /ws/ai-chat, `page` behind chat pages.",
        read=lambda s: {("raw",): s.telemetry.connections, ("page",): s.open_pages},
    ),
    Metric(
        "wireside_raw_connections_total", "counter",
        help="Connections opened at /ws/ai-chat.",
        read=lambda s: _single_value(s.telemetry.connections_opened),
    ),
    Metric(
        "wireside_refused_requests_total", "counter",
        help="Requests refused for their Host or Origin, or for too many connections of one"
        " address.",
        read=lambda s: _single_value(s.telemetry.refused),
    ),
    Metric(
        "wireside_frames_total", "counter", labels=("direction", "type"),
        help="Frames at /ws/ai-chat; `refused` and `binary` are not part of the protocol.",
        read=_frame_counts,
    ),
    Metric(
        "wireside_messages_total", "counter", labels=("type",),
        help="Questions: `turn` in conversations, `again` for retries and continuations, else"
        " `ask`.",
        read=lambda s: {(kind,): s.telemetry.questions[kind] for kind in QUESTIONS},
    ),
    Metric(
        "wireside_errors_total", "counter", labels=("door", "code"),
        help="Errors sent to clients, at /ws/ai-chat (`raw`), by REST routes (`http`) and by each"
        " other door.",
        read=_error_counts,
    ),
    Metric(
        "wireside_door_requests_total", "counter", labels=("door", "kind"),
        help="Requests of doors: `ask` asks a question, `read` reads an answer.",
        read=_door_requests,
    ),
    Metric(
        "wireside_chunk_characters", "histogram", unit="characters",
        help="Characters of one chunk frame: the text sent to a reader at once.",
        read=_chunk_sizes,
    ),
    # ---- answers
    Metric(
        "wireside_open_streams", "gauge",
        help="Answers in progress.",
        read=lambda s: _single_value(s.open_streams),
    ),
    Metric(
        "wireside_streams_total", "counter", labels=("model", "outcome"),
        help="Finished answers by outcome: a reason of the protocol, or `error`.",
        read=lambda s: dict(s.telemetry.streams),
    ),
    Metric(
        "wireside_stream_errors_total", "counter", labels=("code",),
        help="Answers that ended with an error, counted once for all readers.",
        read=lambda s: _by_error_code(s.telemetry.stream_errors),
    ),
    Metric(
        "wireside_time_to_first_token_seconds", "histogram", unit="seconds", labels=("model",),
        help="Time from the start of an answer to the model's first piece.",
        read=lambda s: _of_models(s.telemetry.first_token_s.items),
    ),
    Metric(
        "wireside_tokens_per_second", "histogram", unit="tokens per second", labels=("model",),
        help="Speed of an answer after its first token, if the model reports its usage.",
        read=lambda s: _of_models(s.telemetry.speed.items),
    ),
    Metric(
        "wireside_tokens_total", "counter", unit="tokens", labels=("model", "direction"),
        help="Tokens sent to models (`input`) and generated (`output`), if the model reports them.",
        read=lambda s: dict(s.telemetry.tokens),
    ),
    Metric(
        "wireside_stream_duration_seconds", "histogram", unit="seconds", labels=("model",),
        help="Time from the start of an answer to its end.",
        read=lambda s: _of_models(s.telemetry.stream_s.items),
    ),
    Metric(
        "wireside_stream_length_characters", "histogram", unit="characters",
        help="Length of an answer as counted by offsets, including reasoning and tool calls.",
        read=lambda s: {(): s.telemetry.stream_length},
    ),
    Metric(
        "wireside_kept_streams", "gauge",
        help="Finished answers kept in memory for resume.",
        read=lambda s: _single_value(s.kept_streams),
    ),
    Metric(
        "wireside_kept_characters", "gauge", unit="characters",
        help="Characters of finished answers kept in memory for resume.",
        read=lambda s: _single_value(s.kept_chars),
    ),
    # ---- readers
    Metric(
        "wireside_readers", "gauge",
        help="Readers that follow an answer: WebSockets and pages.",
        read=lambda s: _single_value(len(s.lags)),
    ),
    Metric(
        "wireside_reader_lag_characters", "gauge", unit="characters",
        help="Lag of the slowest reader behind its answer.",
        read=lambda s: _single_value(max(s.lags, default=0)),
    ),
    Metric(
        "wireside_reader_backlog_characters", "gauge", unit="characters",
        help="Sum of the lags of all readers.",
        read=lambda s: _single_value(sum(s.lags)),
    ),
    # ---- the store
    Metric(
        "wireside_commit_duration_seconds", "histogram", unit="seconds",
        help="Duration of one group commit of running answers.",
        read=lambda s: {(): s.telemetry.commit_s},
    ),
    Metric(
        "wireside_commit_characters", "histogram", unit="characters",
        help="Characters written by one group commit.",
        read=lambda s: {(): s.telemetry.commit_length},
    ),
    Metric(
        "wireside_commit_failures_total", "counter",
        help="Failed commits to the store.",
        read=lambda s: _single_value(s.telemetry.commit_failures),
    ),
    Metric(
        "wireside_commit_backlog_streams", "gauge",
        help="Answers with text that is not committed yet.",
        read=lambda s: _single_value(s.backlog.streams),
    ),
    Metric(
        "wireside_commit_backlog_characters", "gauge", unit="characters",
        help="Characters that are not committed yet.",
        read=lambda s: _single_value(s.backlog.length),
    ),
    Metric(
        "wireside_commit_backlog_writes", "gauge",
        help="Other writes that are queued while the store fails.",
        read=lambda s: _single_value(s.backlog.writes),
    ),
    Metric(
        "wireside_commit_behind_seconds", "gauge", unit="seconds",
        help="How long uncommitted text has been shown; 0 while the store keeps up.",
        read=lambda s: _single_value(s.backlog.behind_s),
    ),
    # ---- the provider
    Metric(
        "wireside_provider_errors_total", "counter", labels=("code",),
        help="Failed requests for an answer at the model service, each attempt counted.",
        read=lambda s: _by_error_code(s.telemetry.provider_errors),
    ),
    Metric(
        "wireside_provider_retries_total", "counter", labels=("code",),
        help="Retried requests for an answer, by the error that caused the retry.",
        read=lambda s: _by_error_code(s.telemetry.provider_retries),
    ),
    # ---- replicas
    Metric(
        "wireside_replica_info", "gauge", labels=("replica", "id", "version"),
        help="Always 1; the labels are the name of this server among several on one database, the"
        " id of its process there, both empty for one alone, and its version.",
        read=lambda s: {
            (s.replica.name, s.replica.id, __version__) if s.replica else ("", "", __version__): 1
        },
    ),
    Metric(
        "wireside_replicas", "gauge",
        help="Servers on the database, as this one sees them; 1 without `WIRESIDE_REPLICAS`.",
        read=lambda s: _single_value(len(s.replica.servers) if s.replica else 1),
    ),
    Metric(
        "wireside_replica_leader", "gauge",
        help="1 on the server that does what one of several has to do, else 0.",
        read=lambda s: _single_value(s.replica.is_leader if s.replica else 1),
    ),
    Metric(
        "wireside_replica_fenced_total", "counter",
        help="How often the other servers have removed this one, as it gave no sign of life.",
        read=lambda s: _single_value(s.replica.fenced_count if s.replica else 0),
    ),
    Metric(
        "wireside_bus_up", "gauge",
        help="1 while messages of the other servers arrive, else 0; 1 without `WIRESIDE_REPLICAS`.",
        read=lambda s: _single_value(s.replica.is_bus_up if s.replica else 1),
    ),
    Metric(
        "wireside_bus_dropped_total", "counter",
        help="Messages to the other servers that were not sent, as the bus was away or full.",
        read=lambda s: _single_value(s.replica.dropped_messages if s.replica else 0),
    ),
    Metric(
        "wireside_followed_answers", "gauge",
        help="Running answers of other servers that are read at this one.",
        read=lambda s: _single_value(s.replica.followed_answers if s.replica else 0),
    ),
    # ---- all servers: the same at each of them
    Metric(
        "wireside_fleet_open_streams", "gauge",
        help="Answers in progress at all servers on the database. Each server has the same sum:"
        " aggregate with `max`, never with `sum`.",
        read=lambda s: _single_value(_fleet_sums(s)["streams"]),
    ),
    Metric(
        "wireside_fleet_connections", "gauge", labels=("kind",),
        help="Open connections at all servers on the database, as `wireside_connections`. Each"
        " server has the same sum: aggregate with `max`, never with `sum`.",
        read=lambda s: {("raw",): _fleet_sums(s)["raw"], ("page",): _fleet_sums(s)["pages"]},
    ),
    # ---- the process
    Metric(
        "wireside_event_loop_tasks", "gauge",
        help="Tasks of the event loop; constant for days on an idle server.",
        read=lambda s: _single_value(_task_count()),
    ),
    Metric(
        "wireside_event_loop_lag_seconds", "histogram", unit="seconds",
        help="Lag of the event loop, sampled twice a second.",
        read=lambda s: {(): s.telemetry.loop_lag_s},
    ),
    Metric(
        "wireside_draining", "gauge",
        help="1 while the server is shutting down, else 0.",
        read=lambda s: _single_value(s.is_draining),
    ),
    Metric(
        "wireside_build_info", "gauge", labels=("version",),
        help="Always 1; the label says which version runs.",
        read=lambda s: {(__version__,): 1},
    ),
)  # fmt: skip


class Exposition:
    """Renders the exposition text; ``look`` returns the current state."""

    def __init__(self, look: Callable[[], State]) -> None:
        self._look = look
        self._registry: CollectorRegistry | None = None

    async def render_metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the text in the format that ``accept`` negotiates, and its content type."""
        if self._registry is None:  # imports take 80 ms: run them in a thread
            self._registry = await asyncio.to_thread(self._make_registry)
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Family]:
        """Return the families of ``METRICS``; called by the registry."""
        state = self._look()
        return (_metric_family(metric, state) for metric in METRICS)

    def _make_registry(self) -> CollectorRegistry:
        from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

        registry = CollectorRegistry()
        registry.register(_Ours(self))
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        return registry


class _Ours:
    """Collector for the registry; ``describe`` avoids a collection at registration."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    def describe(self) -> Iterable[Family]:
        return ()

    def collect(self) -> Iterable[Family]:
        return self._exposition.collect()


def _metric_family(metric: Metric, state: State) -> Family:
    from prometheus_client import core

    kinds: dict[Kind, Any] = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }
    family = kinds[metric.kind](metric.name, metric.help, labels=metric.labels)
    for labels, value in metric.read(state).items():
        if isinstance(value, Histogram):
            family.add_metric(labels, buckets=_cumulative_buckets(value), sum_value=value.total)
        else:
            family.add_metric(labels, value)
    found: Family = family
    return found


def _cumulative_buckets(histogram: Histogram) -> list[tuple[str, int]]:
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
