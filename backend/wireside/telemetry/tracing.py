"""OpenTelemetry traces: one per question, from its receipt to the last token of the answer.

::

    question                    received; a turn may be queued before it continues
    ├── context                 choice of the model, collection of the messages
    └── chat MODEL              the request to the provider; events: retry, first_token

Names and attributes follow the semantic conventions for generative AI. The SDK reads the
destination of spans from the ``OTEL_*`` variables. User and model text is in no span unless
``has_content`` is set. The SDK's global state is not used: two servers may have two tracers.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from wireside.errors import NotConfigured, WiresideError
from wireside.messages import End, Message, ModelRequest
from wireside.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

LAST_SPANS_S: Final = 1.0
"""Maximum time that shutdown waits for unsent spans, in seconds."""

NOT_INSTALLED: Final = (
    "WIRESIDE_OTEL is set, but OpenTelemetry is not installed. Install Wireside with the extra"
    " `otel`, or set WIRESIDE_OTEL=false."
)

_asked: ContextVar[QuestionTrace | None] = ContextVar("wireside_question", default=None)
_answering: ContextVar[AnswerTrace | None] = ContextVar("wireside_answer", default=None)

_IDS: Final = {
    "connection": "wireside.connection",
    "request": "wireside.request",
    "user": "user.id",
}
"""Maps ids of log lines to span attributes."""


class Tracing:
    """Implements ``counts.Tracer`` with OpenTelemetry.

    ``provider`` and ``base_url`` identify the provider in spans; ``exporter`` replaces the OTLP
    exporter.

    Raises:
        NotConfigured: the OpenTelemetry packages are not installed.
    """

    def __init__(
        self,
        *,
        provider: str,
        base_url: str | None,
        has_content: bool = False,
        exporter: SpanExporter | None = None,
    ) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise NotConfigured(NOT_INSTALLED) from None
        name = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "wireside"}
        resource = Resource.create({**name, "service.version": __version__})
        self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._spans.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self.tracer = self._spans.get_tracer("wireside", __version__)
        self.has_content = has_content
        self.service = {"gen_ai.provider.name": provider, **_server_of(provider, base_url)}

    def trace_question(self, kind: str, ids: dict[str, Any]) -> QuestionTrace:
        """See ``counts.Tracer``."""
        return QuestionTrace(self, kind, ids)

    def trace_answer(self, stream: str, model: str, request: ModelRequest | None) -> AnswerTrace:
        """See ``counts.Tracer``."""
        question = _asked.get()
        if question is None or question.is_answered:
            question = QuestionTrace(self, "other", {})
        return AnswerTrace(
            tracing=self, question=question, stream=stream, model=model, request=request
        )

    def trace_retry(self, code: str) -> None:
        """See ``counts.Tracer``."""
        answer = _answering.get()
        if answer is not None:
            answer.add_retry_event(code)

    def trace_names(self, model: str, answer: str) -> None:
        """See ``counts.Tracer``."""
        running = _answering.get()
        if running is not None:
            running.set_provider_names(model, answer)

    async def aclose(self) -> None:
        """Send the remaining spans; an unreachable collector delays it by ``LAST_SPANS_S``."""
        # a daemon thread: the interpreter's exit would wait for a thread of the pool
        thread = threading.Thread(target=self._spans.shutdown, daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, LAST_SPANS_S)


class QuestionTrace:
    """The root span of a trace. A question without an answer or error is never exported."""

    def __init__(self, tracing: Tracing, kind: str, ids: dict[str, Any]) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        self._tracing = tracing
        attributes = {name: ids[key] for key, name in _IDS.items() if key in ids}
        self.span = tracing.tracer.start_span(
            "question",
            Context(),
            kind=SpanKind.SERVER,
            attributes={"wireside.question.type": kind, **attributes},
        )
        self.conversation: str | None = None
        self.is_answered = False
        self._gathering: Span | None = None

    @property
    def span_context(self) -> Context:
        """The context for child spans of this span."""
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        return set_span_in_context(self.span, Context())

    def in_conversation(self, conversation: str) -> None:
        """See ``QuestionObserver``."""
        self.conversation = conversation
        self.span.set_attribute("gen_ai.conversation.id", conversation)

    @contextmanager
    def being_asked(self) -> Iterator[None]:
        """See ``QuestionObserver``."""
        self._gathering = self._tracing.tracer.start_span("context", self.span_context)
        token = _asked.set(self)
        try:
            yield
        except WiresideError as error:
            self._end_gathering(error.code)
            _mark_failed(self.span, error.code)
            self.span.end()
            raise
        finally:
            _asked.reset(token)

    def end_context_span(self) -> None:
        """End the ``context`` span: the answer begins."""
        self.is_answered = True
        self._end_gathering(None)

    def _end_gathering(self, code: str | None) -> None:
        if self._gathering is not None:
            _mark_failed(self._gathering, code)
            self._gathering.end()
            self._gathering = None


class AnswerTrace:
    """The span of the provider request; ending it ends the question's span."""

    def __init__(
        self,
        tracing: Tracing,
        question: QuestionTrace,
        stream: str,
        model: str,
        request: ModelRequest | None,
    ) -> None:
        from opentelemetry.trace import SpanKind

        question.end_context_span()
        self._question = question
        self._has_content = tracing.has_content
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.request.stream": True,
            "wireside.stream": stream,
            **tracing.service,
        }
        if question.conversation is not None:
            attributes["gen_ai.conversation.id"] = question.conversation
        if request is not None:
            attributes |= _asked_for(request)
            if self._has_content:
                attributes |= _message_attributes(request.messages)
        self._span = tracing.tracer.start_span(
            f"chat {model}", question.span_context, kind=SpanKind.CLIENT, attributes=attributes
        )
        self._began = time.monotonic()

    @property
    def trace_id(self) -> str:
        """See ``counts.AnswerTrace``."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def task_started(self) -> None:
        """See ``AnswerObserver``."""
        _answering.set(self)

    def first_delta_received(self) -> None:
        """See ``AnswerObserver``."""
        seconds = time.monotonic() - self._began
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
        self._span.add_event("first_token")

    def add_retry_event(self, code: str) -> None:
        """Add a retry event."""
        self._span.add_event("retry", {"error.type": code})

    def set_provider_names(self, model: str, answer: str) -> None:
        """Set the provider's model and response id; ignored after the end (a title request)."""
        if self._span.is_recording():
            for name, value in (("model", model), ("id", answer)):
                if value:
                    self._span.set_attribute(f"gen_ai.response.{name}", value)

    def answer_ended(self, end: End, text: Callable[[], str]) -> None:
        """See ``AnswerObserver``."""
        span, root = self._span, self._question.span
        usage = {"input_tokens": end.usage.input_tokens, "output_tokens": end.usage.output_tokens}
        for name, count in usage.items():
            if count is not None:
                span.set_attribute(f"gen_ai.usage.{name}", count)
        reason = end.reason or "error"
        span.set_attribute("gen_ai.response.finish_reasons", (reason,))
        if self._has_content:
            span.set_attribute("gen_ai.output.messages", _answer_attribute(text(), reason))
        code = end.error.code if end.error is not None else None
        for each in (span, root):
            _mark_failed(each, code)
            each.end()


def _mark_failed(span: Span, code: str | None) -> None:
    """Mark a span as failed by code only: messages may repeat client input."""
    if code is None:
        return
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", code)
    span.set_status(StatusCode.ERROR, code)


def _server_of(provider: str, base_url: str | None) -> dict[str, Any]:
    if provider != "openai":
        return {}
    url = urlsplit(base_url or "https://api.openai.com/v1")
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        return {}
    return {"server.address": url.hostname or "", "server.port": port}


def _asked_for(request: ModelRequest) -> dict[str, Any]:
    options = {
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.max_tokens": request.max_tokens,
    }
    return {name: value for name, value in options.items() if value is not None}


def _message_attributes(messages: Sequence[Message]) -> dict[str, str]:
    system = [_text_part(message.text) for message in messages if message.role == "system"]
    talk = [
        {"role": message.role, "parts": [_text_part(message.text)]}
        for message in messages
        if message.role != "system"
    ]
    said = {"gen_ai.input.messages": json.dumps(talk, ensure_ascii=False)}
    if system:
        said["gen_ai.system_instructions"] = json.dumps(system, ensure_ascii=False)
    return said


def _answer_attribute(text: str, reason: str) -> str:
    message = {"role": "assistant", "parts": [_text_part(text)], "finish_reason": reason}
    return json.dumps([message], ensure_ascii=False)


def _text_part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}
