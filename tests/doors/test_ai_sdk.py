"""The AI SDK's own clients against the door."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

Run = Callable[..., Any]


@pytest.mark.parametrize("transport", ["ws", "sse"])
def test_the_client_reads_each_kind_of_answer(
    node: Run, server: ServerProcess, model: FakeOpenAI, transport: str
) -> None:
    asked = len(model.chats)
    seen = node("ai_sdk.mjs", url=server.url, transport=transport)
    text = model.text
    assert (seen["text"]["text"], "error" in seen["text"]) == (text(60, 4), False)
    metadata = seen["text"]["message"]["metadata"]
    assert metadata["usage"] == {"inputTokens": 7, "outputTokens": 60}
    kinds = [part["type"] for part in seen["parts"]["message"]["parts"]]
    assert kinds == ["step-start", "text", "dynamic-tool", "text", "reasoning", "text"]
    assert "again" in seen["error"]["error"]
    assert seen["error"]["text"]  # what was written before the error is kept
    assert "12 s" in seen["status"]["error"]
    repeated = seen["repeated"]
    assert repeated["first"] == repeated["second"]
    turns = seen["turns"]
    assert [turns[name]["text"] for name in "abcd"] == ["one", "two", "three", "three"]
    assert turns["c"]["message"]["id"] != turns["b"]["message"]["id"]
    assert turns["d"]["message"]["id"] != turns["c"]["message"]["id"]
    assert turns["e"] == turns["d"]  # the same request again
    cut = seen["cut"]
    assert cut["whole"]["text"].startswith(cut["before"]["text"])
    assert len(cut["before"]["text"]) < len(cut["whole"]["text"])
    assert (cut["after"]["text"], "error" in cut["after"]) == (cut["whole"]["text"], False)
    assert cut["after"]["message"]["id"] == cut["before"]["message"]["id"]
    assert seen["none"] is True
    assert seen["stopped"]["text"]
    assert "usage" not in seen["stopped"]["message"]["metadata"]
    assert [seen["both"][name]["text"] for name in "xy"] == [text(60, 1), text(60, 2)]
    assert seen["file"]["text"].startswith("a picture")
    assert "no-such-model" in seen["model"]["error"]
    contexts = [json.dumps(request.body["messages"]) for request in model.chats[asked:]]
    assert sum("tokens 20 0 5" in one for one in contexts) == 1
    assert sum("/lab say three" in one for one in contexts) == 2
    (with_file,) = (one for one in contexts if "a picture" in one)
    assert "hello" in with_file
    (with_history,) = (one for one in contexts if "remembered" in one)
    assert "My colour?" in with_history
    assert "Blue." in with_history


@pytest.mark.parametrize("transport", ["ws", "sse"])
def test_the_hooks_answer_the_questions_of_a_handler(
    node: Run, asking_server: ServerProcess, transport: str
) -> None:
    seen = node("ai_sdk_chat.mjs", url=asking_server.url, transport=transport)
    assert seen["errors"] == []
    parts = seen["asked"]["parts"]
    kinds = [part["type"] for part in parts]
    assert kinds == [
        "step-start",
        "reasoning",
        "data-step",
        "source-url",
        "source-document",
        "file",
        "data-table",
        "dynamic-tool",
    ]
    assert parts[2]["data"]["output"] == "found"
    assert parts[5]["url"].startswith("data:image/png;base64,")
    assert parts[7]["input"]["prompt"] == "Go on?"
    answered = seen["answered"]
    assert answered["id"] == seen["asked"]["id"] == seen["approved"]["id"]
    assert seen["count"] == 2
    texts = [part["text"] for part in answered["parts"] if part["type"] == "text"]
    assert texts == ["Going on. ", "It is blue."]
    assert answered["metadata"]["usage"] is not None
    assert [part for part in answered["parts"] if part["type"] == "dynamic-tool"][1][
        "output"
    ] == "blue"
    replayed = [part["type"] for part in seen["replayed"]["parts"]]
    assert replayed == [part["type"] for part in answered["parts"]]
    denied = seen["denied"]["parts"]
    assert denied[-1]["text"] == "Stopped."
    assert [part["state"] for part in denied if part["type"] == "dynamic-tool"] == ["output-denied"]


def frames_of(server: ServerProcess) -> Any:
    return connect(server.socket_url)


def test_a_chat_of_the_door_is_live_everywhere(server: ServerProcess) -> None:
    """What the door asks is read through ``/ws/ai-chat`` and REST, and stopped from there."""
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "/lab endless 50"}]}
    body = {"id": "live", "messages": [message]}
    with (
        httpx2.stream("POST", f"{server.url}/api/ai-sdk/chat", json=body) as response,
        frames_of(server) as socket,
    ):
        lines = response.iter_lines()
        events = (json.loads(line[6:]) for line in lines if line.startswith("data: {"))
        start = next(events)
        stream, conversation = start["messageId"], start["messageMetadata"]["conversation"]
        socket.send(json.dumps({"type": "resume", "id": "r", "stream": stream, "offset": 0}))
        assert json.loads(socket.recv())["state"] == "live"
        assert json.loads(socket.recv())["content"]
        shown = httpx2.get(f"{server.url}/api/conversations/{conversation}").json()
        assert shown["turns"][0]["question"] == "/lab endless 50"
        socket.send(json.dumps({"type": "cancel", "id": "r"}))
        last = [event["type"] for event in events][-1]
        assert last == "abort"
        while (frame := json.loads(socket.recv()))["type"] != "done":
            pass
        assert frame["reason"] == "cancelled"


def test_the_answer_goes_on_when_a_reader_leaves(server: ServerProcess) -> None:
    message = {
        "id": "m",
        "role": "user",
        "parts": [{"type": "text", "text": "/lab tokens 40 40 3"}],
    }
    body = {"id": "left", "messages": [message]}
    with httpx2.stream("POST", f"{server.url}/api/ai-sdk/chat", json=body) as response:
        next(response.iter_lines())
    whole = httpx2.get(f"{server.url}/api/ai-sdk/chat/left/stream").text
    assert '"finishReason":"stop"' in whole
    assert httpx2.delete(f"{server.url}/api/ai-sdk/chat/left/stream").status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"{", 400, "JSON"),
        (b"[]", 400, "JSON"),
        (b"\xff", 400, "UTF-8"),
        (b"{}", 400, "messages"),
        (b'{"id":"a","messages":[]}', 400, "the last one is the question"),
        (b'{"id":"a","messages":[{"role":"user"}]}', 400, "parts"),
        (b'{"id":7,"messages":[{"role":"user","parts":[]}]}', 400, "id"),
        (b'{"id":"a","messages":[{"role":"user","parts":[]}]}', 400, "blank"),
        (
            b'{"id":"a","model":"x","messages":[{"role":"user","parts":[{"type":"text","text":"Hi"}]}]}',
            404,
            "x",
        ),
        (
            b'{"id":"a","messages":[{"role":"user","parts":[{"type":"file","url":"https://x.example/a"}]}]}',
            400,
            "files",
        ),
    ],
)
def test_an_invalid_request_gets_a_sentence(
    server: ServerProcess, body: bytes, status: int, sentence: str
) -> None:
    response = httpx2.post(f"{server.url}/api/ai-sdk/chat", content=body)
    assert (response.status_code, sentence in response.text) == (status, True)
    assert response.headers["content-type"].startswith("text/plain")
    assert httpx2.get(f"{server.url}/api/ai-sdk/chat").status_code == 405


def test_an_invalid_frame_gets_an_error(server: ServerProcess) -> None:
    with connect(server.socket_url.replace("ai-chat", "ai-sdk")) as socket:
        for sent, request_id in (
            ("{", ""),
            (b"\xff", ""),
            ('{"type":"send"}', ""),
            ('{"type":"send","requestId":"r"}', "r"),
            ('{"type":"what","requestId":"r"}', "r"),
            ('{"type":"resume","requestId":"r"}', "r"),
        ):
            socket.send(sent)
            answer = json.loads(socket.recv())
            assert (answer["type"], answer["requestId"]) == ("error", request_id)
            assert answer["errorText"]
        socket.send('{"type":"abort","requestId":"unknown"}')
        socket.send('{"type":"resume","requestId":"r","id":"unknown"}')
        assert json.loads(socket.recv()) == {"type": "no-active", "requestId": "r"}


def test_a_replay_that_is_replaced_does_not_stop_the_answer(server: ServerProcess) -> None:
    """React's StrictMode begins a replay twice; a stop alone stops the answer."""
    text = [{"type": "text", "text": "/lab endless 50"}]
    message = {"id": "m", "role": "user", "parts": text}
    frame = {"headers": {}, "body": {}, "id": "strict"}
    with connect(server.socket_url.replace("ai-chat", "ai-sdk")) as socket:

        def send(kind: str, request_id: str, **fields: Any) -> None:
            socket.send(json.dumps({"type": kind, "requestId": request_id, **frame, **fields}))

        def read_until(kind: str, request_id: str) -> dict[str, Any]:
            while True:
                found: dict[str, Any] = json.loads(socket.recv(timeout=30))
                inner = found.get("chunk", {}).get("type", found["type"])
                if found["requestId"] == request_id and kind == inner:
                    return found

        send("send", "ask", trigger="submit-message", messages=[message])
        read_until("text-delta", "ask")
        send("resume", "first")
        send("abort", "first")
        send("resume", "second")
        read_until("text-delta", "second")
        time.sleep(0.5)  # longer than a stop waits for another replay
        while True:  # what was sent before
            try:
                socket.recv(timeout=0)
            except TimeoutError:
                break
        read_until("text-delta", "second")
        send("abort", "second")
        read_until("abort", "ask")


def test_pages_of_other_sites_are_refused(server: ServerProcess) -> None:
    """The door's socket and routes check the origin as ``/ws/ai-chat`` and the REST API do."""
    address = server.socket_url.replace("ai-chat", "ai-sdk")
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=Origin("https://evil.example"))
    assert refused.value.response.status_code == 403
    headers = {"Origin": "https://evil.example"}
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "/lab say hi"}]}
    for path, body in (
        ("/api/ai-sdk/chat", {"id": "evil", "messages": [message]}),
        ("/api/ag-ui", {"threadId": "evil", "runId": "r", "messages": []}),
    ):
        response = httpx2.post(f"{server.url}{path}", json=body, headers=headers)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


def test_one_conversation_has_one_name_in_all_doors(server: ServerProcess) -> None:
    """The same message of the same chat is asked once, whichever door it comes through."""
    text = "/lab say once"
    parts = [{"type": "text", "text": text}]
    sdk = {"id": "shared", "messages": [{"id": "m", "role": "user", "parts": parts}]}
    run = {
        "threadId": "shared",
        "runId": "r",
        "messages": [{"id": "m", "role": "user", "content": text}],
    }
    first = httpx2.post(f"{server.url}/api/ai-sdk/chat", json=sdk).text
    second = httpx2.post(f"{server.url}/api/ag-ui", json=run).text
    stream = json.loads(first.split("\n")[0][6:])["messageId"]
    assert f'"stream":"{stream}"' in second
    assert httpx2.get(f"{server.url}/api/streams/{stream}").text == "once"
