"""Traces as a collector receives them: a real receiver of OTLP over HTTP, and a real server."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from websockets.asyncio.client import connect

from tests.server_process import ServerProcess
from wireside.errors import NotConfigured
from wireside.telemetry.tracing import NOT_INSTALLED, Tracing
from wireside.testing import FakeOpenAI, answer, failure

QUESTION = "canary-question"
ANSWER = "canary-answer"


class Receiver:
    """Receives spans as a collector does, and decodes them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    receiver.take(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resources.append(attributes(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    async def got(self, *names: str) -> dict[str, Span]:
        """Wait for a span of each of these names; return them by name."""
        until = time.monotonic() + 30
        while not set(names) <= {span.name for span in self.spans}:
            assert time.monotonic() < until, [span.name for span in self.spans]
            await asyncio.sleep(0.02)
        return {span.name: span for span in self.spans}


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def value_of(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as running:
        yield running


Start = Callable[..., Any]


@pytest.fixture
async def start(lab: FakeOpenAI, receiver: Receiver, tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start_server(**settings: str) -> str:
            there = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
            server = ServerProcess(tmp_path, lab.url, otel=True, **(there | settings))
            return (await stack.enter_async_context(server)).socket_url

        yield start_server


async def ask(url: str, **fields: object) -> list[dict[str, Any]]:
    async with connect(url) as client:
        await client.send(json.dumps({"type": "chat", "message": QUESTION, **fields}))
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] not in ("done", "error"):
            frames.append(json.loads(await client.recv()))
        return frames


@pytest.mark.slow
class TestARealReceiver:
    async def test_a_question_is_one_trace_to_its_last_token(
        self, start: Start, lab: FakeOpenAI, receiver: Receiver
    ) -> None:
        url = await start()
        lab.answer_with(failure(503), answer([ANSWER, " and more"], model="lab-1-2026-11-02"))
        frames = await ask(url, id="q", conversation="new", temperature=0.5, max_tokens=99)
        spans = await receiver.got("question", "context", "chat lab-1")
        await asyncio.sleep(0.3)  # time for further spans to arrive
        assert len(receiver.spans) == 3
        assert len({span.trace_id for span in receiver.spans}) == 1

        root, context, chat = spans["question"], spans["context"], spans["chat lab-1"]
        assert root.parent_span_id == b""
        assert context.parent_span_id == root.span_id
        assert chat.parent_span_id == root.span_id
        assert (root.kind, chat.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
        times = (
            root.start_time_unix_nano,
            context.start_time_unix_nano,
            context.end_time_unix_nano,
            chat.start_time_unix_nano,
            chat.end_time_unix_nano,
            root.end_time_unix_nano,
        )
        assert list(times[:3]) == sorted(times[:3])
        assert times[2] <= times[3] + 1_000_000  # one ends as the next begins
        assert times[3] <= times[4] <= times[5]

        said = attributes(chat.attributes)
        host, _, port = lab.url.removeprefix("http://").removesuffix("/v1").partition(":")
        first_s = said.pop("gen_ai.response.time_to_first_chunk")
        assert 0 < first_s < (chat.end_time_unix_nano - chat.start_time_unix_nano) / 1e9
        assert said == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "lab-1",
            "gen_ai.request.stream": True,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 99,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.model": "lab-1-2026-11-02",
            "gen_ai.response.id": "chatcmpl-lab",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.conversation.id": frames[0]["conversation"],
            "server.address": host,
            "server.port": int(port),
            "wireside.stream": frames[0]["stream"],
        }
        assert [event.name for event in chat.events] == ["retry", "first_token"]
        assert attributes(chat.events[0].attributes) == {"error.type": "provider_unavailable"}
        assert attributes(root.attributes)["wireside.question.type"] == "turn"
        assert "wireside.connection" in attributes(root.attributes)
        assert receiver.resources[0]["service.name"] == "wireside"
        assert not [body for body in receiver.bodies if b"canary" in body]

    async def test_an_answer_that_fails_says_only_its_code(
        self, start: Start, lab: FakeOpenAI, receiver: Receiver
    ) -> None:
        url = await start(OTEL_SERVICE_NAME="my-chat")
        lab.answer_with(failure(400, f"I refuse {QUESTION}", code="content_filter"))
        frames = await ask(url, id="q")
        assert frames[-1]["code"] == "content_filter"
        spans = await receiver.got("question", "context", "chat lab-1")
        for name in ("question", "chat lab-1"):
            assert spans[name].status.code == Status.STATUS_CODE_ERROR
            assert attributes(spans[name].attributes)["error.type"] == "content_filter"
        assert receiver.resources[0]["service.name"] == "my-chat"
        assert not [body for body in receiver.bodies if b"canary" in body]

    async def test_an_answer_that_breaks_off_has_the_names_that_came(
        self, start: Start, lab: FakeOpenAI, receiver: Receiver
    ) -> None:
        url = await start()
        lab.answer_with(answer([ANSWER, " and more"]).cut(2))
        assert (await ask(url, id="q"))[-1]["type"] == "error"
        chat = attributes((await receiver.got("chat lab-1"))["chat lab-1"].attributes)
        assert chat["gen_ai.response.model"] == "lab-1"
        assert chat["gen_ai.response.id"] == "chatcmpl-lab"

    async def test_content_is_there_when_it_is_asked_for(
        self, start: Start, lab: FakeOpenAI, receiver: Receiver
    ) -> None:
        url = await start(otel_content="true", system="Be brief.")
        lab.answer_with(answer([ANSWER]))
        await ask(url)
        chat = attributes((await receiver.got("chat lab-1"))["chat lab-1"].attributes)
        part = {"type": "text", "content": QUESTION}
        assert json.loads(chat["gen_ai.input.messages"]) == [{"role": "user", "parts": [part]}]
        assert json.loads(chat["gen_ai.system_instructions"])[0]["content"] == "Be brief."
        said = json.loads(chat["gen_ai.output.messages"])[0]
        assert said["parts"] == [{"type": "text", "content": ANSWER}]
        assert (said["role"], said["finish_reason"]) == ("assistant", "stop")

    async def test_a_collector_that_is_away_holds_up_nobody(
        self, start: Start, lab: FakeOpenAI, receiver: Receiver
    ) -> None:
        url = await start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
        frames = await ask(url)
        assert frames[-1]["type"] == "done"


def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(NotConfigured, match="extra"):
        Tracing(provider="openai", base_url=None)
    assert "WIRESIDE_OTEL" in NOT_INSTALLED
