"""Requests of any form break nothing: each gets an answer or an error in the door's own format."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from tests.doors.hostile import bodies
from tests.server_process import ServerProcess, failures_in

AI_SDK: dict[str, Any] = {
    "id": "chat",
    "trigger": "submit-message",
    "messageId": "m2",
    "model": "lab-1",
    "system": "Be kind.",
    "temperature": 1,
    "options": {"a": 1},
    "messages": [
        {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "/lab say hi"}]},
        {
            "id": "a1",
            "role": "assistant",
            "parts": [
                {
                    "type": "dynamic-tool",
                    "toolName": "ask_approve",
                    "toolCallId": "question-1",
                    "state": "approval-responded",
                    "approval": {"id": "question-1", "approved": True},
                }
            ],
        },
        {
            "id": "m2",
            "role": "user",
            "parts": [
                {"type": "text", "text": "/lab say hi"},
                {"type": "file", "mediaType": "text/plain", "url": "data:text/plain;base64,aGk="},
            ],
        },
    ],
}


AG_UI: dict[str, Any] = {
    "threadId": "hostile",
    "runId": "r",
    "messages": [
        {"id": "m1", "role": "user", "content": "/lab say hi"},
        {"id": "a1", "role": "assistant", "content": "hi"},
        {"id": "s", "role": "system", "content": "Be kind."},
        {
            "id": "m2",
            "role": "user",
            "content": [
                {"type": "text", "text": "/lab say hi"},
                {
                    "type": "document",
                    "source": {"type": "data", "value": "aGk=", "mimeType": "text/plain"},
                },
            ],
        },
    ],
    "tools": [],
    "context": [{"description": "a", "value": "b"}],
    "state": {},
    "forwardedProps": {"model": "lab-1", "temperature": 1},
    "resume": [{"interruptId": "x", "status": "cancelled"}],
}


@pytest.mark.parametrize(("path", "valid"), [("/api/ai-sdk/chat", AI_SDK), ("/api/ag-ui", AG_UI)])
def test_hostile_bodies_break_nothing(
    server: ServerProcess, path: str, valid: dict[str, Any]
) -> None:
    before = len(server.log)
    statuses = set()
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        for body in bodies(valid, 150):
            content = body.encode("utf-8", "surrogatepass")
            headers = {"Content-Type": "application/json"}
            response = client.post(path, content=content, headers=headers)
            statuses.add(response.status_code)
            assert response.status_code < 500, (response.status_code, body[:300])
            assert response.text
        assert {200, 400} <= statuses
        assert client.post(path, json=valid).status_code == 200
    assert failures_in(server.log[before:]) == []


def test_hostile_frames_break_nothing(server: ServerProcess) -> None:
    before = len(server.log)
    valid = {
        "type": "send",
        "requestId": "r",
        "headers": {"authorization": "Bearer nothing"},
        "body": {"model": "lab-1"},
        **{name: AI_SDK[name] for name in ("id", "trigger", "messageId", "messages")},
    }
    with connect(server.socket_url.replace("ai-chat", "ai-sdk"), max_size=None) as socket:
        for body in bodies(valid, 150, seed=8):
            socket.send(body.encode("utf-8", "surrogatepass"))
        socket.send(json.dumps({"type": "resume", "requestId": "last", "id": "unknown"}))
        while (frame := json.loads(socket.recv(timeout=30)))["requestId"] != "last":
            assert frame["type"] in ("start", "chunk", "end", "error", "no-active")
    assert failures_in(server.log[before:]) == []


def test_hostile_reads_break_nothing(server: ServerProcess) -> None:
    before = len(server.log)
    names = ("x", "%00", "a" * 300, "..%2f..", "%E2%80%AE", "-1")
    values = ("", "-1", "now", "0", "9" * 30, "%00", "'", "NaN", "%D9%A3", "-1&offset=0")
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        for name in names:
            for value in values:
                for live in ("", "&live=sse", "&live=long-poll", "&live=what", "&cursor=x"):
                    response = client.get(f"/api/streams/{name}?offset={value}{live}")
                    assert response.status_code in (400, 404, 410), (name, value, live)
                    assert response.text
    assert failures_in(server.log[before:]) == []
