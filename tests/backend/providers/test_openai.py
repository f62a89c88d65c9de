"""OpenAI-compatible servers over real HTTP, mostly with faults."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

import pytest
import structlog

from wireside.errors import (
    BadMessage,
    ContentFilter,
    ContextTooLong,
    NotConfigured,
    Overloaded,
    ProviderAuth,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownModel,
    WiresideError,
)
from wireside.messages import (
    Delta,
    Finished,
    FinishReason,
    Message,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.ports.observer import NullObserver
from wireside.providers.openai import RETRIES, OpenAIProvider
from wireside.testing import (
    Cut,
    FakeOpenAI,
    Repeat,
    Script,
    Wait,
    answer,
    completion,
    endless,
    error_event,
    event,
    failure,
    json_page,
    page,
)

CANARY = "sk-canary-0123456789"
LONG_S = 20.0
SHORT_S = 0.5
COUNT = 12
PLACES = [
    pytest.param(0, id="first"),
    pytest.param(5, id="middle"),
    pytest.param(COUNT - 1, id="last"),
]


@dataclass
class Answer:
    """The result of one request."""

    deltas: list[Delta]
    error: WiresideError | None = None

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, TextDelta))

    @property
    def end(self) -> Finished | None:
        finished = [delta for delta in self.deltas if isinstance(delta, Finished)]
        assert len(finished) <= 1
        assert not finished or self.deltas[-1] is finished[0]
        return finished[0] if finished else None


async def ask(provider: OpenAIProvider, question: str = "Hi", **options: Any) -> Answer:
    request = ModelRequest(model="lab-1", messages=(Message.of_text("user", question),), **options)
    deltas: list[Delta] = []
    try:
        async for delta in provider.stream(request):
            deltas.append(delta)
    except WiresideError as error:
        return Answer(deltas, error)
    return Answer(deltas)


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(count=COUNT) as lab:
        yield lab


@pytest.fixture
async def connect(lab: FakeOpenAI) -> AsyncIterator[Callable[..., OpenAIProvider]]:
    made: list[OpenAIProvider] = []

    def connect(silence_s: float = LONG_S, **options: Any) -> OpenAIProvider:
        options = {"api_key": CANARY, "base_url": lab.url, "backoff_s": 0.001, **options}
        made.append(OpenAIProvider(silence_s=silence_s, **options))
        return made[-1]

    yield connect
    for provider in made:
        await provider.aclose()


Connect = Callable[..., OpenAIProvider]
HERE = answer(COUNT)


# Complete answers


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(HERE, id="at once"),
        pytest.param(replace(HERE, pace_s=0.001), id="paced"),
        pytest.param(HERE.in_pieces(1), id="byte for byte"),
        pytest.param(HERE.in_pieces(7), id="in pieces"),
        pytest.param(HERE.with_crlf(), id="CRLF"),
        pytest.param(HERE.with_crlf().in_pieces(1), id="CRLF, byte for byte"),
        pytest.param(HERE.with_bom().in_pieces(1), id="byte order mark"),
        pytest.param(HERE.gzipped().in_pieces(50), id="gzip"),
        pytest.param(HERE.closing(), id="ends with the connection"),
        pytest.param(HERE.insert(5, b": keepalive\n\n", b":\n\n"), id="comments"),
        pytest.param(answer(COUNT, done=False), id="no [DONE]"),
        pytest.param(answer(COUNT, done=False).closing(), id="no [DONE], connection ends"),
        pytest.param(replace(HERE, content_type="text/plain"), id="content type text/plain"),
        pytest.param(replace(HERE, content_type="application/json"), id="content type JSON"),
        pytest.param(completion(COUNT), id="not streamed"),
    ],
)
async def test_the_text_arrives_whole(lab: FakeOpenAI, connect: Connect, script: Script) -> None:
    lab.answer_with(script)
    got = await ask(connect())
    assert (got.text, got.error) == (lab.text(COUNT), None)
    assert got.end == Finished("stop", Usage(7, COUNT))


async def test_tokens_that_came_together_are_one_delta(connect: Connect) -> None:
    assert len((await ask(connect())).deltas) == 2


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),
        ("?", "stop"),
    ],
)
async def test_how_the_model_ended(
    lab: FakeOpenAI, connect: Connect, said: str, meant: FinishReason
) -> None:
    lab.answer_with(answer(3, finish=said))
    assert (await ask(connect())).end == Finished(meant, Usage(7, 3))


async def test_reasoning_and_tool_calls(lab: FakeOpenAI, connect: Connect) -> None:
    calls = [("weather", '{"city": "Zürich"}')]
    lab.answer_with(answer(["a"], reasoning=["hm", "…"], tool_calls=calls, finish="tool_calls"))
    assert (await ask(connect())).deltas == [
        ReasoningDelta("hm…"),
        TextDelta("a"),
        ToolDelta("call_lab_0", "weather", "requested", calls[0][1]),
        Finished("stop", Usage(7, 1)),
    ]


async def test_the_request_says_what_was_asked(lab: FakeOpenAI, connect: Connect) -> None:
    provider = connect()
    messages = (Message.of_text("system", "Be brief."), Message.of_text("user", "Grüß dich 🙂"))
    request = ModelRequest(model="lab-2", messages=messages, temperature=0.0, max_tokens=5)
    async for _ in provider.stream(request):
        pass
    [sent] = lab.chats
    assert sent.body == {
        "model": "lab-2",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Grüß dich 🙂"},
        ],
        "temperature": 0.0,
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert sent.headers["authorization"] == f"Bearer {CANARY}"


async def test_without_a_key_none_is_sent(
    lab: FakeOpenAI, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    assert (await ask(connect(api_key=None))).error is None
    assert "authorization" not in lab.chats[0].headers


async def test_every_request_has_the_fields_of_the_first(lab: FakeOpenAI, connect: Any) -> None:
    provider = connect(base_url=f"{lab.url}?api-version=7")
    questions = ("Hi", "“Größe”, <tag> and 😀", "x" * 1_000)
    for question in questions:
        await ask(provider, question)
    chats = lab.requests
    first, *others = chats
    assert [chat.question for chat in chats] == list(questions)
    lengths = {chat.headers.pop("content-length") for chat in chats}
    assert len(lengths) == len(questions)
    for chat in others:
        assert (chat.path, chat.headers) == (first.path, first.headers)
    assert "api-version=7" in first.path


async def test_a_cookie_of_the_service_is_sent_back(lab: FakeOpenAI, connect: Any) -> None:
    lab.answer_with(replace(answer(["Hello"]), headers=(("Set-Cookie", "route=a"),)))
    provider = connect()
    await ask(provider)
    lab.answer_with(replace(answer(["Hello"]), headers=(("Set-Cookie", "route=b"),)))
    await ask(provider)
    await ask(provider)
    assert [chat.headers.get("cookie") for chat in lab.chats] == [None, "route=a", "route=b"]


async def test_connections_are_used_again(lab: FakeOpenAI, connect: Connect) -> None:
    provider = connect()
    for _ in range(5):
        await ask(provider)
    assert lab.open_connections == 1


class Noting(NullObserver):
    """Notes what a watcher receives."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def provider_failed(self, code: str) -> None:
        self.told.append(("failed", code))

    def provider_retried(self, code: str) -> None:
        self.told.append(("again", code))

    def provider_named(self, model: str, answer: str) -> None:
        self.named = (model, answer)


async def test_who_looks_on_is_told_of_each_try(lab: FakeOpenAI, connect: Connect) -> None:
    noted = Noting()
    provider = connect(watcher=noted)
    lab.answer_with(failure(503), failure(429), failure(401))
    await ask(provider)
    await ask(provider)
    assert noted.told == [
        ("failed", "provider_unavailable"),
        ("again", "provider_unavailable"),
        ("failed", "provider_rate_limited"),
        ("again", "provider_rate_limited"),
        ("failed", "provider_auth"),
    ]
    assert noted.named == ("lab-1", "chatcmpl-lab")


async def test_the_log_does_not_repeat_the_question(
    lab: FakeOpenAI, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.answer_with(failure(400, "Your prompt 'how tall is a heron?' is too rude."))
    await ask(connect(), question="How tall is a heron?")
    said = capsys.readouterr()
    assert "withheld" in said.out + said.err
    assert "heron" not in said.out + said.err


# Servers with fewer features


async def test_a_server_without_stream_options_is_asked_without(
    lab: FakeOpenAI, connect: Connect
) -> None:
    provider = connect()
    lab.answer_with(failure(400, "Unrecognized request argument: stream_options"))
    assert (await ask(provider)).text == lab.text(COUNT)
    assert (await ask(provider)).text == lab.text(COUNT)
    assert ["stream_options" in sent.body for sent in lab.chats] == [True, False, False]


async def test_a_model_with_another_token_limit_is_asked_by_that(
    lab: FakeOpenAI, connect: Connect
) -> None:
    provider = connect()
    refusal = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    lab.answer_with(failure(400, refusal, param="max_tokens"))
    assert (await ask(provider, max_tokens=9)).text == lab.text(COUNT)
    assert (await ask(provider, max_tokens=9)).text == lab.text(COUNT)
    first, second, third = (sent.body for sent in lab.chats)
    assert (first["max_tokens"], second["max_completion_tokens"]) == (9, 9)
    assert third["max_completion_tokens"] == 9
    assert "max_tokens" not in second


async def test_a_refused_value_is_told(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(failure(400, "max_tokens is too large"))
    got = await ask(connect(), max_tokens=9)
    assert isinstance(got.error, BadMessage)
    assert "`max_tokens`" in str(got.error)
    assert len(lab.chats) == 1


async def test_two_may_learn_at_the_same_time(lab: FakeOpenAI, connect: Connect) -> None:
    provider = connect()
    lab.answer_with(*[failure(400, "max_tokens is not supported").slow_head(0.05)] * 2)
    answers = await asyncio.gather(*(ask(provider, max_tokens=9) for _ in range(2)))
    assert [got.text for got in answers] == [lab.text(COUNT)] * 2


# Faults before the answer


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (failure(400, code="context_length_exceeded"), ContextTooLong),
        (failure(400, code="content_filter"), ContentFilter),
        (failure(400), BadMessage),
        (failure(401, code="invalid_api_key"), ProviderAuth),
        (failure(403), ProviderAuth),
        (failure(404, code="model_not_found"), UnknownModel),
        (page("<h1>404</h1>", 404), NotConfigured),
        (failure(429, code="insufficient_quota"), ProviderAuth),
    ],
)
async def test_a_refusal_is_told_at_once(
    lab: FakeOpenAI, connect: Connect, script: Script, kind: type[WiresideError]
) -> None:
    lab.answer_with(script)
    got = await ask(connect())
    assert (type(got.error), got.deltas) == (kind, [])
    assert len(lab.chats) == 1


ENDLESS = Script((Repeat(b"x" * 65_536),), content_type="application/json")


@pytest.mark.parametrize("status", [400, 302])
async def test_a_refusal_without_end_is_told(
    lab: FakeOpenAI, connect: Connect, status: int
) -> None:
    headers = (("Location", "/v1/elsewhere"),) if status == 302 else ()
    lab.answer_with(replace(ENDLESS, status=status, headers=headers))
    got = await ask(connect())
    assert isinstance(got.error, BadMessage if status == 400 else NotConfigured)
    await lab.wait_closed()


async def test_a_packed_refusal_is_unpacked_in_part(lab: FakeOpenAI, connect: Connect) -> None:
    words = [f"{number:x}" for number in range(100_000)]
    said = json_page({"error": {"message": "context length exceeded", "more": words}}, 400)
    lab.answer_with(replace(said, framing="close").gzipped())
    assert isinstance((await ask(connect())).error, ContextTooLong)


PASSING = [
    (failure(408), ProviderTimeout),
    (failure(409), ProviderUnavailable),
    (failure(429), ProviderRateLimited),
    (failure(429, retry_after=0.001), ProviderRateLimited),
    (failure(500), ProviderUnavailable),
    (failure(502), ProviderUnavailable),
    (failure(503), ProviderUnavailable),
    (HERE.cut(0), ProviderUnavailable),
    (HERE.cut(0, "rst"), ProviderUnavailable),
    (replace(HERE, body=()), ProviderUnavailable),
    (HERE.up_to(0), ProviderUnavailable),
    (HERE.up_to(0, error_event(code=503)), ProviderUnavailable),
    (HERE.up_to(0, error_event(type="rate_limit_error")), ProviderRateLimited),
    (json_page({"error": {"message": "broke", "code": 500}}), ProviderUnavailable),
    (json_page({}), ProviderUnavailable),
]


@pytest.mark.parametrize(("script", "kind"), PASSING)
async def test_what_may_pass_is_tried_again_and_then_told(
    lab: FakeOpenAI, connect: Connect, script: Script, kind: type[WiresideError]
) -> None:
    lab.answer_with(*[script] * (RETRIES + 1))
    got = await ask(connect())
    assert (type(got.error), got.deltas) == (kind, [])
    assert got.error is not None
    assert got.error.retryable
    assert len(lab.chats) == RETRIES + 1


async def test_a_web_page_is_no_answer(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(page())
    got = await ask(connect())
    assert (type(got.error), got.deltas) == (ProviderUnavailable, [])
    assert len(lab.chats) == 1


async def test_what_has_passed_is_never_told(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(failure(500), HERE.cut(0, "rst"))
    got = await ask(connect())
    assert (got.text, got.error) == (lab.text(COUNT), None)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("12", 12, 12), (formatdate(4_000_000_000, usegmt=True), 1e8, 4e9)],
)
async def test_a_long_wait_is_told_instead_of_waited_for(
    lab: FakeOpenAI, connect: Connect, value: str, least: float, most: float
) -> None:
    lab.answer_with(failure(429, retry_after=value))
    got = await ask(connect())
    assert isinstance(got.error, ProviderRateLimited)
    assert got.error.retry_after is not None
    assert least <= got.error.retry_after <= most
    assert len(lab.chats) == 1


async def test_a_server_that_is_not_there(connect: Connect) -> None:
    async with FakeOpenAI() as gone:
        url = gone.url
    got = await ask(connect(base_url=url))
    assert isinstance(got.error, ProviderUnavailable)


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://127.0.0.1/v1", "http://[::1/v1"])
async def test_a_wrong_address_is_an_error_of_ours(connect: Connect, url: str) -> None:
    got = await ask(connect(base_url=url))
    assert isinstance(got.error, (NotConfigured, ProviderUnavailable))


@pytest.mark.parametrize("key", ["line\nbreak", "schlüssel", "\x00"])
async def test_a_key_that_no_header_can_hold_is_an_error_of_ours(
    connect: Connect, key: str
) -> None:
    got = await ask(connect(api_key=key))
    assert isinstance(got.error, (NotConfigured, ProviderAuth, ProviderUnavailable))


async def test_no_more_answers_than_connections(lab: FakeOpenAI, connect: Connect) -> None:
    provider = connect(max_connections=2)
    lab.answer_with(*[HERE.stalled(5)] * 2)
    held = [asyncio.create_task(ask(provider)) for _ in range(2)]
    await lab.wait_open(2)
    assert isinstance((await ask(provider)).error, Overloaded)
    for task in held:
        task.cancel()
    await asyncio.wait(held)
    assert (await ask(provider)).text == lab.text(COUNT)


# Faults inside the answer: the text before them is kept, and the answer does not end as complete


@pytest.mark.parametrize("token", PLACES)
@pytest.mark.parametrize(
    ("break_at", "kind"),
    [
        pytest.param(lambda at: HERE.cut(at), ProviderUnavailable, id="FIN"),
        pytest.param(lambda at: HERE.cut(at, "rst"), ProviderUnavailable, id="RST"),
        pytest.param(
            lambda at: HERE.cut_in_character(at), ProviderUnavailable, id="FIN in a character"
        ),
        pytest.param(
            lambda at: HERE.cut_in_character(at, "rst"), ProviderUnavailable, id="RST in one"
        ),
        pytest.param(
            lambda at: HERE.up_to(at, error_event(code=500)), ProviderUnavailable, id="error"
        ),
        pytest.param(
            lambda at: HERE.insert(at, error_event(code="context_length_exceeded")),
            ContextTooLong,
            id="error with a code, then more",
        ),
        pytest.param(
            lambda at: HERE.insert(at, event({"message": "broke"}, "error"), Wait()),
            ProviderUnavailable,
            id="event: error, then silence",
        ),
        pytest.param(
            lambda at: HERE.insert(at, b'data: {"choices": [{\n\n'),
            ProviderUnavailable,
            id="broken JSON",
        ),
        pytest.param(
            lambda at: HERE.insert(at, b"data: " + b"x" * 1_100_000 + b"\n\n"),
            ProviderUnavailable,
            id="an endless line",
        ),
        pytest.param(
            lambda at: HERE.insert(at, b'{"error": {"message": "broke"}}\n\n'),
            ProviderUnavailable,
            id="an error that is no event",
        ),
    ],
)
async def test_a_broken_answer(
    lab: FakeOpenAI,
    connect: Connect,
    break_at: Callable[[int], Script],
    kind: type[WiresideError],
    token: int,
) -> None:
    script = break_at(token)
    lab.answer_with(*[script] * (RETRIES + 1))
    got = await ask(connect())
    assert got.text == "".join(HERE.tokens[:token])
    assert (type(got.error), got.end) == (kind, None)
    is_tried_again = token == 0 and kind is ProviderUnavailable
    assert len(lab.chats) == (RETRIES + 1 if is_tried_again else 1)
    await lab.wait_closed()


@pytest.mark.parametrize("token", PLACES[1:])
@pytest.mark.parametrize("is_closing", [False, True])
async def test_an_end_without_a_finish_reason_is_no_success(
    lab: FakeOpenAI, connect: Connect, token: int, is_closing: bool
) -> None:
    script = HERE.up_to(token)
    lab.answer_with(script.closing() if is_closing else script)
    got = await ask(connect())
    assert got.text == "".join(HERE.tokens[:token])
    assert got.end == Finished("interrupted")


async def test_done_without_a_finish_reason_is_an_end(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(answer(3, finish=None, usage=False))
    assert (await ask(connect())).end == Finished("stop")


@pytest.mark.parametrize("byte", range(1, 400, 13))
async def test_a_cut_at_any_byte_gives_a_prefix(
    lab: FakeOpenAI, connect: Connect, byte: int
) -> None:
    script = answer(["Grüße 🙂", " x"]).cut_at_byte(byte + 150)
    lab.answer_with(*[script] * (RETRIES + 1))
    got = await ask(connect())
    assert "Grüße 🙂 x".startswith(got.text)
    assert (type(got.error), got.end) == (ProviderUnavailable, None)


def said(finish: Any = None, **delta: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


DONE = event("[DONE]")


@pytest.mark.parametrize("finish", ["", "null", "None", False, {}, "stop"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param([Cut()], id="cut"),
        pytest.param([Cut("rst")], id="reset"),
        pytest.param([error_event(message="CUDA error", code=500), DONE], id="error"),
        pytest.param([b'error: {"code": 500, "message": "x"}\n\n', DONE], id="error field"),
        pytest.param([b"data: Internal Server Error\n\n", DONE], id="plain text"),
        pytest.param([b"data: {broken\n\n", DONE], id="broken chunk"),
    ],
)
async def test_no_fault_hides_behind_an_end_that_is_none(
    lab: FakeOpenAI, connect: Connect, finish: Any, fault: list[Any]
) -> None:
    """Some servers write a finish reason into each chunk."""
    body = (said(finish, content="Hello"), said(finish, content=" big"), *fault)
    lab.answer_with(Script(body=body))
    got = await ask(connect())
    assert (got.text, type(got.error), got.end) == ("Hello big", ProviderUnavailable, None)


@pytest.mark.parametrize("finish", ["", "null", "stop"])
async def test_a_pause_behind_an_end_that_is_none_ends_nothing(
    lab: FakeOpenAI, connect: Connect, finish: str
) -> None:
    first = said(finish, reasoning_content="hm"), Wait(0.3), said(finish, content="Hello")
    body = (*first, Wait(0.3), said(finish, content=" big"), said("length"), DONE)
    lab.answer_with(Script(body=body))
    got = await ask(connect(tail_s=0.01))
    assert (got.text, got.error, got.end) == ("Hello big", None, Finished("length"))


async def test_more_after_a_sure_end_takes_it_back(lab: FakeOpenAI, connect: Connect) -> None:
    body = (said(content="a"), said("stop"), said(content="b"), Wait(2.0), said(content="c"), DONE)
    lab.answer_with(Script(body=body))
    got = await ask(connect(tail_s=1.0))
    assert (got.text, got.end) == ("abc", Finished("stop"))


async def test_a_picture_of_two_megabytes_breaks_nothing(lab: FakeOpenAI, connect: Connect) -> None:
    address = "data:image/png;base64," + "iVBORw0KGgo+" * 180_000
    picture = said(content="", images=[{"type": "image_url", "image_url": {"url": address}}])
    body = (said(content="Here:"), picture, said(content="Done."), said("stop"), DONE)
    lab.answer_with(Script(body=body))
    got = await ask(connect())
    assert (got.text, got.end) == ("Here:\n\n[image]\n\nDone.", Finished("stop"))
    document = {"choices": [{"message": {"content": "Here:", "images": [address]}}]}
    lab.answer_with(Script(body=(json.dumps(document).encode(),), content_type="application/json"))
    got = await ask(connect())
    assert (got.text, got.end) == ("Here:\n\n[image]", Finished("stop"))


@pytest.mark.parametrize("token", [0, 1])
async def test_what_it_wrote_is_said_to_be_kept_only_where_it_wrote(
    lab: FakeOpenAI, connect: Connect, token: int
) -> None:
    for fault in (error_event(message="broke"), b"data: broken\n\n", b"data: {broken\n\n"):
        lab.answer_with(*[Script(body=(*[said(content="a")] * token, fault))] * (RETRIES + 1))
        got = await ask(connect())
        assert isinstance(got.error, ProviderUnavailable)
        assert ("is kept" in str(got.error)) is (token > 0)


async def test_a_model_whose_reasoning_its_template_opens_is_remembered(
    lab: FakeOpenAI, connect: Connect
) -> None:
    provider = connect()
    thinking = Script(body=(said(content="Plan.</think>\n\nHi"), said("stop"), DONE))
    plain = Script(body=(said(content="Hi"), said("stop"), DONE))
    lab.answer_with(thinking, thinking, plain, plain)
    assert (await ask(provider)).text == "Plan.\n\n---\n\nHi"
    assert (await ask(provider)).deltas[:2] == [ReasoningDelta("Plan."), TextDelta("Hi")]
    assert (await ask(provider)).deltas[:2] == [ReasoningDelta("Hi"), TextDelta("Hi")]
    assert (await ask(provider)).deltas == [TextDelta("Hi"), Finished("stop")]


# After the model has ended, no fault breaks the answer


@pytest.mark.parametrize(
    "script",
    [
        answer(COUNT, usage=False, done=False).cut(COUNT + 1),
        answer(COUNT, usage=False, done=False).cut(COUNT + 1, "rst"),
        answer(COUNT, usage=False, done=False).insert(COUNT + 1, error_event(code=500)),
        answer(COUNT, usage=False, done=False).insert(COUNT + 1, b"data: {broken\n\n"),
        answer(COUNT, usage=False).insert(COUNT + 2, Wait()),
    ],
)
async def test_a_fault_after_the_end_changes_nothing(
    lab: FakeOpenAI, connect: Connect, script: Script
) -> None:
    lab.answer_with(script)
    got = await ask(connect())
    assert (got.text, got.end) == (lab.text(COUNT), Finished("stop"))


async def test_usage_that_never_comes_is_not_waited_for(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(answer(COUNT, usage=False, done=False).insert(COUNT + 1, Wait()))
    assert (await ask(connect(tail_s=0.05))).end == Finished("stop")
    await lab.wait_closed()


# Silence


@pytest.mark.parametrize("token", PLACES)
@pytest.mark.parametrize(
    "silent_at",
    [
        pytest.param(lambda at: HERE.stalled(at), id="stall"),
        pytest.param(lambda at: HERE.only_keepalives(at, 0.01), id="keep-alives only"),
        pytest.param(
            lambda at: HERE.up_to(at, Repeat(event({"choices": []}), 0.01)), id="empty chunks only"
        ),
    ],
)
async def test_a_silent_model(
    lab: FakeOpenAI, connect: Connect, silent_at: Callable[[int], Script], token: int
) -> None:
    lab.answer_with(silent_at(token))
    got = await ask(connect(SHORT_S))
    assert got.text == "".join(HERE.tokens[:token])
    assert (type(got.error), got.end) == (ProviderTimeout, None)
    assert ("is kept" in str(got.error)) is (token > 0)
    assert len(lab.chats) == 1
    await lab.wait_closed()


LOADS = replace(HERE, wait_s=2 * SHORT_S)
QUEUES = HERE.insert(0, *[step for _ in range(8) for step in (b": OPENROUTER\n\n", Wait(0.15))])
HALTS = HERE.insert(5, *[step for _ in range(8) for step in (b": keep-alive\n\n", Wait(0.15))])
EMPTY = event({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}]})


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(LOADS, id="no head while it loads"),
        pytest.param(HERE.stalled(0, 2 * SHORT_S), id="only a head while it loads"),
        pytest.param(QUEUES, id="comments while it waits"),
        pytest.param(HERE.insert(0, b"\n", Wait(2 * SHORT_S), EMPTY, Wait(SHORT_S)), id="bytes"),
        pytest.param(HALTS, id="comments in the middle"),
        pytest.param(
            HERE.insert(5, *[step for _ in range(8) for step in (EMPTY, Wait(0.15))]),
            id="empty chunks in the middle",
        ),
    ],
)
async def test_a_slow_start_and_a_living_service_are_waited_for(
    lab: FakeOpenAI, connect: Connect, script: Script
) -> None:
    lab.answer_with(script)
    got = await ask(connect(SHORT_S, first_token_s=LONG_S))
    assert (got.text, got.error) == (lab.text(COUNT), None)


async def test_keep_alives_alone_have_a_bound(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(HERE.only_keepalives(5, 0.05))
    got = await ask(connect(0.2, first_token_s=1.0))
    assert isinstance(got.error, ProviderTimeout)
    assert str(got.error).startswith("The model stopped sending for 1 s.")


async def test_silence_after_the_first_token_has_the_shorter_limit(
    lab: FakeOpenAI, connect: Connect
) -> None:
    lab.answer_with(HERE.stalled(5))
    async with asyncio.timeout(LONG_S):
        got = await ask(connect(SHORT_S, first_token_s=100 * LONG_S))
    assert isinstance(got.error, ProviderTimeout)


SIGNS = (b": OPENROUTER PROCESSING\n\n", b"data:\n\n", b"\n", event({"choices": []}))


async def test_every_byte_is_a_sign_of_life(lab: FakeOpenAI, connect: Connect) -> None:
    """Comments, empty data, empty lines and empty chunks; all answers at once, as they wait."""
    scripts = [
        HERE.insert(token, *(step for _ in range(12) for step in (sign, Wait(0.25))))
        for token in (0, 5, COUNT - 1)
        for sign in SIGNS
    ]
    lab.answer_with(*scripts)
    provider = connect(2.0, first_token_s=LONG_S)
    answers = await asyncio.gather(*(ask(provider) for _ in scripts))
    assert [(got.text, got.error) for got in answers] == [(HERE.text, None)] * len(answers)


async def test_no_head_ever(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(HERE.slow_head(None))
    got = await ask(connect(SHORT_S))
    assert (type(got.error), len(lab.chats)) == (ProviderTimeout, 1)
    await lab.wait_closed()


async def test_a_body_that_is_not_streamed_and_never_ends(
    lab: FakeOpenAI, connect: Connect
) -> None:
    lab.answer_with(replace(completion(3), body=(b"{", Wait()), framing="chunked"))
    assert isinstance((await ask(connect(SHORT_S))).error, ProviderTimeout)


@pytest.mark.slow
async def test_a_slow_model_is_not_silent(lab: FakeOpenAI, connect: Connect) -> None:
    """Twice the limit in total, with a token at least every fifth of the limit."""
    silence_s = 0.7
    lab.answer_with(answer(8, rate=8))
    assert (await ask(connect(silence_s))).end == Finished("stop", Usage(7, 8))


async def test_a_slow_reader_is_no_silent_model(lab: FakeOpenAI, connect: Connect) -> None:
    lab.answer_with(replace(answer(3), pace_s=0.001))
    provider = connect(SHORT_S)
    request = ModelRequest(model="lab-1", messages=(Message.of_text("user", "Hi"),))
    text = ""
    async with aclosing(provider.stream(request)) as deltas:
        async for delta in deltas:
            if isinstance(delta, TextDelta):
                text += delta.text
                await asyncio.sleep(2.5 * SHORT_S)
    assert text == lab.text(3)


# Cancellation


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(HERE.slow_head(None), id="before the head"),
        pytest.param(HERE.stalled(0), id="before the first token"),
        pytest.param(HERE.stalled(5), id="in the middle"),
        pytest.param(endless(), id="in a flood"),
    ],
)
async def test_cancelling_closes_the_upstream_connection(
    lab: FakeOpenAI, connect: Connect, script: Script
) -> None:
    lab.answer_with(script)
    task = asyncio.create_task(ask(connect()))
    await lab.wait_open()
    upstream = its_socket(lab)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with upstream:
        assert has_closed(upstream)
    await lab.wait_closed(1.0)
    assert lab.open_connections == 0


def its_socket(lab: FakeOpenAI) -> socket.socket:
    """The lab's side of its one connection, for queries to the operating system."""
    [connection] = lab._connections
    return socket.socket(fileno=os.dup(connection._socket.fileno()))


def has_closed(upstream: socket.socket) -> bool:
    """Whether the peer's FIN has arrived, according to the operating system, not the event loop."""
    try:
        return upstream.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


async def test_closing_the_generator_closes_the_upstream_connection(
    lab: FakeOpenAI, connect: Connect
) -> None:
    lab.answer_with(endless(100))
    async with aclosing(
        connect().stream(ModelRequest(model="lab-1", messages=(Message.of_text("user", "Hi"),)))
    ) as deltas:
        assert isinstance(await anext(deltas), TextDelta)
        upstream = its_socket(lab)
    with upstream:
        assert has_closed(upstream)
    await lab.wait_closed(1.0)
    assert lab.open_connections == 0


async def test_closing_the_provider_ends_its_answers(lab: FakeOpenAI, connect: Connect) -> None:
    provider = connect()
    lab.answer_with(HERE.stalled(5))
    task = asyncio.create_task(ask(provider))
    await lab.wait_open()
    await asyncio.sleep(0.05)
    await provider.aclose()
    assert isinstance((await task).error, ProviderUnavailable)
    assert isinstance((await ask(provider)).error, ProviderUnavailable)
    await lab.wait_closed()


# Models


async def test_the_models_are_listed(connect: Connect) -> None:
    assert await connect().models() == (
        ModelInfo(id="lab-1", name="lab-1", owner="lab"),
        ModelInfo(id="lab-2", name="lab-2", owner="lab"),
    )


@pytest.mark.parametrize(
    "script", [failure(404), failure(405), page(), json_page({"data": "none"}), json_page({})]
)
async def test_a_server_without_a_list_says_what_to_set(
    lab: FakeOpenAI, connect: Connect, script: Script
) -> None:
    lab.models_answer = script
    with pytest.raises(NotConfigured, match="WIRESIDE_MODEL"):
        await connect().models()


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (failure(401), ProviderAuth),
        (failure(500), ProviderUnavailable),
        (failure(429, retry_after=9), ProviderRateLimited),
        (HERE.slow_head(None), ProviderTimeout),
        (HERE.stalled(3), ProviderTimeout),
        (HERE.cut(3, "rst"), ProviderUnavailable),
    ],
)
async def test_a_list_that_fails(
    lab: FakeOpenAI, connect: Connect, script: Script, kind: type[WiresideError]
) -> None:
    lab.models_answer = script
    with pytest.raises(kind):
        await connect(SHORT_S).models()


async def test_a_list_without_end_is_none(lab: FakeOpenAI, connect: Connect) -> None:
    lab.models_answer = ENDLESS
    with pytest.raises(NotConfigured, match="WIRESIDE_MODEL"):
        await connect().models()
    await lab.wait_closed()


async def test_warming_up_tells_no_failure(lab: FakeOpenAI, connect: Connect) -> None:
    lab.models_answer = failure(401)
    provider = connect()
    await provider.warm_up()
    assert (await ask(provider)).text == lab.text(COUNT)


# Secrets, and modules that are not imported


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
async def test_no_key_in_an_error_or_a_log(
    lab: FakeOpenAI,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    status: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"bad key {CANARY}, sent as Bearer {CANARY}"
    broken = HERE.insert(5, error_event(echo, code=CANARY), Wait())
    lab.answer_with(*[failure(status, echo, code=CANARY)] * (RETRIES + 1), broken, broken)
    provider = connect()
    with structlog.testing.capture_logs() as logs:
        answers = [await ask(provider) for _ in range(3)]
        lab.models_answer = failure(status, echo)
        with pytest.raises(WiresideError) as caught:
            await provider.models()
    errors = [got.error for got in answers if got.error is not None] + [caught.value]
    assert errors
    assert logs
    traces = [line for error in errors for line in traceback.format_exception(error)]
    told = "\n".join([repr(logs), caplog.text, *capsys.readouterr(), *traces, repr(provider)])
    assert CANARY not in told


@pytest.mark.slow
def test_the_package_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from wireside.providers.openai import OpenAIProvider; "
        "OpenAIProvider(api_key='x', base_url=None, silence_s=1); "
        "sys.exit(any(name in sys.modules for name in ('openai', 'aiohttp', 'httpx2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
