"""Counters and histograms: plain numbers, incremented on events and read on demand.

The cost per piece of an answer is at most one addition. State (open streams, lagging readers) is
not counted but sampled when it is read (``state.py``, ``prometheus.py``).
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Protocol

import structlog

from wireside.errors import WiresideError
from wireside.messages import End, ModelRequest
from wireside.ports.clock import Clock
from wireside.session.counts import FrameCounts

_log = structlog.get_logger(__name__)

MODELS: Final = 20
"""Distinct model names in metrics: clients may request any name, the rest count as ``OTHER``."""

OTHER: Final = "other"

_SECONDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)
_LONG_SECONDS: Final = (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_COMMIT_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
_LAG_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1)
_SPEEDS: Final = (5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 500)
_LENGTHS: Final = (100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000)
_COMMIT_LENGTHS: Final = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)

BOUNDS: Final = {"first_token": _SECONDS, "speed": _SPEEDS, "loop_lag": _LAG_SECONDS}
"""Bucket bounds of the histograms that the dashboard shows."""

LAG_PERIOD_S: Final = 0.5


class Histogram:
    """Number of values per bucket; ``bounds`` are the inclusive upper bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def record_value(self, value: float) -> None:
        """Record a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class ByModel:
    """One histogram per model."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.items: dict[str, Histogram] = {}

    def record_value(self, model: str, value: float) -> None:
        """Record a value; ``model`` is a name from ``ModelNames.label_for``."""
        histogram = self.items.get(model)
        if histogram is None:
            histogram = self.items[model] = Histogram(self._bounds)
        histogram.record_value(value)


class ModelNames:
    """Bounds the number of distinct model names in labels.

    ``OTHER`` stands for names beyond the first ``MODELS``, and for names that never answered.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label_for(self, model: str, *, has_answered: bool) -> str:
        """Return the label for a model name."""
        name = model[:100]
        if has_answered and len(self._known) < MODELS:
            self._known.add(name)
        return name if name in self._known else OTHER


class AnswerTracer(Protocol):
    """The trace of an answer, if tracing is enabled (``tracing.py``)."""

    @property
    def trace_id(self) -> str:
        """The trace's id, as logged."""
        ...

    def task_started(self) -> None:
        """See ``AnswerObserver``."""

    def first_delta_received(self) -> None:
        """See ``AnswerObserver``."""

    def answer_ended(self, end: End, text: Callable[[], str]) -> None:
        """See ``AnswerObserver``."""


class QuestionTracer(Protocol):
    """The trace of a question and its answer."""

    def in_conversation(self, conversation: str) -> None:
        """See ``QuestionObserver``."""

    def being_asked(self) -> AbstractContextManager[None]:
        """See ``QuestionObserver``."""
        ...


class Tracer(Protocol):
    """Creates traces."""

    def trace_question(self, kind: str, ids: dict[str, Any]) -> QuestionTracer | None:
        """A question was received."""
        ...

    def trace_answer(
        self, stream: str, model: str, request: ModelRequest | None
    ) -> AnswerTracer | None:
        """An answer to the current question begins."""
        ...

    def trace_retry(self, code: str) -> None:
        """The provider request of the current answer is retried."""

    def trace_names(self, model: str, answer: str) -> None:
        """The provider reported its ids of the model and the current answer; "" if unknown."""


class NoTracer:
    """A ``Tracer`` that does nothing."""

    def trace_question(self, kind: str, ids: dict[str, Any]) -> None:
        """See ``Tracer``."""

    def trace_answer(self, stream: str, model: str, request: ModelRequest | None) -> None:
        """See ``Tracer``."""

    def trace_retry(self, code: str) -> None:
        """See ``Tracer``."""

    def trace_names(self, model: str, answer: str) -> None:
        """See ``Tracer``."""


class Telemetry:
    """Counts events; implements ``ports.Observer`` and the counters of sessions and guards.

    ``figures_since_last`` returns the figures since its previous call.
    """

    def __init__(
        self,
        *,
        interval_s: float = 30.0,
        clock: Clock = time.monotonic,
        open_streams: Callable[[], int] = lambda: 0,
        open_pages: Callable[[], int] = lambda: 0,
        tracer: Tracer | None = None,
    ) -> None:
        self._interval_s = interval_s
        self._open_streams = open_streams
        self._open_pages = open_pages
        self._clock = clock
        self._tracer = tracer or NoTracer()
        self.connections = 0
        self.connections_opened = 0
        self.refused = 0
        self.errors: Counter[str] = Counter()
        """Errors sent at /ws/ai-chat; ``relayed`` counts those of them that ended an answer."""
        self.relayed: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        """Errors returned over HTTP."""
        self.door_requests: Counter[tuple[str, str]] = Counter()
        """Requests by door, and "ask" or "read"."""
        self.door_errors: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Errors sent by doors; ``door_relayed`` counts those of them that ended an answer."""
        self.door_relayed: Counter[str] = Counter()
        self.frames = FrameCounts()
        self.questions: Counter[str] = Counter()
        self.models = ModelNames()
        self.streams: Counter[tuple[str, str]] = Counter()
        self.stream_errors: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        """The id, as logged, of the last occurrence of each error code."""
        self.tokens: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.first_token_s = ByModel(_SECONDS)
        self.stream_s = ByModel(_LONG_SECONDS)
        self.speed = ByModel(_SPEEDS)
        self.stream_length = Histogram(_LENGTHS)
        self.commit_s = Histogram(_COMMIT_SECONDS)
        self.commit_length = Histogram(_COMMIT_LENGTHS)
        self.commit_failures = 0
        self.provider_errors: Counter[str] = Counter()
        self.provider_retries: Counter[str] = Counter()
        self.loop_lag_s = Histogram(_LAG_SECONDS)
        self._since = clock()
        self._messages_before = 0
        self._refused_before = 0
        self._failures_before: Counter[str] = Counter()

    # ---- connections -------------------------------------------------------------------------

    def connected(self) -> None:
        """Count an opened connection."""
        self.connections += 1
        self.connections_opened += 1

    def disconnected(self) -> None:
        """Count a closed connection."""
        self.connections -= 1

    def count_error(self, code: str, *, is_of_answer: bool = False) -> None:
        """Count an error sent to a client; an answer's error is sent to each of its readers."""
        self.errors[code] += 1
        if is_of_answer:
            self.relayed[code] += 1
        else:
            self._exemplify(code, "connection")

    def count_problem(self, code: str) -> None:
        """Count an error returned over HTTP."""
        self.problems[code] += 1
        self._exemplify(code, "request")

    def count_door_request(self, door: str, kind: str) -> None:
        """Count a request of a door: "ask" or "read"."""
        self.door_requests[door, kind] += 1

    def count_door_error(self, door: str, code: str, *, is_of_answer: bool = False) -> None:
        """Count an error sent by a door; an answer's error is sent to each of its readers."""
        self.door_errors[door][code] += 1
        if is_of_answer:
            self.door_relayed[code] += 1
        else:
            self._exemplify(code, "request")

    def _exemplify(self, code: str, kind: str) -> None:
        example = structlog.contextvars.get_contextvars().get(kind)
        if example and code not in self.stream_errors:  # an answer's stream id is more specific
            self.examples[code] = str(example)

    def count_refusal(self) -> None:
        """Count a request refused for its Host or Origin, or for too many connections."""
        self.refused += 1

    # ---- answers -----------------------------------------------------------------------------

    def record_question(self, kind: str) -> QuestionMetrics:
        """See ``Observer``."""
        self.questions[kind] += 1
        ids = structlog.contextvars.get_contextvars()
        return QuestionMetrics(ids, self._tracer.trace_question(kind, ids))

    def record_answer(self, stream: str, model: str, request: ModelRequest | None) -> AnswerMetrics:
        """See ``Observer``."""
        trace = self._tracer.trace_answer(stream, model, request)
        return AnswerMetrics(
            telemetry=self, stream=stream, model=model, clock=self._clock, trace=trace
        )

    def count_answer(self, model: str, end: End, length: int, seconds: float) -> None:
        """Count a finished answer; ``model`` is a name from ``ModelNames.label_for``."""
        outcome = "error" if end.error is not None else end.reason or "interrupted"
        self.streams[model, outcome] += 1
        if end.error is not None:
            self.stream_errors[end.error.code] += 1
        self.stream_s.record_value(model, seconds)
        self.stream_length.record_value(length)
        for kind, count in (("input", end.usage.input_tokens), ("output", end.usage.output_tokens)):
            self.tokens[model, kind] += count or 0

    def committed(self, seconds: float, streams: int, length: int) -> None:
        """See ``Observer``."""
        self.commit_s.record_value(seconds)
        self.commit_length.record_value(length)

    def commit_failed(self) -> None:
        """See ``Observer``."""
        self.commit_failures += 1

    def provider_failed(self, code: str) -> None:
        """See ``Observer``."""
        self.provider_errors[code] += 1

    def provider_retried(self, code: str) -> None:
        """See ``Observer``."""
        self.provider_retries[code] += 1
        self._tracer.trace_retry(code)

    def provider_named(self, model: str, answer: str) -> None:
        """See ``Observer``."""
        self._tracer.trace_names(model, answer)

    # ---- log line and event loop -------------------------------------------------------------

    @property
    def failures(self) -> Counter[str]:
        """All failures, counted once each: answers, refusals at sockets, HTTP requests."""
        of_doors = sum(self.door_errors.values(), Counter[str]()) - self.door_relayed
        return self.stream_errors + (self.errors - self.relayed) + self.problems + of_doors

    def figures_since_last(self, now: float) -> dict[str, Any]:
        """Return the figures since the last call, for WebSockets, pages and HTTP together.

        A message is a question; ``error_rate`` is failures per message, at most 1. ``now`` is in
        monotonic seconds.
        """
        seconds = max(now - self._since, 1e-9)
        messages = self.questions.total() - self._messages_before
        all_failures = self.failures
        failures = all_failures - self._failures_before
        refused = self.refused - self._refused_before
        pages = self._open_pages()
        self._since = now
        self._messages_before += messages
        self._refused_before = self.refused
        self._failures_before = all_failures
        return {
            "active_connections": self.connections + pages,
            "messages_per_second": round(messages / seconds, 2),
            "error_rate": round(failures.total() / max(messages, failures.total(), 1), 4),
            "open_pages": pages,
            "open_streams": self._open_streams(),
            "messages_total": self._messages_before,
            "errors_total": all_failures.total(),
            "errors": dict(failures),
            "refused": refused,
        }

    async def write_log_lines(self) -> None:
        """Log a line every ``interval_s`` seconds until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            _log.info("server_metrics", **self.figures_since_last(self._clock()))

    async def watch_loop(self) -> None:
        """Measure the event loop's lag (how late a sleeping task resumes) until cancelled."""
        while True:
            due = self._clock() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            self.loop_lag_s.record_value(max(0.0, self._clock() - due))


class QuestionMetrics:
    """Implements ``QuestionObserver``; binds the request's log ids while the question is processed.

    The ids are restored explicitly because a queued question may be started by the task of another
    client's answer.
    """

    def __init__(self, ids: dict[str, Any], trace: QuestionTracer | None) -> None:
        self._ids = ids
        self._trace = trace

    def in_conversation(self, conversation: str) -> None:
        """See ``QuestionObserver``."""
        if self._trace is not None:
            self._trace.in_conversation(conversation)

    @contextmanager
    def being_asked(self) -> Iterator[None]:
        """See ``QuestionObserver``."""
        before = structlog.contextvars.get_contextvars()
        _log_under(self._ids)
        try:
            with self._trace.being_asked() if self._trace else nullcontext():
                yield
        finally:
            _log_under(before)


class AnswerMetrics:
    """Implements ``AnswerObserver``."""

    def __init__(
        self,
        telemetry: Telemetry,
        stream: str,
        model: str,
        clock: Clock,
        trace: AnswerTracer | None,
    ) -> None:
        self._telemetry = telemetry
        self._stream = stream
        self._model = model
        self._clock = clock
        self._trace = trace
        self._began = clock()
        self._first: float | None = None

    def task_started(self) -> None:
        """See ``AnswerObserver``."""
        structlog.contextvars.bind_contextvars(stream=self._stream)
        if self._trace is not None:
            structlog.contextvars.bind_contextvars(trace_id=self._trace.trace_id)
            self._trace.task_started()

    def first_delta_received(self) -> None:
        """See ``AnswerObserver``."""
        self._first = self._clock()
        model = self._telemetry.models.label_for(self._model, has_answered=True)
        self._telemetry.first_token_s.record_value(model, self._first - self._began)
        if self._trace is not None:
            self._trace.first_delta_received()

    def answer_ended(self, end: End, length: int, text: Callable[[], str]) -> None:
        """See ``AnswerObserver``."""
        now = self._clock()
        telemetry = self._telemetry
        model = telemetry.models.label_for(self._model, has_answered=self._first is not None)
        telemetry.count_answer(model, end, length, now - self._began)
        if end.error is not None:
            telemetry.examples[end.error.code] = self._stream
        tokens = end.usage.output_tokens or 0
        if self._first is not None and tokens > 1 and now > self._first:
            telemetry.speed.record_value(model, (tokens - 1) / (now - self._first))
        if self._trace is not None:
            self._trace.answer_ended(end, text)


def error_codes() -> list[str]:
    """Return the codes of all error classes, sorted."""
    found: set[str] = set()
    kinds: list[type[WiresideError]] = [WiresideError]
    while kinds:
        kind = kinds.pop()
        found.add(kind.code)
        kinds += kind.__subclasses__()
    return sorted(found)


def _log_under(ids: dict[str, Any]) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**ids)
