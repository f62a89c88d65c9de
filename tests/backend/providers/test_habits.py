"""Habits of real services, sent by the fault lab to the real provider over HTTP."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wireside.errors import (
    ContextTooLong,
    NotConfigured,
    ProviderAuth,
    ProviderRateLimited,
    ProviderUnavailable,
    UnknownModel,
    WiresideError,
)
from wireside.messages import (
    Finished,
    FinishReason,
    Message,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.providers import openai as module
from wireside.providers.openai import OpenAIProvider
from wireside.testing import FakeOpenAI, failure, page
from wireside.testing.habits import HABITS, WORDS

SAYS = "".join(WORDS)
SHORT_S = 0.3
LONG_S = 20.0


@dataclass(frozen=True)
class Outcome:
    """The expected result for a habit. ``usage`` is compared if it is given."""

    text: str = SAYS
    error: type[WiresideError] | None = None
    reason: FinishReason | None = "stop"
    reasoning: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    usage: Usage | None = None
    seconds: str = ""
    """Numbers after the habit's name that keep the test short."""
    options: tuple[tuple[str, Any], ...] = ()
    asks: int | None = None
    """The number of requests it may take."""


def fails(kind: type[WiresideError], text: str = "", **more: Any) -> Outcome:
    return Outcome(text, kind, None, **more)


THOUGHT = Outcome(reasoning="Secret plan")

OUTCOMES: dict[str, Outcome] = {
    "finish-empty": Outcome(seconds="0.6"),
    "finish-null": Outcome(),
    "finish-early": THOUGHT,
    "finish-empty-error": fails(ProviderUnavailable, "Hello big"),
    "finish-empty-cut": fails(ProviderUnavailable, "Hello big"),
    "finish-empty-length": Outcome(reason="length"),
    "finish-upper": Outcome(reason="length"),
    "finish-safety": Outcome(reason="content_filter"),
    "finish-abort": Outcome(reason="interrupted"),
    "done-only": Outcome(),
    "done-only-tool": Outcome("", tools=(("get_weather", "{}"),)),
    "load": Outcome(seconds="0.6", asks=1),
    "loading": Outcome(seconds="3", asks=4),
    "queue": Outcome(seconds="0.6", asks=1),
    "queue-chunks": Outcome(seconds="0.6", asks=1),
    "queue-newlines": Outcome(seconds="0.6", asks=1),
    "data-empty": Outcome(asks=1),
    "data-comment": Outcome(asks=1),
    "error-field": fails(ContextTooLong, asks=1),
    "error-field-mid": fails(ProviderUnavailable, "Hello"),
    "base-resp": fails(ProviderAuth, asks=1),
    "cloudflare": fails(ProviderAuth, asks=1),
    "shield": fails(ProviderAuth, asks=1),
    "gemini-key": fails(ProviderAuth, asks=1),
    "gemini-quota": fails(ProviderRateLimited, asks=1),
    "quota": fails(ProviderAuth, asks=1),
    "billing": fails(ProviderAuth, asks=1),
    "region": fails(ProviderAuth, asks=1),
    "memory": fails(ProviderUnavailable, asks=1),
    "no-chat": fails(UnknownModel, asks=1),
    "wrong-path": fails(NotConfigured, asks=1),
    "redirect": fails(NotConfigured),
    "stream-refused": Outcome(asks=2),
    "stream-options-refused": Outcome(asks=2),
    "system-refused": Outcome(asks=2),
    "roles-alternate": Outcome(asks=2),
    "continue-refused": Outcome(asks=1),
    "temperature-refused": Outcome(options=(("temperature", 0.3),), asks=2),
    "max-tokens-refused": Outcome(options=(("max_tokens", 9),), asks=2),
    "think-tags": THOUGHT,
    "think-close": Outcome("Secret plan\n\n\n---\n\nHello big world"),  # shown before it closes
    "think-channel": THOUGHT,
    "think-parts": THOUGHT,
    "reasoning-details": THOUGHT,
    "reasoning-text": THOUGHT,
    "thinking": THOUGHT,
    "tool-id-number": Outcome(tools=(("get_weather", "{}"),)),
    "tool-calls-object": Outcome(),
    "tool-name-repeated": Outcome("", tools=(("get_weather", '{"x":1}'),)),
    "usage-text": Outcome(),
    "delta-text": Outcome(),
    "usage-null-last": Outcome(usage=Usage(5, 3)),
    "usage-input-tokens": Outcome(usage=Usage(5, 3)),
    "usage-in-choice": Outcome(usage=Usage(5, 3)),
    "message-after-deltas": Outcome(),
    "single-newlines": Outcome(),
    "empty": Outcome(""),
    "images": Outcome("[image]"),
    "audio": Outcome("Hello"),
}


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(count=3) as lab:
        yield lab


Connect = Callable[..., OpenAIProvider]


@pytest.fixture
async def connect(lab: FakeOpenAI) -> AsyncIterator[Connect]:
    made: list[OpenAIProvider] = []

    def connect(base_url: str = lab.url, **options: Any) -> OpenAIProvider:
        options = {"api_key": "k", "silence_s": SHORT_S, "first_token_s": 20.0, **options}
        options = {"backoff_s": 0.001, "loading_s": 0.01, **options}
        made.append(OpenAIProvider(base_url=base_url, **options))
        return made[-1]

    yield connect
    for provider in made:
        await provider.aclose()


@dataclass
class Got:
    text: str = ""
    reasoning: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    end: Finished | None = None
    error: WiresideError | None = None


async def ask(provider: OpenAIProvider, question: str, **options: Any) -> Got:
    messages = (Message.of_text("system", "Be brief."), Message.of_text("user", question))
    got = Got()
    try:
        async for delta in provider.stream(
            ModelRequest(model="lab-1", messages=messages, **options)
        ):
            match delta:
                case TextDelta(text):
                    got.text += text
                case ReasoningDelta(text):
                    got.reasoning += text
                case ToolDelta():
                    got.tools += ((delta.name, delta.arguments),)
                case Finished():
                    got.end = delta
    except WiresideError as error:
        got.error = error
    return got


def test_each_habit_has_its_outcome() -> None:
    assert set(OUTCOMES) == set(HABITS)


@pytest.mark.parametrize("name", sorted(HABITS))
async def test_what_comes_of_a_habit(lab: FakeOpenAI, connect: Connect, name: str) -> None:
    right = OUTCOMES[name]
    silence_s = LONG_S if name == "finish-empty" else SHORT_S
    got = await ask(
        connect(silence_s=silence_s, tail_s=0.1),
        f"/lab {name} {right.seconds}",
        **dict(right.options),
    )
    assert (got.text, got.reasoning) == (right.text, right.reasoning)
    assert type(got.error) is (right.error or type(None))
    assert (got.end.reason if got.end else None) == right.reason
    assert got.tools == right.tools
    if right.usage is not None and got.end is not None:
        assert got.end.usage == right.usage
    if right.asks is not None:
        assert len([request for request in lab.chats if request.method == "POST"]) == right.asks


@pytest.mark.parametrize("name", sorted(HABITS))
async def test_no_habit_is_unheard_of(lab: FakeOpenAI, connect: Connect, name: str) -> None:
    """Every habit of the lab sends something of its own, and its answer ends exactly once."""
    got = await ask(connect(), f"/lab {name} 0.1")
    assert (got.end is None) is (got.error is not None)
    assert lab.text(3) not in got.text
    assert "Write one of these" not in got.text


# Parameters that a server refuses


@pytest.mark.parametrize(
    ("name", "options", "sent"),
    [
        ("stream-refused", {}, {"stream": False}),
        ("system-refused", {}, {"stream": True}),
        ("temperature-refused", {"temperature": 0.3}, {"stream": True}),
        ("max-tokens-refused", {"max_tokens": 9}, {"max_completion_tokens": 9}),
    ],
)
async def test_what_was_refused_is_not_asked_again(
    lab: FakeOpenAI, connect: Connect, name: str, options: dict[str, Any], sent: dict[str, Any]
) -> None:
    provider = connect()
    for _ in range(3):
        assert (await ask(provider, f"/lab {name}", **options)).text == SAYS
    assert len(lab.chats) == 4
    assert sent.items() <= lab.chats[-1].body.items()
    assert "temperature" not in lab.chats[-1].body
    assert "max_tokens" not in lab.chats[-1].body


async def test_it_is_remembered_for_that_model_alone(lab: FakeOpenAI, connect: Connect) -> None:
    provider = connect()
    await ask(provider, "/lab stream-options-refused")
    async for _ in provider.stream(
        ModelRequest(model="lab-2", messages=(Message.of_text("user", "Hi"),))
    ):
        pass
    assert "stream_options" not in lab.chats[1].body
    assert "stream_options" in lab.chats[2].body


async def test_system_text_goes_before_the_first_question(
    lab: FakeOpenAI, connect: Connect
) -> None:
    await ask(connect(), "/lab system-refused")
    assert lab.chats[-1].body["messages"] == [
        {"role": "user", "content": "Be brief.\n\n/lab system-refused"}
    ]


async def test_an_answer_that_is_to_go_on_is_followed_by_a_question(
    lab: FakeOpenAI, connect: Connect
) -> None:
    messages = (Message.of_text("user", "Hi"), Message.of_text("assistant", "Hel"))
    said = "Expected last role User or Tool (or Assistant with prefix True) but got assistant"
    lab.answer_with(failure(400, said))
    async for _ in connect().stream(ModelRequest(model="lab-1", messages=messages)):
        pass
    sent = lab.chats[-1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert sent[-1]["content"] == module.GO_ON


async def test_an_error_in_a_200_is_learnt_from_too(lab: FakeOpenAI, connect: Connect) -> None:
    said = "System role not supported"
    lab.answer_with(failure(200, said))
    got = await ask(connect(), "Hi")
    assert (got.text, got.error) == (lab.text(3), None)
    assert [message["role"] for message in lab.chats[-1].body["messages"]] == ["user"]


async def test_who_refuses_everything_is_asked_a_few_times_only(
    lab: FakeOpenAI, connect: Connect
) -> None:
    said = "Unsupported: stream, stream_options, temperature, max_tokens, max_completion_tokens"
    lab.answer_with(*[failure(400, said)] * 20)
    got = await ask(connect(), "Hi", temperature=0.3, max_tokens=9)
    assert got.error is not None
    assert len(lab.chats) == 6


async def test_a_model_that_cannot_chat_is_told_of(lab: FakeOpenAI, connect: Connect) -> None:
    told: list[str] = []
    await ask(connect(on_cannot_chat=told.append), "/lab no-chat")
    assert told == ["lab-1"]


async def test_a_model_that_loads_for_ever_is_given_up(lab: FakeOpenAI, connect: Connect) -> None:
    got = await ask(connect(first_token_s=0.3), "/lab loading 100000")
    assert str(got.error) == "The model is loading; try again in a moment."


# Addresses


@pytest.mark.parametrize("at", ["/v1", "/api/v1", "/openai/v1", "/v1beta/openai", "/inference/v1"])
@pytest.mark.parametrize("elsewhere", [None, "LM Studio", "page", "405"])
async def test_where_the_api_is_is_named(at: str, elsewhere: str | None) -> None:
    async with FakeOpenAI(only_at=at) as lab:
        if elsewhere == "LM Studio":
            lab.elsewhere = failure(200, "Unexpected endpoint or method. (GET /models)")
        elif elsewhere == "page":
            lab.elsewhere = page()
        elif elsewhere == "405":
            lab.elsewhere = failure(405, "Method Not Allowed")
        provider = OpenAIProvider(api_key="k", base_url=lab.origin, silence_s=5)
        try:
            with pytest.raises(NotConfigured) as listing:
                await provider.models()
            asking = (await ask(provider, "Hi")).error
        finally:
            await provider.aclose()
    assert isinstance(asking, NotConfigured)
    for error in (listing.value, asking):
        assert f"its list of models is at …{at}." in str(error)
        assert "set OPENAI_BASE_URL" in str(error)
        assert error.remedy == f"export OPENAI_BASE_URL={lab.origin}{at}"


@pytest.mark.parametrize(
    "written",
    [
        " {url} ",
        '"{url}"',
        "{url}/",
        "{url}/chat/completions",
        "{url}/models",
        "{bare}",
    ],
)
async def test_an_address_that_is_written_otherwise_works(
    lab: FakeOpenAI, connect: Connect, written: str
) -> None:
    url = written.format(url=lab.url, bare=lab.url.removeprefix("http://"))
    provider = connect(url)
    assert len(await provider.models()) == 2
    assert (await ask(provider, "Hi")).text == lab.text(3)
    assert {request.path for request in lab.requests} == {"/v1/models", "/v1/chat/completions"}


async def test_https_where_there_is_none_is_named(lab: FakeOpenAI, connect: Connect) -> None:
    provider = connect(lab.url.replace("http:", "https:"))
    with pytest.raises(NotConfigured, match="set OPENAI_BASE_URL") as caught:
        await provider.models()
    assert "at http://…/v1." in str(caught.value)
    assert caught.value.remedy == f"export OPENAI_BASE_URL={lab.url}"
    assert str((await ask(provider, "Hi")).error) == str(caught.value)


async def test_azures_query_and_key_go_along(connect: Connect) -> None:
    at = "/openai/deployments/my-gpt"
    async with FakeOpenAI(count=3, only_at=at) as lab:
        lab.models_answer = failure(404, "Resource not found", code="404")
        provider = connect(f"{lab.url}/chat/completions?api-version=2024-10-21")
        assert [model.id for model in await provider.models()] == ["my-gpt"]
        assert (await ask(provider, "Hi")).text == lab.text(3)
        sent = lab.requests[-1]
        assert sent.path.endswith("?api-version=2024-10-21")
        assert sent.headers["api-key"] == "k"


async def test_a_moved_service_is_named(lab: FakeOpenAI, connect: Connect) -> None:
    error = (await ask(connect(), "/lab redirect")).error
    assert isinstance(error, NotConfigured)
    assert "has moved to http://…/moved/v1." in str(error)
    assert error.remedy == f"export OPENAI_BASE_URL={lab.origin}/moved/v1"


async def test_a_certificate_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    chain = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path / "both.pem"
    file.write_bytes(chain.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
    provider = OpenAIProvider(api_key="k", base_url=url, silence_s=20)
    try:
        with pytest.raises(NotConfigured, match="certificate of the model service is not trusted"):
            await provider.models()
        assert isinstance((await ask(provider, "Hi")).error, NotConfigured)
    finally:
        await provider.aclose()
        server.close()


async def test_a_name_and_a_password_in_the_address_are_sent(
    lab: FakeOpenAI, connect: Connect
) -> None:
    """A proxy may ask for them; the request's URL does not contain them."""
    provider = connect(lab.url.replace("://", "://me:p%40ss@"))
    assert len(await provider.models()) == 2
    assert (await ask(provider, "Hi")).text == lab.text(3)
    sent = {request.headers["authorization"] for request in lab.requests}
    assert sent == {"Basic " + base64.b64encode(b"me:p@ss").decode()}


async def test_a_service_that_lists_models_and_has_no_chat_is_told_apart(
    lab: FakeOpenAI, connect: Connect
) -> None:
    lab.answer_with(page(status=404))
    error = (await ask(connect(), "Hi")).error
    assert isinstance(error, NotConfigured)
    assert "lists its models" in str(error)
    assert "OPENAI_BASE_URL and at the model's name" in str(error)
