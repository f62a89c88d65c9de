"""The cookie that names the server of a page."""

from __future__ import annotations

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from wireside.api.middleware.replica_cookie import ReplicaCookie


async def _page(_: Request) -> Response:
    return HTMLResponse("page", headers={"Set-Cookie": "other=1"})


async def _data(_: Request) -> Response:
    return JSONResponse({})


@pytest.mark.parametrize(("root", "path"), [("", "/"), ("/tools/chat", "/tools/chat")])
async def test_a_page_names_its_server(root: str, path: str) -> None:
    routes = [Route("/", _page), Route("/data", _data)]
    app = ReplicaCookie(Starlette(routes=routes), name="w1")
    transport = httpx2.ASGITransport(app, root_path=root)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        page, data = await client.get(f"{root}/"), await client.get(f"{root}/data")
    assert page.headers.get_list("set-cookie") == [
        "other=1",
        f"wireside_replica=w1; Path={path}; HttpOnly; SameSite=Lax",
    ]
    assert "set-cookie" not in data.headers
