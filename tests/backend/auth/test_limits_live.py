"""Rate limits as clients meet them.

A real server behind an authenticating proxy, real sockets, counted in memory and in a real Redis.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ADA = {"X-Forwarded-User": "ada"}
LONG_S = 30


class Running(ServerProcess):
    """A server, and the requests of its clients."""

    async def ask(
        self, method: str, path: str, headers: dict[str, str] = ADA, **more: Any
    ) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=LONG_S) as client:
            return await client.request(method, self.url + path, headers=headers, **more)

    async def key(self, **limits: int) -> dict[str, str]:
        """Create another key of ada's; return the header that carries it."""
        new = {"name": "script", "scopes": ["chat", "read"], **limits}
        made = await self.ask("POST", "/api/keys", json=new)
        assert made.status_code == 201, made.text
        return {"Authorization": f"Bearer {made.json()['key']}"}

    def socket(self, headers: dict[str, str] = ADA) -> connect:
        return connect(self.socket_url, additional_headers=headers)


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(count=3) as lab:
        yield lab


@pytest.fixture
async def start(lab: FakeOpenAI, tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start_with(**settings: Any) -> Running:
            server = Running(tmp_path, lab.url, auth="proxy", **settings)
            return await stack.enter_async_context(server)

        yield start_with


@pytest.fixture(params=["memory", "redis"])
def counted(request: pytest.FixtureRequest) -> dict[str, str]:
    """Where limits are counted, as settings."""
    if request.param == "memory":
        return {}
    return {"redis_url": request.getfixturevalue("redis_url")}


async def send(socket: ClientConnection, **frame: object) -> None:
    await socket.send(json.dumps(frame))


async def frame_of(socket: ClientConnection, *types: str) -> dict[str, Any]:
    """Return the next frame of these types."""
    async with asyncio.timeout(LONG_S):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["type"] in types:
                return frame


async def told(socket: ClientConnection, request_id: str, **more: object) -> dict[str, Any]:
    """Ask a question, and return how it ends."""
    await send(socket, type="chat", id=request_id, message="Hi", **more)
    return await frame_of(socket, "done", "error")


async def test_eight_questions_at_once_find_two_places(
    start: Start, lab: FakeOpenAI, counted: dict[str, str]
) -> None:
    server = await start(user_streams=2, **counted)
    lab.answer_with(*[answer(["never ", "ends"]).stalled(1)] * 8)
    async with server.socket() as socket:
        for number in range(8):
            await send(socket, type="chat", id=f"q{number}", message="Hi", conversation="new")
        first = [await frame_of(socket, "start", "error") for _ in range(8)]
        begun = [frame["id"] for frame in first if frame["type"] == "start"]
        refused = [frame for frame in first if frame["type"] == "error"]
        assert len(begun) == 2
        assert {(frame["code"], frame["retryable"]) for frame in refused} == {("too_many", True)}
        async with server.socket(await server.key()) as other:  # of the same user
            assert (await told(other, "x"))["code"] == "too_many"
        me = (await server.ask("GET", "/api/me")).json()
        assert (me["streams_left"], me["streams_limit"]) == (0, 2)
        await send(socket, type="cancel", id=begun[0])
        assert (await frame_of(socket, "done"))["id"] == begun[0]
        await send(socket, type="chat", id="q8", message="Hi", conversation="new")
        assert (await frame_of(socket, "start", "error"))["type"] == "start"
        assert (await told(socket, "q9", conversation="new"))["code"] == "too_many"
        await send(socket, type="cancel", id=begun[1])
        await send(socket, type="cancel", id="q8")
        for _ in range(2):
            await frame_of(socket, "done")
    assert (await server.ask("GET", "/api/me")).json()["streams_left"] == 2


async def test_a_limit_of_messages_is_the_users_over_all_connections_and_keys(
    start: Start, counted: dict[str, str]
) -> None:
    server = await start(user_messages_per_minute=3, **counted)
    key = await server.key()
    async with server.socket() as socket:
        assert [(await told(socket, f"q{n}"))["type"] for n in range(3)] == ["done"] * 3
        refused = await told(socket, "q3")
        assert refused["message"] == "Rate limit exceeded"
        assert (refused["code"], refused["retryable"]) == ("rate_limited", True)
        assert 0 < refused["retry_after"] <= 61
    for headers in (ADA, key, await server.key()):  # a key that has just been created
        async with server.socket(headers) as socket:
            again = await told(socket, "q0", conversation="new")
            assert again["code"] == "rate_limited"
            assert 0 < again["retry_after"] <= refused["retry_after"]
    async with server.socket({"X-Forwarded-User": "grace"}) as socket:
        assert (await told(socket, "q0"))["type"] == "done"


async def test_a_key_may_have_limits_of_its_own(start: Start) -> None:
    server = await start()
    few = await server.key(messages_per_minute=1)
    async with server.socket(few) as socket:
        assert (await told(socket, "a"))["type"] == "done"
    async with server.socket(few) as socket:
        assert (await told(socket, "a"))["code"] == "rate_limited"
    async with server.socket(await server.key(streams=1)) as socket:
        await send(socket, type="chat", id="a", message="/lab 500 5", conversation="new")
        await send(socket, type="chat", id="b", message="Hi", conversation="new")
        first = [await frame_of(socket, "start", "error") for _ in range(2)]
        assert sorted(frame["type"] for frame in first) == ["error", "start"]
    async with server.socket() as socket:  # no other user is limited
        assert (await told(socket, "a"))["type"] == "done"


async def test_rest_tells_what_is_left_and_when_there_is_more(
    start: Start, counted: dict[str, str]
) -> None:
    server = await start(
        user_messages_per_minute=5, user_tokens_per_day=10_000, requests_per_minute=4, **counted
    )
    key = await server.key()
    async with server.socket(key) as socket:
        await told(socket, "a")
    response = await server.ask("GET", "/api/me", key)
    me = response.json()
    assert response.headers["RateLimit-Policy"] == (
        '"requests";q=4;w=60, "messages";q=5;w=60, "tokens";q=10000;w=86400'
    )
    left = dict(item.split(";", 1) for item in response.headers["RateLimit"].split(", "))
    assert left.keys() == {'"requests"', '"messages"', '"tokens"'}
    values = {
        name.strip('"'): dict(one.split("=") for one in rest.split(";"))
        for name, rest in left.items()
    }
    assert [values[name]["r"] for name in ("requests", "messages")] == ["3", "4"]
    assert int(values["tokens"]["r"]) == me["tokens_left"] < 10_000
    assert 0 < int(values["messages"]["t"]) <= 61
    for _ in range(3):
        assert (await server.ask("GET", "/api/models", key)).status_code == 200
    refused = await server.ask("GET", "/api/models", key)
    assert refused.status_code == 429
    assert refused.json() == {"message": "Rate limit exceeded", "code": "rate_limited"}
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    assert '"requests";r=0;t=' + refused.headers["Retry-After"] in refused.headers["RateLimit"]
    assert "messages" in refused.headers["RateLimit-Policy"]
    assert (await server.ask("GET", "/api/models")).status_code == 200  # without the key
