"""Limits of request bodies, over real connections and with hand-made ASGI calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import ref

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.backend.api.known_paths import with_known_paths
from wireside.api.middleware.body_limits import UNFINISHED_BYTES, BodyLimits
from wireside.api.policy import MAX_BODY_BYTES

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Awaitable[Any]]

PAGE_SOCKET = "/_nicegui_ws/socket.io/"


def post(size: int, path: str = "/x") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()


async def test_a_body_arrives_whole(serve: Serve, echo: Any, connect: Connect) -> None:
    seen: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def noted() -> Message:
            seen.append(await receive())
            return seen[-1]

        await echo(scope, noted if scope["type"] == "http" else receive, send)

    served = await serve(with_known_paths(BodyLimits(app)))
    client = await connect(served.port)
    client.writer.write(post(600_000))
    for _ in range(6):
        client.writer.write(b"x" * 100_000)
        await asyncio.sleep(0.02)
    assert await client.status() == 200
    assert [(len(message["body"]), message["more_body"]) for message in seen] == [(600_000, False)]


async def test_a_body_that_is_too_large_is_refused(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    served = await serve(with_known_paths(BodyLimits(echo)))
    client = await connect(served.port)
    client.writer.write(post(MAX_BODY_BYTES + 500_000) + bytes(MAX_BODY_BYTES + 500_000))
    assert await client.status() == 413
    assert echo.paths == []


async def test_bodies_that_are_never_whole_have_a_bound_over_all_connections(
    serve: Serve, echo: Any, connect: Connect
) -> None:
    """The connection that holds the most is closed; one that sends little is not affected."""
    bodies = BodyLimits(echo)
    served = await serve(with_known_paths(bodies))
    small = await connect(served.port)
    small.writer.write(post(2_000) + b"x" * 1_000)
    clients = []
    for _ in range(12):
        client = await connect(served.port)
        client.writer.write(post(1_000_000) + bytes(900_000))
        await client.writer.drain()
        clients.append(client)
    held = bodies._unfinished
    while held.total < UNFINISHED_BYTES - 900_000:
        await asyncio.sleep(0.01)
    assert held.total <= UNFINISHED_BYTES
    for client in clients:
        client.writer.write(bytes(100_000))
    statuses = [await client.status() for client in clients]
    assert sorted(set(statuses)) == [200, 503]
    assert statuses.count(200) >= UNFINISHED_BYTES // 1_000_000
    small.writer.write(b"x" * 1_000)
    assert await small.status() == 200
    assert held.total == 0


async def test_an_import_passes_in_pieces(serve: Serve, echo: Any, connect: Connect) -> None:
    bodies = BodyLimits(echo)
    served = await serve(with_known_paths(bodies))
    client = await connect(served.port)
    client.writer.write(post(2 * MAX_BODY_BYTES, "/api/conversations/import"))
    client.writer.write(bytes(2 * MAX_BODY_BYTES))
    assert await client.status() == 200


@pytest.mark.parametrize(
    ("method", "path", "messages"),
    [
        ("GET", PAGE_SOCKET, []),
        ("POST", PAGE_SOCKET, []),
        ("POST", "/api/keys", [{"type": "http.request", "body": b"{", "more_body": True}]),
    ],
)
async def test_who_has_left_before_it_was_read_reaches_nobody(
    method: str, path: str, messages: list[Message]
) -> None:
    """The library behind the page's socket would fail and log a traceback."""
    reached: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope)

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise AssertionError("nobody is there")

    bodies = BodyLimits(app)
    await with_known_paths(bodies)({"type": "http", "method": method, "path": path}, receive, send)
    assert reached == []
    assert bodies._unfinished.total == 0


class Body(dict[str, Any]):
    """A message to which there can be weak references."""


def post_scope() -> Scope:
    return {"type": "http", "method": "POST", "path": "/api/keys", "headers": []}


async def test_a_body_in_one_message_has_the_same_limit() -> None:
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("the body is too large")

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(MAX_BODY_BYTES + 1)}

    async def send(message: Message) -> None:
        sent.append(message)

    await with_known_paths(BodyLimits(app))(post_scope(), receive, send)
    assert sent[0]["status"] == 413


async def test_a_body_is_released_once_the_application_has_it() -> None:
    messages = [Body(type="http.request", body=b"{}")]
    body = ref(messages[0])

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        assert (await receive())["body"] == b"{}"
        assert body() is None

    async def receive() -> Message:
        return messages.pop()

    async def send(_: Message) -> None:
        raise AssertionError("the application sends nothing")

    await with_known_paths(BodyLimits(app))(post_scope(), receive, send)
