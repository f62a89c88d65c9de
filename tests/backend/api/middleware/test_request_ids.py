"""What log lines are bound to: requests, connections, users."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from wireside.api.middleware.request_ids import CallerIds, RequestIds


class Caller:
    user_id = "u-17"


class SignIn:
    """A stand-in for the authentication middleware, between ``RequestIds`` and ``CallerIds``."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"] == b"known":
            scope["state"]["caller"] = Caller()
        await self.app(scope, receive, send)


def ids() -> dict[str, Any]:
    return dict(structlog.contextvars.get_contextvars())


async def show(_: Request) -> JSONResponse:
    return JSONResponse(ids())


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(ids())
    await socket.close()


APP = RequestIds(
    SignIn(CallerIds(Starlette(routes=[Route("/", show), WebSocketRoute("/ws", talk)])))
)


async def get(path: str = "/", **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(APP)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        named = [(name.encode(), value.encode()) for name, value in headers.items()]
        return await client.get(path, headers=named)


@pytest.fixture(autouse=True)
def _nothing_bound() -> None:
    structlog.contextvars.clear_contextvars()


async def test_each_request_has_an_id_that_the_response_tells() -> None:
    first, second = await get(), await get()
    assert first.json() == {"request": first.headers["x-request-id"]}
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_a_sane_id_is_taken_over() -> None:
    response = await get(**{"X-Request-Id": "abc-123:4.5_X"})
    assert response.headers["x-request-id"] == "abc-123:4.5_X"
    assert response.json() == {"request": "abc-123:4.5_X"}


@pytest.mark.parametrize("insane", ["", "a b", "x" * 65, "a\tb", 'a"b', "é", "a/b", "${x}"])
async def test_another_one_is_not(insane: str) -> None:
    response = await get(**{"X-Request-Id": insane})
    assert response.headers["x-request-id"] not in ("", insane)
    assert insane not in response.json()["request"] or not insane


async def test_the_user_is_named_where_somebody_is_known() -> None:
    assert (await get("/?known")).json()["user"] == "u-17"
    structlog.contextvars.clear_contextvars()
    assert "user" not in (await get()).json()


def test_a_websocket_is_a_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await APP(scope, receive, send)

    with TestClient(app).websocket_connect("/ws?known") as socket:
        bound = socket.receive_json()
    assert set(bound) == {"connection", "user"}
    assert len(bound["connection"]) == 16
