"""Handlers of the extension API through the door, with the openai package."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.doors.test_openai_python import TOOL, call_of, say
from tests.server_process import SERVE, ServerProcess

APP = Path(__file__).with_name("openai_app.py")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("handlers")
    shutil.copy(APP, folder)
    command = [*SERVE[:4], "openai_app:chat", *SERVE[4:]]
    with ServerProcess(folder, command=command) as running:
        yield running.url


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as one:
        yield one


def test_a_question_is_answered_by_the_next_message(client: openai.OpenAI) -> None:
    given: Any = {"model": "deploy", "metadata": {"conversation": "deploying"}}

    def ask(text: str) -> str:
        answer = client.chat.completions.create(messages=say(text), **given)
        assert answer.choices[0].finish_reason == "stop"
        return answer.choices[0].message.content or ""

    asked = ask("Go")
    assert asked.startswith("Let me see. ")
    assert "Deploy it?" in asked
    assert "“Yes”" in asked
    where = ask("yes")
    assert "1. Europe" in where
    assert ask("2").endswith("Deployed to us.")


def test_a_question_of_a_response_is_answered_by_the_next_one(client: openai.OpenAI) -> None:
    first = client.responses.create(model="deploy", input="Go")
    assert "Deploy it?" in first.output_text
    assert first.metadata is not None
    assert first.metadata["question"]
    second = client.responses.create(
        model="deploy",
        input="-",
        previous_response_id=first.id,
        metadata={"answer": "false"},
    )
    assert second.output_text.endswith("Left as it is.")


def test_without_a_conversation_a_handler_cannot_ask(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="deploy", messages=say("Go"))


def test_parts_are_text_and_fields(client: openai.OpenAI) -> None:
    answer: Any = client.chat.completions.create(model="rich", messages=say("Go"))
    message = answer.choices[0].message
    text = message.content
    assert text.startswith("Before.")
    assert text.endswith("After.")
    assert "| a |" in text
    assert "![a](https://example.org/a.png)" in text
    assert "[file: a.txt]" in text
    assert "SELECT" not in text
    kinds = [part.get("kind") or part["type"] for part in message.parts]
    assert kinds == ["step", "step", "source", "table", "image", "file"]
    (citation,) = message.annotations
    assert citation.url_citation.url == "https://example.org/book"
    chunks = client.chat.completions.create(model="rich", messages=say("Go"), stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert streamed == text
    made: Any = client.responses.create(model="rich", input="Go")
    assert made.output_text == text
    assert made.output[0].content[0].annotations[0].title == "The book"


def test_a_handler_gets_the_parameters_and_requests_a_tool(client: openai.OpenAI) -> None:
    messages = say("Go")
    given: Any = {"model": "parameters", "tools": [TOOL], "seed": 7, "temperature": 0.5}
    first = client.chat.completions.create(messages=messages, **given)
    assert json.loads(first.choices[0].message.content or "") == {
        "seed": 7, "temperature": 0.5, "tools": ["weather"], "text": "Go",
    }  # fmt: skip
    call = call_of(first)
    assert (call.function.name, first.choices[0].finish_reason) == ("weather", "tool_calls")
    messages += [first.choices[0].message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}]
    second = client.chat.completions.create(messages=messages, **given)
    assert second.choices[0].finish_reason == "stop"
    assert json.loads(second.choices[0].message.content or "")["text"] == "Go"
