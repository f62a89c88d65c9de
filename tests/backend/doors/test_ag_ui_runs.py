"""Runs that answer a question again, or read an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import Message, Scope

from tests.backend.doors.test_door import Client, door
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.service import ChatService
from wireside.doors.ag_ui.app import AgUiDoor
from wireside.doors.door import Door
from wireside.providers.scripted import ScriptedProvider


def run_body(run: str, message: str) -> bytes:
    said = {"id": message, "role": "user", "content": f"Hi {message}"}
    return json.dumps({"threadId": "t", "runId": run, "messages": [said]}).encode()


async def read_run(app: AgUiDoor, run: str, message: str = "m") -> str:
    """Return the text of a run's answer, read to its end."""
    client = Client()
    body: list[Message] = [{"type": "http.request", "body": run_body(run, message)}]

    async def receive() -> Message:
        return body.pop() if body else await client.receive()

    scope: Scope = {"type": "http", "method": "POST", "client": ("192.0.2.1", 5), "headers": []}
    await app(scope, receive, client.send)
    events: list[dict[str, Any]] = [
        json.loads(line[6:]) for line in client.body.decode().split("\n") if line.startswith("data")
    ]
    assert events[-1]["type"] == "RUN_FINISHED"
    return "".join(event.get("delta", "") for event in events)


def built(parts: ChatDependencies) -> AgUiDoor:
    one: Door = door(ChatService(ChatCore(parts, ChatRules())), limit=100)[0]
    return AgUiDoor(one)


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider(("one",), ("two",), ("three",))


async def test_each_new_run_answers_its_question_again(parts: ChatDependencies) -> None:
    app = built(parts)
    assert await read_run(app, "r1") == "one"
    assert await read_run(app, "r2") == "two"
    assert await read_run(app, "r3") == "three"
    # a run that is requested again is read
    assert [await read_run(app, run) for run in ("r1", "r2", "r3")] == ["one", "two", "three"]


async def test_an_older_question_is_answered_again(parts: ChatDependencies) -> None:
    app = built(parts)
    assert await read_run(app, "r1", "m1") == "one"
    assert await read_run(app, "r2", "m2") == "two"
    assert await read_run(app, "r3", "m1") == "three"
    assert await read_run(app, "r1", "m1") == "one"


async def test_after_a_restart_the_first_run_reads_the_answer(parts: ChatDependencies) -> None:
    assert await read_run(built(parts), "r1") == "one"
    await parts.saving.wait_until_all_stored(5)
    app = built(parts)
    assert await read_run(app, "r2") == "one"
    assert await read_run(app, "r3") == "two"
