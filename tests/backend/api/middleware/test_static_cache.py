"""Static files are compressed and read once, and nothing else is cached."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from wireside.api.middleware.route_policy import RoutePolicyLookup
from wireside.api.middleware.static_cache import StaticFileCache
from wireside.api.policy import STATIC, RoutePolicies

POLICIES = RoutePolicies(declared={"/static/{path:path}": STATIC})


class Files:
    """Serves ``body`` and counts the requests for it."""

    def __init__(self, **headers: str) -> None:
        self.asked = 0
        self.headers = headers
        app = Starlette(routes=[Route("/{path:path}", self.serve, methods=["GET", "POST"])])
        app.add_middleware(GZipMiddleware, minimum_size=10)
        cached = RoutePolicyLookup(StaticFileCache(app), POLICIES)

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await cached(scope, receive, send)

        self.client = TestClient(served)

    async def serve(self, request: Request) -> Response:
        self.asked += 1
        name = request.url.path + request.url.query
        return Response(name * 50, headers=self.headers, media_type="text/css")


LASTING = {"Cache-Control": "public, max-age=3600"}


def test_a_lasting_file_is_asked_for_once() -> None:
    files = Files(**LASTING)
    first, second = (files.client.get("/static/a.css") for _ in range(2))
    assert files.asked == 1
    assert (first.content, dict(first.headers)) == (second.content, dict(second.headers))
    assert second.headers["content-encoding"] == "gzip"


def test_who_takes_no_gzip_gets_none() -> None:
    files = Files(**LASTING)
    files.client.get("/static/a.css")
    plain = files.client.get("/static/a.css", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == "/static/a.css" * 50


def test_made_up_versions_fill_no_memory() -> None:
    files = Files(**LASTING)
    for version in range(50):
        files.client.get(f"/static/a.css?v={version}")
    assert files.asked == 1


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/other", LASTING),
        ("/static/a.css", {}),
        ("/static/a.css", {"Cache-Control": "no-store"}),
        ("/static/a.css", LASTING | {"Set-Cookie": "who=me"}),
    ],
)
def test_all_else_is_asked_for_each_time(path: str, headers: dict[str, str]) -> None:
    files = Files(**headers)
    for _ in range(2):
        files.client.get(path)
    assert files.asked == 2


def test_a_part_or_a_check_goes_to_the_application() -> None:
    files = Files(**LASTING)
    files.client.get("/static/a.css")
    for name, value in (("Range", "bytes=0-9"), ("If-None-Match", '"x"')):
        files.client.get("/static/a.css", headers={name: value})
    assert files.asked == 3
