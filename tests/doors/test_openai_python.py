"""Chat completions with the openai package for Python, against a real server and model service."""

from __future__ import annotations

import json
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx2
import openai
import pytest

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png() -> bytes:
    """Return an image of one pixel."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", pixels)
        + _chunk(b"IEND", b"")
    )


IMAGE = f"data:image/png;base64,{b64encode(png()).decode()}"

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}


@pytest.fixture
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as one:
        yield one


def call_of(answer: Any) -> Any:
    """Return the one tool call of an answer."""
    (call,) = answer.choices[0].message.tool_calls
    return call


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_an_answer_is_streamed_with_its_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o",
            messages=say("/lab tokens 20"),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == FakeOpenAI.text(20)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"lab-1"}


@pytest.mark.parametrize(
    ("command", "reason"),
    [("tokens 60", "stop"), ("length", "length"), ("filter", "content_filter")],
)
def test_an_answer_comes_whole(client: openai.OpenAI, command: str, reason: str) -> None:
    answer = client.chat.completions.create(model="lab-2", messages=say(f"/lab {command}"))
    assert answer.choices[0].message.content == FakeOpenAI.text(60)
    assert answer.choices[0].finish_reason == reason
    assert answer.model == "lab-2"
    assert answer.usage is not None


def test_reasoning_is_a_field_of_its_own(client: openai.OpenAI) -> None:
    answer: Any = client.chat.completions.create(model="lab-1", messages=say("/lab reasoning"))
    assert answer.choices[0].message.content == FakeOpenAI.text(60)
    assert answer.choices[0].message.reasoning_content == FakeOpenAI.text(30, 2)


def test_a_tool_of_the_client_is_requested_and_its_result_is_used(
    client: openai.OpenAI, model: FakeOpenAI
) -> None:
    messages = say("/lab tool")
    given: Any = {"model": "lab-1", "tools": [TOOL], "tool_choice": "auto"}
    first = client.chat.completions.create(messages=messages, **given)
    sent = model.chats[-1].body
    assert (sent["tools"], sent["tool_choice"]) == ([TOOL], "auto")
    call = call_of(first)
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather", {"city": "Zürich"},
    )  # fmt: skip
    assert first.choices[0].finish_reason == "tool_calls"
    messages += [first.choices[0].message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}]
    client.chat.completions.create(messages=messages, **given)
    *_, request, result = model.chats[-1].body["messages"]
    assert request["tool_calls"][0]["function"]["name"] == "weather"
    assert result["role"] == "tool"
    assert result["content"] == "12 degrees"
    assert result["tool_call_id"] == request["tool_calls"][0]["id"]


def test_tool_calls_are_streamed(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="lab-1", messages=say("/lab tool"), tools=[TOOL]
    ) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    call = call_of(answer)
    assert json.loads(call.function.arguments) == {"city": "Zürich"}
    assert answer.choices[0].finish_reason == "tool_calls"


def test_an_image_is_passed_on_and_an_address_is_not_fetched(
    client: openai.OpenAI, model: FakeOpenAI
) -> None:
    def look(url: str) -> None:
        parts: Any = [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        client.chat.completions.create(model="lab-1", messages=[{"role": "user", "content": parts}])

    look(IMAGE)
    assert model.chats[-1].body["messages"][-1]["content"][1]["image_url"]["url"] == IMAGE
    before = len(model.chats)
    with pytest.raises(openai.BadRequestError) as refused:
        look("https://example.org/a.png")
    assert refused.value.param == "messages[0].content[1].image_url.url"
    assert "data: URL" in refused.value.message
    assert len(model.chats) == before


def test_parameters_reach_the_model_service(client: openai.OpenAI, model: FakeOpenAI) -> None:
    given: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "logit_bias": {"50256": -100},
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
        "extra_body": {"top_k": 5},
    }
    client.chat.completions.create(
        model="lab-1", messages=say("Hi"), max_completion_tokens=9, user="ada", **given
    )
    sent = model.chats[-1].body
    expected = {**given, "max_tokens": 9, "top_k": 5}
    del expected["extra_body"]
    assert {name: sent.get(name) for name in expected} == expected
    assert "user" not in sent


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"stop": 5}, "stop"),
        ({"functions": [{"name": "x"}]}, "functions"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    client: openai.OpenAI, given: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="lab-1", messages=say("Hi"), **given)
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("command", "kind", "code"),
    [
        ("status 429 900", openai.RateLimitError, "provider_rate_limited"),
        ("status 401", openai.InternalServerError, "provider_auth"),
        ("status 400", openai.BadRequestError, None),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_errors_of_the_model_service_have_their_class(
    client: openai.OpenAI,
    command: str,
    kind: type[openai.APIStatusError],
    code: str | None,
    is_streamed: bool,
) -> None:
    with pytest.raises(kind) as raised:
        client.chat.completions.create(
            model="lab-1", messages=say(f"/lab {command}"), stream=is_streamed
        )
    assert raised.value.code == code


def test_an_error_within_the_answer_follows_its_text(client: openai.OpenAI) -> None:
    text = ""
    with pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(
            model="lab-1", messages=say("/lab error"), stream=True
        ):
            text += chunk.choices[0].delta.content or ""
    assert FakeOpenAI.text(60).startswith(text)
    assert text
    assert raised.value.code == "provider_unavailable"


def test_models_are_listed_and_found_by_alias(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["lab-1", "lab-2"]
    assert client.models.retrieve("lab-2").id == "lab-2"
    assert client.models.retrieve("gpt-4o").id == "lab-1"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.models.retrieve("some/other")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=say("Hi"))


def test_a_conversation_is_stored_by_name_and_has_the_context(
    client: openai.OpenAI, model: FakeOpenAI, server: ServerProcess
) -> None:
    metadata = {"conversation": "my thread"}
    first: Any = client.chat.completions.create(
        model="lab-1",
        messages=[{"role": "system", "content": "Be brief."}, *say("/lab say One")],
        metadata=metadata,
    )
    assert first.choices[0].message.content == "One"
    client.chat.completions.create(model="lab-1", messages=say("/lab say Two"), metadata=metadata)
    sent = model.chats[-1].body["messages"]
    assert [one["content"] for one in sent] == ["/lab say One", "One", "/lab say Two"]
    kept = httpx2.get(f"{server.url}/api/conversations/{first.metadata['conversation']}").json()
    assert [turn["question"] for turn in kept["turns"]] == ["/lab say One", "/lab say Two"]


def test_tools_and_images_of_a_stored_conversation(
    client: openai.OpenAI, model: FakeOpenAI
) -> None:
    given: Any = {"model": "lab-1", "tools": [TOOL], "metadata": {"conversation": "tools"}}
    parts: Any = [
        {"type": "text", "text": "/lab tool"},
        {"type": "image_url", "image_url": {"url": IMAGE}},
    ]
    first = client.chat.completions.create(
        messages=[{"role": "user", "content": "/lab tool"}], **given
    )
    call = call_of(first)
    history: list[Any] = [
        {"role": "user", "content": "/lab tool"},
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"},
    ]
    client.chat.completions.create(messages=history, **given)
    _, request, result = model.chats[-1].body["messages"]
    assert request["tool_calls"][0]["function"]["name"] == "weather"
    assert result["content"] == "12 degrees"
    client.chat.completions.create(messages=[{"role": "user", "content": parts}], **given)
    assert model.chats[-1].body["messages"][-1]["content"][1]["image_url"]["url"] == IMAGE


def test_a_file_is_read_for_the_model(client: openai.OpenAI, model: FakeOpenAI) -> None:
    data = f"data:text/plain;base64,{b64encode(b'The code is 4711.').decode()}"
    parts: Any = [
        {"type": "text", "text": "Which code does it show?"},
        {"type": "file", "file": {"filename": "a.txt", "file_data": data}},
    ]
    client.chat.completions.create(model="lab-1", messages=[{"role": "user", "content": parts}])
    assert "The code is 4711." in model.chats[-1].body["messages"][-1]["content"]


def test_a_file_of_an_unstored_question_is_not_kept(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    content = b"The code is 4712."
    data = f"data:text/plain;base64,{b64encode(content).decode()}"
    parts: Any = [
        {"type": "text", "text": "/lab say Hi"},
        {"type": "file", "file": {"filename": "a.txt", "file_data": data}},
    ]
    given: Any = {"model": "lab-1", "messages": [{"role": "user", "content": parts}]}
    pattern = f"**/*{sha256(content).hexdigest()}*"
    client.chat.completions.create(**given, metadata={"conversation": "files"})
    assert list(server.folder.glob(pattern))
    other = b"The code is 4713."
    parts[1]["file"]["file_data"] = f"data:text/plain;base64,{b64encode(other).decode()}"
    client.chat.completions.create(**given)
    while list(server.folder.glob(f"**/*{sha256(other).hexdigest()}*")):
        time.sleep(0.02)
    assert list(server.folder.glob(pattern))


def test_a_request_that_is_sent_again_is_answered_once(
    server: ServerProcess, model: FakeOpenAI
) -> None:
    """The package counts its retries; a key does the same for other clients."""
    body = {"model": "lab-1", "messages": say("/lab say again")}
    before = len(model.chats)
    for headers in (
        [{"X-Stainless-Retry-Count": str(count)} for count in range(3)],
        [{"Idempotency-Key": "k1"}] * 3,
    ):
        ids = {
            httpx2.post(f"{server.url}/v1/chat/completions", json=body, headers=one).json()["id"]
            for one in headers
        }
        assert len(ids) == 1
    assert len(model.chats) == before + 2
    httpx2.post(f"{server.url}/v1/chat/completions", json=body)
    assert len(model.chats) == before + 3


def test_an_answer_without_reader_stops(client: openai.OpenAI, model: FakeOpenAI) -> None:
    stream = client.chat.completions.create(
        model="lab-1", messages=say("/lab endless 50"), stream=True
    )
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert model.open_streams == 1
    stream.close()
    while model.open_streams:
        time.sleep(0.01)
