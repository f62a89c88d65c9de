"""CORS: what pages of other origins may read, over real sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from tests.backend.api.known_paths import guards
from wireside.settings.model import Settings

Serve = Callable[..., Awaitable[Any]]

ALLY, STRANGER = "https://ally.example", "https://stranger.example"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 200, or refuse the request."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    status = 401 if scope["path"] == "/api/refused" else 200
    headers = [(b"content-length", b"0"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def ask(serve: Serve) -> Callable[..., Awaitable[httpx2.Response]]:
    async def ask_one(
        path: str, origin: str = ALLY, method: str = "GET", **headers: str
    ) -> httpx2.Response:
        settings = Settings(
            allowed_origins=(ALLY, "https://*.ally.example", "null"),
            requests_per_minute_address=60,
        )
        served = await serve(guards(app, settings))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
            return await client.request(method, path, headers={"Origin": origin} | named)

    return ask_one


@pytest.mark.parametrize("path", ["/api/models", "/api/refused", "/assets/client/wireside.js"])
@pytest.mark.parametrize("origin", [ALLY, "https://x.ally.example", "null"])
async def test_a_listed_page_may_read(ask: Any, path: str, origin: str) -> None:
    response = await ask(path, origin)
    assert response.headers["access-control-allow-origin"] == origin
    assert "retry-after" in response.headers["access-control-expose-headers"]
    assert "Origin" in response.headers["vary"]
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/api/models", STRANGER),
        ("/api/models", "https://ally.example.evil"),
        ("/", ALLY),
        ("/login", ALLY),
        ("/s/snapshot", ALLY),
        ("/metrics", ALLY),
    ],
)
async def test_no_other_page_and_no_other_path(ask: Any, path: str, origin: str) -> None:
    response = await ask(path, origin)
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_a_browser_is_told_what_a_listed_page_may_send(ask: Any) -> None:
    asked = {
        "Access_Control_Request_Method": "DELETE",
        "Access_Control_Request_Headers": "authorization, x-own",
        "Access_Control_Request_Private_Network": "true",
    }
    response = await ask("/api/conversations", method="OPTIONS", **asked)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ALLY
    assert "DELETE" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == "authorization, x-own"
    assert response.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in response.headers
    for path, origin in (("/api/conversations", STRANGER), ("/login", ALLY)):
        response = await ask(path, origin, "OPTIONS", **asked)
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_every_page_only_where_there_are_accounts() -> None:
    with pytest.raises(ValueError, match="every web page"):
        guards(app, Settings(allowed_origins=("*",)))
    settings = Settings(allowed_origins=("*",), auth="password")
    guards(app, settings)
    assert settings.loose_origins is not None
    assert Settings(allowed_origins=("https://ally.example",)).loose_origins is None
    assert "null" in str(Settings(allowed_origins=("null",)).loose_origins)
