"""Access to /metrics."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI

from wireside.api.routes.metrics import metrics_routes


async def render(accept: str) -> tuple[bytes, str]:
    return f"figures for {accept}".encode(), "text/plain; version=0.0.4"


async def asked(
    token: str | None, *, peer: str = "127.0.0.1", **headers: str | bytes
) -> httpx2.Response:
    app = FastAPI()
    app.include_router(metrics_routes(render, token))
    transport = httpx2.ASGITransport(app, client=(peer, 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        named = [
            (name.replace("_", "-").encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in headers.items()
        ]
        return await client.get("/metrics", headers=named)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
async def test_this_machine_gets_them(peer: str) -> None:
    response = await asked(None, peer=peer, accept="text/plain")
    assert (response.status_code, response.text) == (200, "figures for text/plain")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.168.1.2", "8.8.8.8", "::ffff:10.0.0.1", ""])
async def test_others_are_told_that_there_is_nothing(peer: str) -> None:
    response = await asked(None, peer=peer)
    assert response.status_code == 404
    assert "figures" not in response.text


@pytest.mark.parametrize(
    "header", ["x_forwarded_for", "x_real_ip", "forwarded", "via", "x_forwarded_host"]
)
async def test_who_comes_through_a_proxy_is_not_this_machine(header: str) -> None:
    """Not even if it claims to be: the proxy's own users write that header."""
    response = await asked(None, **{header: "127.0.0.1"})
    assert response.status_code == 404


async def test_with_a_token_only_the_token_counts() -> None:
    good = await asked("s3cret", peer="8.8.8.8", authorization="Bearer s3cret", via="1.1 proxy")
    assert good.status_code == 200
    for wrong in (
        "",
        "s3cret",
        "Bearer",
        "Bearer ",
        "Bearer s3cre",
        "Bearer s3crett",
        "Basic s3cret",
    ):
        response = await asked("s3cret", authorization=wrong)
        assert response.status_code == 401, wrong
        assert response.headers["www-authenticate"].startswith("Bearer ")
        assert "figures" not in response.text
    assert (await asked("s3cret")).status_code == 401
    unusual = await asked("geheimniß", authorization="bearer geheimniß".encode())
    assert unusual.status_code == 200
