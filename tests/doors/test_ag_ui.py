"""AG-UI's own client, with its verifier on, against the door."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

Run = Callable[..., Any]

TEXT = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]


def test_the_client_reads_each_kind_of_answer(
    node: Run, server: ServerProcess, model: FakeOpenAI
) -> None:
    asked = len(model.chats)
    seen = node("ag_ui.mjs", url=server.url)
    text = model.text
    plain = seen["text"]
    assert (plain["text"], "error" in plain) == (text(60, 4), False)
    assert plain["types"] == ["RUN_STARTED", "CUSTOM", *TEXT, "RUN_FINISHED"]
    assert plain["last"]["usage"] == [{"model": "lab-1", "inputTokens": 7, "outputTokens": 60}]
    assert plain["last"]["outcome"] == {"type": "success"}
    assert plain["messages"][1]["id"] == plain["stream"]
    assert "REASONING_MESSAGE_CONTENT" in seen["reasoning"]["types"]
    roles = [message["role"] for message in seen["parts"]["messages"]]
    assert roles == ["user", "assistant", "assistant", "assistant", "reasoning", "assistant"]
    failed = seen["error"]
    assert (failed["last"]["type"], failed["last"]["code"]) == (
        "RUN_ERROR",
        "provider_unavailable",
    )
    assert failed["text"]
    assert "nothing" in seen["model"]["error"]
    turns = seen["turns"]
    assert turns["first"]["text"] == text(20, 5)
    assert turns["same"]["stream"] == turns["first"]["stream"]
    assert turns["same"]["text"] == turns["first"]["text"]
    assert turns["again"]["stream"] != turns["first"]["stream"]
    assert turns["sameAgain"]["stream"] == turns["again"]["stream"]
    assert turns["second"]["text"] == "second"
    assert seen["history"]["text"].startswith("remembered")
    _check_tools(seen["tools"], [one.body for one in model.chats[asked:]])
    assert seen["back"]["text"] == text(60, 9)
    assert seen["stopStatus"] == 204
    assert seen["stopped"]["last"]["outcome"] == {"type": "cancelled"}
    contexts = [json.dumps(request.body["messages"]) for request in model.chats[asked:]]
    assert sum("tokens 60 60 9" in one for one in contexts) == 1
    last = [one for one in contexts if "say second" in one]
    assert len(last) == 1
    assert "Weather: rain" in last[0]
    (with_history,) = (one for one in contexts if "remembered" in one)
    assert all(word in with_history for word in ("My colour?", "Blue.", "hello"))


def _check_tools(tools: dict[str, Any], requests: list[dict[str, Any]]) -> None:
    call = tools["call"]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Zürich"})
    assert tools["requested"]["last"]["outcome"] == {"type": "success"}
    assert tools["used"]["last"]["outcome"] == {"type": "success"}
    assert tools["used"]["stream"] != tools["requested"]["stream"]
    assert tools["usedAgain"]["stream"] == tools["used"]["stream"]
    assert tools["usedAgain"]["text"] == tools["used"]["text"]
    assert [one["role"] for one in tools["used"]["messages"]].count("tool") == 1
    assert "requested" in tools["unknown"]["error"]
    results = [one["content"] for one in tools["opened"]["messages"] if one["role"] == "tool"]
    assert results == ["12 degrees"]
    sent = [one for one in requests if "/lab tool" in json.dumps(one["messages"])]
    assert len(sent) == 2
    assert all(one["tools"][0]["function"]["name"] == "weather" for one in sent)
    result = sent[1]["messages"][-1]
    assert (result["role"], result["content"]) == ("tool", "12 degrees")


def test_questions_are_interrupts(node: Run, asking_server: ServerProcess) -> None:
    seen = node("ag_ui_asking.mjs", url=asking_server.url)
    first, approved, answered, _, denied = seen["runs"]
    kinds = {event["activityType"] for event in first if event["type"] == "ACTIVITY_SNAPSHOT"}
    assert kinds == {"step", "source", "image", "table"}
    steps = [event["stepName"] for event in first if event["type"].startswith("STEP_")]
    assert steps == ["look up", "look up"]
    (approval,) = first[-1]["outcome"]["interrupts"]
    assert (approval["message"], approval["responseSchema"]) == ("Go on?", {"type": "boolean"})
    (colour,) = approved[-1]["outcome"]["interrupts"]
    assert (colour["message"], colour["responseSchema"]) == ("Which colour?", {"type": "string"})
    assert answered[-1]["outcome"] == {"type": "success"}
    assert denied[-1]["outcome"] == {"type": "success"}
    texts = [one["content"] for one in seen["messages"] if one["role"] == "assistant"]
    assert texts == ["Going on. ", "It is blue.", "Stopped."]
    assert without_user_ids(seen["opened"]) == without_user_ids(seen["messages"])


def without_user_ids(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages without the ids of those of the user: the server has others."""
    return [
        {name: value for name, value in one.items() if name != "id" or one["role"] != "user"}
        for one in messages
    ]


def test_a_handler_shares_its_state(node: Run, asking_server: ServerProcess) -> None:
    """The client sees the state and changes it; a second client gets all of the thread."""
    seen = node("ag_ui_state.mjs", url=asking_server.url)
    one, two = {"colour": "none", "asked": 1}, {"colour": "blue", "asked": 2}
    assert seen["states"][:4] == [one, two, two, {"colour": "blue", "asked": 3}]
    assert seen["answers"] == ["none 1", "blue 2", "blue 3"]
    shown = [(message["role"], message["content"]) for message in seen["opened"]]
    assert shown == [(message["role"], message["content"]) for message in seen["own"]]
    assert seen["types"][2][:2] == ["RUN_STARTED", "MESSAGES_SNAPSHOT"]
    answers = [message["id"] for message in seen["opened"] if message["role"] == "assistant"]
    assert answers == [one["id"] for one in seen["own"] if one["role"] == "assistant"]
    assert seen["same"] == answers[0]
    assert "asked" in seen["refused"]
    assert "thread" in seen["unknown"]


def test_a_thread_of_the_door_is_live_everywhere(server: ServerProcess) -> None:
    body = {
        "threadId": "live by AG-UI",
        "runId": "r",
        "messages": [{"id": "m", "role": "user", "content": "/lab endless 50"}],
    }
    with (
        httpx2.stream("POST", f"{server.url}/api/ag-ui", json=body) as response,
        connect(server.socket_url) as socket,
    ):
        lines = response.iter_lines()
        events = (json.loads(line[6:]) for line in lines if line.startswith("data: {"))
        about = next(event["value"] for event in events if event["type"] == "CUSTOM")
        socket.send(
            json.dumps({"type": "resume", "id": "r", "stream": about["stream"], "offset": 0})
        )
        assert json.loads(socket.recv())["state"] == "live"
        shown = httpx2.get(f"{server.url}/api/conversations/{about['conversation']}").json()
        assert shown["turns"][0]["question"] == "/lab endless 50"
        socket.send(json.dumps({"type": "cancel", "id": "r"}))
        last = list(events)[-1]
        assert (last["type"], last["outcome"]) == ("RUN_FINISHED", {"type": "cancelled"})


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 400, "threadId"),
        ({"threadId": "t", "runId": "r", "messages": []}, 400, "messages"),
        ({"threadId": "t", "runId": "", "messages": []}, 400, "runId"),
        ({"threadId": "t", "runId": "r", "messages": 7}, 400, "messages"),
        (
            {
                "threadId": "t",
                "runId": "r",
                "messages": [],
                "resume": [{"interruptId": "x", "status": "resolved", "payload": 1}],
            },
            404,
            "chat",
        ),
    ],
)
def test_an_invalid_run_gets_an_error(
    server: ServerProcess, body: dict[str, Any], status: int, word: str
) -> None:
    response = httpx2.post(f"{server.url}/api/ag-ui", json=body)
    assert response.status_code == status
    assert word in response.json()["message"]
    assert httpx2.get(f"{server.url}/api/ag-ui").status_code == 405
