"""A server with several providers in ``wireside.toml``, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.server_process import Refused, ServerProcess, failures_in
from wireside.testing import FakeOpenAI, answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FILE = """
[[providers]]
name = "other"
base_url = "{other}"
api_key = "sk-other"
roles = ["admin"]
[providers.aliases]
fast = "b"
[[providers]]
name = "down"
base_url = "http://127.0.0.1:9/v1"
[prices."a"]
input = 3
output = 6
"""


def completion(server: ServerProcess, model: str) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    response = httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def usage_of_a_conversation(server: ServerProcess) -> dict[str, Any]:
    """Ask a question in a new conversation; return the usage after its answer."""

    async def ask() -> str:
        async with connect(server.socket_url) as client:
            await client.send('{"type": "chat", "id": "q", "conversation": "new", "message": "Hi"}')
            conversation = ""
            while (frame := json.loads(await client.recv()))["type"] != "done":
                conversation = frame.get("conversation", conversation)
            return conversation

    conversation = asyncio.run(ask())
    response = httpx2.get(f"{server.url}/api/conversations/{conversation}/usage", timeout=30)
    found: dict[str, Any] = response.json()
    return found


def test_the_providers_of_the_file_are_served_beside_the_first_one(tmp_path: Path) -> None:
    with FakeOpenAI(models=["a"]) as main, FakeOpenAI(models=["a", "b"], keys=["sk-other"]) as lab:
        (tmp_path / "wireside.toml").write_text(FILE.format(other=lab.url))
        with ServerProcess(tmp_path, main.url) as server:
            listed = httpx2.get(f"{server.url}/api/models", timeout=30).json()["models"]
            assert [(one["id"], one["provider"]) for one in listed] == [
                ("a", "main"),
                ("other/a", "other"),
                ("b", "other"),
            ]
            lab.answer_with(answer("from the other one"))
            found = completion(server, "fast")
            assert found["choices"][0]["message"]["content"] == "from the other one"
            assert lab.requests[-1].body["model"] == "b"
            main.answer_with(answer(["one ", "two"]))
            usage = usage_of_a_conversation(server)
            assert usage["costs"][0]["currency"] == "$"
            cost = (usage["input_tokens"] * 3 + 2 * 6) / 1e6
            assert usage["costs"][0]["amount"] == pytest.approx(cost)
            assert (usage["answers"], usage["output_tokens"]) == (1, 2)
            log = server.log
        assert "provider_failed" in log
        assert "sk-other" not in log
        assert failures_in(log) == []


def test_a_wrong_file_stops_the_start_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "wireside.toml").write_text('[[providers]]\nname = "x"\napi_key = 7\n')
    with pytest.raises(Refused) as refused:
        ServerProcess(tmp_path).start()
    assert "wireside.toml: providers[1] (x).api_key: it is no text." in str(refused.value)
