"""Responses with the openai package for Python, against a real server and model service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from websockets.sync.client import connect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}


@pytest.fixture
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as one:
        yield one


def text_in(events: list[Any]) -> str:
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


def test_a_response_is_created_and_retrieved(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-4o", input="/lab tokens 60", metadata={"a": "b"})
    assert (made.status, made.output_text) == ("completed", FakeOpenAI.text(60))
    assert made.metadata == {"a": "b"}
    assert made.usage is not None
    assert made.conversation is not None
    found = client.responses.retrieve(made.id)
    assert (found.id, found.output) == (made.id, made.output)
    assert found.conversation == made.conversation


def test_events_are_typed_and_numbered(client: openai.OpenAI) -> None:
    events: list[Any] = list(
        client.responses.create(model="lab-1", input="/lab parts", stream=True)
    )
    assert text_in(events) == events[-1].response.output_text
    assert [one.type for one in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    kinds = [item.type for item in events[-1].response.output]
    assert kinds == ["message", "function_call", "message", "reasoning", "message"]
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    retrieved = client.responses.retrieve(events[0].response.id)
    assert retrieved.output == events[-1].response.output


@pytest.mark.parametrize("command", ["parts", "reasoning", "tool", "tokens 40"])
def test_events_go_on_after_any_number(client: openai.OpenAI, command: str) -> None:
    events: list[Any] = list(
        client.responses.create(model="lab-1", input=f"/lab {command}", stream=True)
    )
    name = events[0].response.id
    again: list[Any] = list(client.responses.retrieve(name, stream=True))
    assert text_in(again) == text_in(events)
    for event in events[:-1]:
        after = event.sequence_number
        rest: list[Any] = list(client.responses.retrieve(name, stream=True, starting_after=after))
        seen = [one for one in events if one.sequence_number <= after]
        assert all(one.sequence_number > after for one in rest)
        assert text_in(seen) + text_in(rest) == text_in(events)
        assert rest[-1].response.output == events[-1].response.output
    with pytest.raises(openai.BadRequestError):
        list(client.responses.retrieve(name, stream=True, starting_after=10**9))


def test_a_response_in_the_background_is_stopped(client: openai.OpenAI, model: FakeOpenAI) -> None:
    made = client.responses.create(model="lab-1", input="/lab endless 50", background=True)
    assert made.status == "in_progress"
    assert made.background
    while not client.responses.retrieve(made.id).output_text:
        time.sleep(0.01)
    stopped = client.responses.cancel(made.id)
    assert stopped.status == "cancelled"
    assert stopped.output_text
    assert model.open_streams == 0
    assert client.responses.cancel(made.id).output_text == stopped.output_text


def test_a_response_is_read_and_stopped_through_the_socket(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    made = client.responses.create(model="lab-1", input="/lab endless 50", background=True)
    address = f"ws{server.url.removeprefix('http')}/ws/ai-chat"
    with connect(address) as socket:
        name = made.id.removeprefix("resp_")
        socket.send(json.dumps({"type": "resume", "id": "1", "stream": name, "offset": 0}))
        frames = [json.loads(socket.recv()) for _ in range(5)]
        assert "chunk" in {frame["type"] for frame in frames}
        socket.send(json.dumps({"type": "cancel", "id": "1"}))
        while frames[-1]["type"] != "done":
            frames.append(json.loads(socket.recv()))
    text = "".join(frame.get("content", "") for frame in frames)
    stopped = client.responses.retrieve(made.id)
    assert (stopped.status, stopped.output_text) == ("cancelled", text)
    told = httpx2.get(f"{server.url}/metrics").text
    assert 'wireside_door_requests_total{door="openai",kind="ask"}' in told
    assert 'wireside_door_requests_total{door="openai",kind="read"}' in told


def test_a_response_follows_another_one(
    client: openai.OpenAI, model: FakeOpenAI, server: ServerProcess
) -> None:
    first = client.responses.create(model="lab-1", input="/lab say One", instructions="Be brief.")
    second = client.responses.create(
        model="lab-1", input="/lab say Two", previous_response_id=first.id
    )
    sent = model.chats[-1].body["messages"]
    assert [one["content"] for one in sent] == ["/lab say One", "One", "/lab say Two"]
    assert second.conversation == first.conversation
    other = client.responses.create(
        model="lab-1", input="/lab say Other", previous_response_id=first.id
    )
    sent = model.chats[-1].body["messages"]
    assert [one["content"] for one in sent] == ["/lab say One", "One", "/lab say Other"]
    assert client.responses.retrieve(second.id).output_text == "Two"
    assert first.conversation is not None
    kept = httpx2.get(f"{server.url}/api/conversations/{first.conversation.id}").json()
    assert [turn["question"] for turn in kept["turns"]] == ["/lab say One", "/lab say Other"]
    third = client.responses.create(
        model="lab-1", input="/lab say Three", previous_response_id=second.id
    )
    sent = model.chats[-1].body["messages"]
    assert [one["content"] for one in sent][2:] == ["/lab say Two", "Two", "/lab say Three"]
    assert len({first.id, second.id, other.id, third.id}) == 4
    with pytest.raises(openai.BadRequestError) as unknown:
        client.responses.create(model="lab-1", input="Hi", previous_response_id="resp_none")
    assert unknown.value.param == "previous_response_id"


def test_a_tool_of_the_client_is_run_between_two_responses(
    client: openai.OpenAI, model: FakeOpenAI
) -> None:
    first = client.responses.create(
        model="lab-1", input="/lab tool", tools=[TOOL], tool_choice="auto"
    )
    function = model.chats[-1].body["tools"][0]["function"]
    assert (function["name"], function["strict"]) == ("weather", True)
    call = first.output[-1]
    assert call.type == "function_call"
    assert json.loads(call.arguments) == {"city": "Zürich"}
    given: Any = {
        "model": "lab-1",
        "previous_response_id": first.id,
        "input": [{"type": "function_call_output", "call_id": call.call_id, "output": "12"}],
        "tools": [TOOL],
    }
    second = client.responses.create(**given)
    _, request, result = model.chats[-1].body["messages"]
    assert request["tool_calls"][0]["function"]["name"] == "weather"
    assert result["content"] == "12"
    assert second.id != first.id
    assert all(item.type != "mcp_call" for item in second.output)
    asked = len(model.chats)
    assert client.responses.create(**given).id == second.id, "results are given once"
    assert len(model.chats) == asked


def test_items_that_bring_their_context_are_not_stored(
    client: openai.OpenAI, model: FakeOpenAI
) -> None:
    items: Any = [
        {"role": "user", "content": "/lab tool"},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "12"},
    ]
    made: Any = client.responses.create(model="lab-1", input=items, instructions="Be brief.")
    roles = [one["role"] for one in model.chats[-1].body["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert made.store is False
    assert client.responses.retrieve(made.id).output == made.output


def test_a_response_is_found_after_a_restart(model: FakeOpenAI, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, model.url, OPENAI_API_KEY="lab") as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            made = client.responses.create(model="lab-1", input="/lab parts")
        server.stop()
        server.start()
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            found = client.responses.retrieve(made.id)
            assert found.output == made.output
            assert client.responses.input_items.list(made.id).data[0].type == "message"
            client.responses.delete(made.id)
            with pytest.raises(openai.NotFoundError):
                client.responses.retrieve(made.id)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"store": False, "background": True}, "store"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"conversation": "c", "previous_response_id": "resp_x"}, "conversation"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    client: openai.OpenAI, given: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**{"model": "lab-1", "input": "Hi", **given})
    assert refused.value.param == param


def test_parameters_and_shapes_reach_the_model_service(
    client: openai.OpenAI, model: FakeOpenAI
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    given: Any = {
        "top_p": 0.5,
        "max_output_tokens": 7,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}},
    }
    client.responses.create(model="lab-1", input="Hi", store=False, **given)
    sent = model.chats[-1].body
    assert (sent["top_p"], sent["max_tokens"], sent["reasoning_effort"]) == (0.5, 7, "low")
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": schema, "strict": True},
    }


def test_a_failure_is_an_error_or_the_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="lab-1", input="/lab status 401")
    events: list[Any] = list(
        client.responses.create(model="lab-1", input="/lab error", stream=True)
    )
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
    assert text_in(events)
    cut = client.responses.create(model="lab-1", input="/lab length")
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"


class Retrying:
    """Sends a request as the openai packages do, again under a growing count."""

    def __init__(self, server: ServerProcess, path: str = "/v1/responses") -> None:
        self._url = f"{server.url}{path}"
        self._count = 0

    def send(self, **body: Any) -> httpx2.Response:
        headers = {"X-Stainless-Retry-Count": str(self._count)}
        self._count += 1
        return httpx2.post(self._url, json={"model": "lab-1", **body}, headers=headers, timeout=30)


@pytest.mark.parametrize(("name", "number"), [("failing", 71), ("new", 72)])
def test_a_question_that_failed_is_in_its_conversation_once(
    server: ServerProcess, model: FakeOpenAI, name: str, number: int
) -> None:
    retrying = Retrying(server, "/v1/chat/completions")
    asked, question = len(model.chats), f"/lab status 401 {number}"
    body: Any = {
        "messages": [{"role": "user", "content": question}],
        "metadata": {"conversation": name},
    }
    for count in (1, 2, 3):
        failed = retrying.send(**body)
        assert failed.status_code >= 500, failed.text
        assert len(model.chats) == asked + count, "each retry asks the model again"
    found = httpx2.get(f"{server.url}/api/conversations").json()["conversations"]
    ids = [one["id"] for one in found if one["title"] == question]
    assert len(ids) == 1
    kept = httpx2.get(f"{server.url}/api/conversations/{ids[0]}").json()
    assert len(kept["turns"]) == 1


def test_only_the_single_response_of_a_conversation_is_deleted(client: openai.OpenAI) -> None:
    first = client.responses.create(model="lab-1", input="/lab say One")
    second = client.responses.create(
        model="lab-1", input="/lab say Two", previous_response_id=first.id
    )
    with pytest.raises(openai.BadRequestError):
        client.responses.delete(second.id)
    called = client.responses.create(model="lab-1", input="/lab tool", tools=[TOOL])
    output: Any = {"type": "function_call_output", "output": "12"}
    call: Any = called.output[-1]
    output["call_id"] = call.call_id
    rest = client.responses.create(
        model="lab-1", previous_response_id=called.id, input=[output], tools=[TOOL]
    )
    for response in (called, rest):
        with pytest.raises(openai.BadRequestError):
            client.responses.delete(response.id)
    alone = client.responses.create(model="lab-1", input="/lab say Alone")
    client.responses.delete(alone.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(alone.id)


def test_requests_after_one_response_fork(client: openai.OpenAI, model: FakeOpenAI) -> None:
    first = client.responses.create(model="lab-1", input="/lab say First")
    slow = client.responses.create(
        model="lab-1",
        input="/lab tokens 40 40",
        previous_response_id=first.id,
        background=True,
    )
    other = client.responses.create(
        model="lab-1", input="/lab say Other", previous_response_id=first.id
    )
    assert other.output_text == "Other"
    sent = [one["content"] for one in model.chats[-1].body["messages"]]
    assert sent == ["/lab say First", "First", "/lab say Other"]
    assert client.responses.retrieve(slow.id).output_text == FakeOpenAI.text(40)


def test_a_background_answer_without_a_conversation_goes_on(
    client: openai.OpenAI, model: FakeOpenAI
) -> None:
    items: Any = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "/lab tokens 100 50"},
    ]
    stream = client.with_options(default_headers={"X-Stainless-Retry-Count": ""}).responses.create(
        model="lab-1", input=items, background=True, stream=True
    )
    name = next(iter(stream)).response.id  # type: ignore[union-attr]
    stream.close()
    while (found := client.responses.retrieve(name)).status == "in_progress":
        time.sleep(0.02)
    assert (found.status, found.output_text) == ("completed", FakeOpenAI.text(100))


def test_an_unstored_answer_goes_on_when_it_is_resumed(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    given: Any = {"model": "lab-1", "input": "/lab tokens 200 45", "store": False, "stream": True}
    name, last = "", -1
    with httpx2.stream("POST", f"{server.url}/v1/responses", json=given) as lost:
        for line in lost.iter_lines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                name, last = event.get("response", {}).get("id") or name, event["sequence_number"]
                if event["type"] == "response.output_text.delta":
                    break
    assert httpx2.get(f"{server.url}/v1/responses/{name}").json()["status"] == "in_progress"
    made = httpx2.get(f"{server.url}/v1/responses/{name}").json()["created_at"]
    rest: list[Any] = list(client.responses.retrieve(name, stream=True, starting_after=last))
    assert rest[-1].type == "response.completed"
    assert rest[-1].response.output_text == FakeOpenAI.text(200)
    assert client.responses.retrieve(name).created_at == made


@pytest.mark.parametrize("after", ["9" * 25, "x", "-2"])
def test_a_number_that_names_no_event_is_refused(
    client: openai.OpenAI, server: ServerProcess, after: str
) -> None:
    made = client.responses.create(model="lab-1", input="/lab say Hi")
    url = f"{server.url}/v1/responses/{made.id}?stream=true&starting_after={after}"
    refused = httpx2.get(url)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "starting_after"
