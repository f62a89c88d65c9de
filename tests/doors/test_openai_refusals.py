"""What middlewares refuse below /v1, as the openai package sees it; and hostile requests."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.doors.test_openai_python import say
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI


def test_an_unknown_key_is_an_authentication_error(model: FakeOpenAI, tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, model.url, OPENAI_API_KEY="lab", auth="password") as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        for refused in (
            lambda: client.models.list(),
            lambda: client.chat.completions.create(model="m", messages=say("Hi")),
            lambda: client.responses.retrieve("resp_x"),
        ):
            with pytest.raises(openai.AuthenticationError) as raised:
                refused()
            assert raised.value.type == "authentication_error"
            assert raised.value.code == "unauthorized"
        assert httpx2.get(f"{server.url}/v1/none").json()["error"]["code"] == "unauthorized"


def test_limits_are_told_and_retried_after(model: FakeOpenAI, tmp_path: Path) -> None:
    limits: Any = {"messages_per_minute_address": 2}
    with (
        ServerProcess(tmp_path, model.url, OPENAI_API_KEY="lab", **limits) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        for _ in range(2):
            client.chat.completions.create(model="lab-1", messages=say("/lab say Hi"))
        with pytest.raises(openai.RateLimitError) as raised:
            client.responses.create(model="lab-1", input="Hi")
        assert raised.value.code == "rate_limit_exceeded"
        assert 0 < int(raised.value.response.headers["retry-after"]) <= 60
        with pytest.raises(openai.APIStatusError) as large:
            client.chat.completions.create(model="lab-1", messages=say("x" * 29 * 2**20))
        assert large.value.status_code == 413
        assert large.value.code == "too_large"
        told = httpx2.get(f"{server.url}/v1/models").headers
        assert told["x-ratelimit-limit-requests"] == "600"


def test_pages_of_allowed_origins_may_ask(model: FakeOpenAI, tmp_path: Path) -> None:
    origin = "https://app.example.org"
    with ServerProcess(tmp_path, model.url, OPENAI_API_KEY="lab", allowed_origins=origin) as server:
        asked = httpx2.options(
            f"{server.url}/v1/chat/completions",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,x-stainless-lang",
            },
        )
        assert asked.status_code == 204
        assert "x-stainless-lang" in asked.headers["access-control-allow-headers"]
        given = httpx2.get(f"{server.url}/v1/models", headers={"Origin": origin})
        assert given.headers["access-control-allow-origin"] == origin


def hostile(dice: random.Random) -> bytes:
    """Return a body that is nearly right."""
    right = (
        b'{"model": "lab-1", "messages": [{"role": "user", "content": "/lab say Hi"}],'
        b' "input": "/lab say Hi", "tools": [{"type": "function", "name": "f",'
        b' "function": {"name": "f"}}], "metadata": {"conversation": "hostile"}, "stream": false}'
    )
    body = bytearray(right)
    for _ in range(dice.choice((1, 1, 2, 5))):
        place = dice.randrange(len(body))
        match dice.choice(("change", "remove", "repeat", "cut", "insert")):
            case "change":
                body[place] = dice.randrange(256)
            case "remove":
                del body[place : place + dice.randrange(1, 9)]
            case "repeat":
                body[place:place] = body[place : place + dice.randrange(1, 30)]
            case "cut":
                del body[place:]
            case "insert":
                words = (b"null", b"{}", b"[]", b"1e999", b'"\\ud800"', b"[" * 100, b"-1", b"true")
                body[place:place] = dice.choice(words)
        if not body:
            return b""
    return bytes(body)


def test_no_body_is_a_failure(server: ServerProcess) -> None:
    dice = random.Random(5)
    paths = ("chat/completions", "responses")
    statuses: set[int] = set()
    with httpx2.Client(base_url=f"{server.url}/v1/") as client:
        for number in range(300):
            response = client.post(paths[number % 2], content=hostile(dice))
            statuses.add(response.status_code)
            if response.status_code != 200:
                error = response.json()["error"]
                assert error.keys() == {"message", "type", "param", "code"}
                assert error["message"].endswith(".")
        for path in (
            "responses/x",
            "responses/resp_x",
            "responses/resp_x/y",
            "x/../../y",
            "models/%00",
        ):
            for method in ("GET", "DELETE", "PUT"):
                answer = client.request(method, path)
                assert answer.status_code in (400, 404, 405), (method, path)
    assert all(status < 500 for status in statuses)
    assert {200, 400} <= statuses
