"""The door `openai` with the openai package for JavaScript."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.doors.test_openai_python import IMAGE
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

PASSED_ON = {
    "seed": 7,
    "stop": ["END"],
    "reasoning_effort": "low",
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    },
}
"""Parameters that reach the model service."""


def test_the_package_gets_all_that_the_door_offers(
    node: Callable[..., Any], server: ServerProcess, model: FakeOpenAI
) -> None:
    before = len(model.chats)
    found = node("openai.mjs", url=server.url, image=IMAGE, passedOn=PASSED_ON)
    sent = [chat.body for chat in model.chats[before:] if "seed" in chat.body]
    assert [{name: body[name] for name in PASSED_ON} for body in sent] == [PASSED_ON]
    assert found["streamed"] == found["accumulated"] == FakeOpenAI.text(60)
    assert found["usage"] > 0
    assert found["whole"] == FakeOpenAI.text(300)
    assert (found["city"], found["result"]) == ("Zürich", "12 degrees")
    assert (found["last"], found["resumed"]) == ("response.completed", True)
    assert found["kinds"] == ["message", "function_call", "message", "reasoning", "message"]
    assert found["cancelled"] == "cancelled"
    assert found["next"] == "next"
    assert found["models"] == ["lab-1", "lab-2"]
    while model.open_streams:  # the answer whose reading was broken off
        time.sleep(0.01)
