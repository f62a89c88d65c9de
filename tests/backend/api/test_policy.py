"""Every route declares its policy, and one that doesn't has the strictest."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send

from wireside.api.middleware.stack import Guards
from wireside.api.policy import (
    API,
    FILE,
    PAGE,
    PUBLIC_PAGE,
    SOCKET,
    STATIC,
    STRICTEST,
    Access,
    Kind,
    RoutePolicies,
    route_policy,
    with_policy,
)
from wireside.app import create_app
from wireside.settings.model import Settings


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    settings = Settings(
        data_dir=tmp_path, auth="password", sharing="public", openai_base_url="http://127.0.0.1:9"
    )
    return create_app(settings).app


def policies_of(app: FastAPI) -> RoutePolicies:
    (stack,) = (one.kwargs for one in app.user_middleware if cast("object", one.cls) is Guards)
    return RoutePolicies(cast("Any", stack["routes"]), cast("Any", stack["declared"]))


def test_every_route_of_the_application_declares_its_policy(app: FastAPI) -> None:
    policies = policies_of(app)
    assert policies.undeclared == []
    assert {"/", "/c/{conversation_id}", "/api/me", "/ws/ai-chat", "/login", "/metrics"} <= (
        policies.by_template.keys()
    )
    assert len(policies.by_template) > 50


def test_what_needs_no_sign_in_is_a_short_list(app: FastAPI) -> None:
    by_template = policies_of(app).by_template
    found = {
        path: policy.access.name
        for path, policy in by_template.items()
        if policy.access is not Access.CALLER
    }
    assert found == {
        "/login": "PUBLIC",
        "/join": "PUBLIC",
        "/oidc/login": "PUBLIC",
        "/oidc/callback": "PUBLIC",
        "/logo": "PUBLIC",
        "/manifest.webmanifest": "PUBLIC",
        "/service-worker.js": "PUBLIC",
        "/icon.svg": "PUBLIC",
        "/favicon.ico": "PUBLIC",
        "/wireside/favicon.ico": "PUBLIC",
        "/docs": "PUBLIC",
        "/docs/{path:path}": "PUBLIC",
        "/docs/protocol": "PUBLIC",
        "/asyncapi.json": "PUBLIC",
        "/s/{secret:path}": "SHARED",
        "/metrics": "UNCHECKED",
        "/api/health/live": "UNCHECKED",
        "/api/health/ready": "UNCHECKED",
        "/assets/{path:path}": "UNCHECKED",
        "/_nicegui/{path:path}": "UNCHECKED",
    }
    keys = {path for path, policy in by_template.items() if policy.accepts_keys}
    assert all(path.startswith(("/api/", "/v1/", "/ws/")) for path in keys)


def test_a_route_without_a_policy_is_refused_without_a_session(app: FastAPI) -> None:
    reached: list[str] = []

    def new(request: Request) -> PlainTextResponse:
        reached.append(request.url.path)
        return PlainTextResponse("")

    async def socket(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope["path"])

    paths = ("/new", "/api/new", "/api/new/1", "/assets/new", "/login/new")
    for path in paths:
        app.router.routes.insert(0, Route(path, new, methods=["GET", "POST"]))
    app.router.routes.insert(0, WebSocketRoute("/ws/new", socket))
    client = TestClient(app, base_url="http://localhost", follow_redirects=False)
    with_key = {"Authorization": "Bearer key"}
    for path in paths:
        assert client.get(path).status_code == 303, path
        assert client.post(path).status_code == 401, path
        assert client.post(path, headers=with_key).status_code == 401, path
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("ws://localhost/ws/new"),
    ):
        pass
    assert refused.value.status_code == 401
    assert reached == []
    assert client.get("/login").status_code == 200
    assert policies_of(app).undeclared == ["/ws/new", *reversed(paths)]


def test_the_defaults_are_the_strictest() -> None:
    found = {one.name: getattr(STRICTEST, one.name) for one in fields(STRICTEST)}
    assert found == {
        "access": Access.CALLER,
        "accepts_keys": False,
        "is_metered": True,
        "kind": Kind.PAGE,
        "cost": 100,
        "max_body_bytes": 2**20,
        "is_cross_origin": False,
        "is_cacheable": False,
        "checks_host": True,
        "has_frames": False,
        "uses_microphone": False,
        "is_framed": False,
        "has_sign_in_session": False,
        "has_openai_errors": False,
        "log_as": "/…",
    }


# How a path finds its policy


async def nothing(*_: Any) -> None:
    """Stand for an endpoint."""


def made(policy: Any) -> Any:
    async def endpoint(*_: Any) -> None:
        """Stand for an endpoint with a policy."""

    return route_policy(policy)(endpoint)


def test_a_path_has_the_policy_of_the_first_route_that_matches() -> None:
    policies = RoutePolicies(
        [
            Route("/a/fixed", made(PUBLIC_PAGE)),
            Route("/a/{id}", made(PAGE)),
            Route("/a/{rest:path}", made(API)),
            Route("/{any}/first", made(FILE)),
        ]
    )
    found = {path: policies.policy_for(path) for path in ("/a/x", "/a/fixed", "/a/x/y", "/b/first")}
    assert found == {"/a/x": PAGE, "/a/fixed": PUBLIC_PAGE, "/a/x/y": API, "/b/first": FILE}
    for unknown in ("", "/", "/a", "/b/second", "//a/x", "a/x", "/{any}"):
        assert policies.policy_for(unknown) == STRICTEST, unknown


def test_a_line_feed_changes_no_policy() -> None:
    policies = RoutePolicies([Route("/s/{secret:path}", made(API))])
    assert {policies.policy_for(path) for path in ("/s/a\nb", "/s/\n", "/s/a\n")} == {API}


def test_a_websocket_may_be_asked_for_with_slashes() -> None:
    policies = RoutePolicies([WebSocketRoute("/ws/chat", made(SOCKET))])
    assert (
        policies.policy_for("/ws/chat")
        == policies.policy_for("/ws/chat/")
        == policies.policy_for("/ws/chat//")
        == SOCKET
    )
    assert policies.policy_for("/ws/chat/x") == policies.policy_for("/ws/chatx") == STRICTEST


def test_included_routers_and_mounts_are_walked_through() -> None:
    inner, app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None), FastAPI(openapi_url=None)
    inner.get("/own")(made(PAGE))
    inner.get("/none/{id}")(nothing)
    router = APIRouter(prefix="/api")
    router.get("/a")(made(PAGE))
    router.get("/b/{id}")(lambda: None)
    app.include_router(with_policy(router, API), prefix="/v1")
    app.mount("/inner", inner)
    app.mount("/files", route_policy(STATIC)(lambda *_: nothing()))
    policies = RoutePolicies(app.routes, {"/docs/oauth2-redirect": PAGE})
    assert policies.policy_for("/v1/api/a") == PAGE
    assert policies.policy_for("/v1/api/b/1") == API
    assert policies.policy_for("/inner/own") == PAGE
    assert policies.policy_for("/inner/none/1") == STRICTEST
    assert policies.policy_for("/files/a/b.css") == STATIC
    assert policies.undeclared == ["/inner/none/{id}"]


def test_a_mounts_policy_holds_for_its_routes_but_not_over_their_own() -> None:
    routes = [Mount("/lib", routes=[Route("/a", nothing), Route("/b", made(PAGE))])]
    policies = RoutePolicies(routes, {"/lib/{path:path}": STATIC})
    assert [policies.policy_for(path) for path in ("/lib/a", "/lib/b", "/lib/c")] == [
        STATIC,
        PAGE,
        STATIC,
    ]
    assert policies.undeclared == []


def test_a_path_that_several_routes_match_has_one_policy() -> None:
    same = [Route("/a", made(API), methods=[method]) for method in ("GET", "POST")]
    assert RoutePolicies(same).policy_for("/a") == API
    with pytest.raises(ValueError, match="/a"):
        RoutePolicies([*same, Route("/a", nothing, methods=["DELETE"])])
    with pytest.raises(ValueError, match="/c/help"):  # the first route would serve it, unprotected
        RoutePolicies([Route("/c/{id}", made(PAGE)), Route("/c/help", made(PUBLIC_PAGE))])
