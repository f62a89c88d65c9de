"""One Wireside whose model service is another Wireside."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.doors.test_openai_python import TOOL, call_of, say
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI


@pytest.fixture(scope="module")
def front(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in front of ``server``."""
    folder = tmp_path_factory.mktemp("front")
    with ServerProcess(folder, f"{server.url}/v1", OPENAI_API_KEY="none") as running:
        yield running.url


@pytest.fixture
def client(front: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{front}/v1", api_key="none", max_retries=0) as one:
        yield one


def test_text_reasoning_and_usage_arrive(client: openai.OpenAI) -> None:
    answer: Any = client.chat.completions.create(model="gpt-4o", messages=say("/lab reasoning"))
    assert answer.choices[0].message.content == FakeOpenAI.text(60)
    assert answer.choices[0].message.reasoning_content == FakeOpenAI.text(30, 2)
    assert answer.usage is not None
    assert [model.id for model in client.models.list()] == ["lab-1", "lab-2"]


def test_tools_and_parameters_arrive(client: openai.OpenAI, model: FakeOpenAI) -> None:
    messages = say("/lab tool")
    given: Any = {"model": "lab-1", "tools": [TOOL], "seed": 7}
    first = client.chat.completions.create(messages=messages, **given)
    assert model.chats[-1].body["tools"] == [TOOL]
    assert model.chats[-1].body["seed"] == 7
    call = call_of(first)
    assert json.loads(call.function.arguments) == {"city": "Zürich"}
    messages += [first.choices[0].message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}]
    client.chat.completions.create(messages=messages, **given)
    assert model.chats[-1].body["messages"][-1]["content"] == "12 degrees"


def test_a_stop_reaches_the_model(client: openai.OpenAI, model: FakeOpenAI) -> None:
    made = client.responses.create(model="lab-1", input="/lab endless 50", background=True)
    while not client.responses.retrieve(made.id).output_text:
        time.sleep(0.01)
    assert model.open_streams == 1
    assert client.responses.cancel(made.id).status == "cancelled"
    while model.open_streams:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("command", "kind", "code"),
    [
        ("status 429 900", openai.RateLimitError, "provider_rate_limited"),
        ("status 401", openai.InternalServerError, "provider_auth"),
        ("status 503", openai.InternalServerError, "provider_unavailable"),
    ],
)
def test_errors_keep_their_meaning(
    client: openai.OpenAI, command: str, kind: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(kind) as raised:
        client.chat.completions.create(model="lab-1", messages=say(f"/lab {command}"))
    assert raised.value.code == code


def test_an_error_within_an_answer_keeps_its_text(client: openai.OpenAI) -> None:
    text = ""
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(
            model="lab-1", messages=say("/lab error"), stream=True
        ):
            text += chunk.choices[0].delta.content or ""
    assert text
    assert FakeOpenAI.text(60).startswith(text)
