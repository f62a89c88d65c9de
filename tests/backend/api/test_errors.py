"""Errors of a request have one form, whichever layer raises them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from starlette.routing import Route
from starlette.testclient import TestClient

from wireside.api.errors import ErrorResponses, UnknownRoute, status_of
from wireside.errors import (
    InternalError,
    ProviderError,
    RateLimited,
    RequestError,
    SignInFailed,
    StoreError,
    Unauthorized,
    WiresideError,
)

STATUSES = {
    400: "BadJson BadMessage BadOffset ContentFilter ContextTooLong InvalidAttachment UnknownType",
    401: "Unauthorized",
    403: "AccountDisabled Forbidden SignInFailed",
    404: "NotFound UnknownModel UnknownName",
    409: "AlreadyAnswered NameTaken",
    410: "Expired",
    413: "TooLarge",
    429: "RateLimited TooMany",
    500: "HandlerFailed InternalError NotStorable",
    502: "ProviderAuth",
    503: "Fenced NotConfigured Overloaded ProviderRateLimited ProviderUnavailable StoreError",
    504: "ProviderTimeout",
}


class Note(BaseModel):
    text: str


RAISED: dict[str, Exception] = {
    "store": StoreError(),
    "fault": InternalError(),
    "sign-in": Unauthorized(),
    "limit": RateLimited(retry_after=1.2),
    "timeout": TimeoutError(),
    "bug": ValueError("canary"),
}


def show_page(request: Request, error: WiresideError, status: int) -> Response | None:
    is_browser = "html" in request.headers["accept"]
    return HTMLResponse(str(error), status) if is_browser else None


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    router = APIRouter(prefix="/api")

    @router.get("/notes/all")
    async def show_all() -> list[int]:
        return []

    @router.get("/notes/{number}")
    async def show(number: int) -> int:
        return number

    @router.put("/notes/{number}")
    async def keep(number: int, note: Note) -> str:
        return note.text

    @router.get("/failing/{kind}")
    async def fail(kind: str) -> None:
        raise RAISED[kind]

    app.include_router(router)
    ErrorResponses(count=lambda _: None, page=show_page).register_handlers(app)
    app.router.routes.append(Route("/api/{path:path}", UnknownRoute(app.openapi)))
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_an_unknown_path_is_told_in_json(client: TestClient, method: str) -> None:
    response = client.request(method, "/api/nope")
    assert response.status_code == 404
    assert response.json() == {"message": "There is no /api/nope.", "code": "not_found"}


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "TRACE", "BREW"])
def test_a_method_that_a_path_does_not_take_is_told_with_those_that_it_takes(
    client: TestClient, method: str
) -> None:
    response = client.request(method, "/api/notes/7")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, PUT"
    assert response.json()["message"] == f"/api/notes/7 does not take {method}."


def test_a_fixed_name_does_not_take_what_a_path_with_any_name_takes(client: TestClient) -> None:
    response = client.post("/api/notes/all")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


def test_the_head_of_an_unknown_path_is_asked_for_without_a_page(client: TestClient) -> None:
    response = client.head("/api/nope")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"


def test_a_body_that_is_no_utf_8_is_told_like_every_problem(client: TestClient) -> None:
    response = client.put(
        "/api/notes/7", content=b'{"text": "\xff"}', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["code"] == "bad_json"


@pytest.mark.parametrize(("kind", "status"), [("store", 503), ("fault", 500)])
def test_a_store_that_fails_is_no_fault_of_the_server(
    client: TestClient, kind: str, status: int
) -> None:
    """The client may retry; only an internal error is one for the server's operator."""
    response = client.get(f"/api/failing/{kind}")
    assert (response.status_code, response.json()["code"]) == (status, "internal")


@pytest.mark.parametrize(("kind", "after"), [("store", "5"), ("fault", None)])
def test_a_page_that_can_not_be_made_at_present_is_requested_again(
    client: TestClient, kind: str, after: str | None
) -> None:
    """A page may be loaded from a server that is busy, as another one has stopped."""
    response = client.get(f"/api/failing/{kind}", headers={"Accept": "text/html"})
    assert "text/html" in response.headers["content-type"]
    assert response.headers.get("refresh") == after
    assert "refresh" not in client.get(f"/api/failing/{kind}").headers


def classes_below(base: type[WiresideError]) -> Iterator[type[WiresideError]]:
    for child in base.__subclasses__():
        yield child
        yield from classes_below(child)


def test_every_error_of_the_tree_has_its_status() -> None:
    found: dict[int, set[str]] = {}
    for kind in classes_below(WiresideError):
        if kind in (RequestError, ProviderError) or kind.__module__ != "wireside.errors":
            continue  # only their subclasses are raised; tests define errors of their own
        error = SignInFailed("denied") if kind is SignInFailed else kind()
        found.setdefault(status_of(error), set()).add(kind.__name__)
    assert found == {status: set(names.split()) for status, names in STATUSES.items()}
    assert status_of(SignInFailed("unreachable")) == 503


@pytest.mark.parametrize(
    ("kind", "status", "page_status", "headers"),
    [
        ("store", 503, 503, {}),
        ("sign-in", 401, 403, {"www-authenticate": 'Bearer realm="wireside"'}),
        ("limit", 429, 429, {"retry-after": "2"}),
        ("timeout", 503, 503, {"connection": "close"}),
        ("bug", 500, 500, {"connection": "close"}),
    ],
)
def test_an_error_is_json_to_a_program_and_a_page_to_a_browser(
    client: TestClient, kind: str, status: int, page_status: int, headers: dict[str, str]
) -> None:
    program = client.get(f"/api/failing/{kind}")
    assert program.status_code == status
    assert program.json().keys() == {"message", "code"}
    assert headers.items() <= dict(program.headers).items()
    page = client.get(f"/api/failing/{kind}", headers={"Accept": "text/html"})
    assert page.status_code == page_status  # a page has no 401: it would need a challenge
    assert page.text == program.json()["message"]
    assert ("www-authenticate" in page.headers) is False
    assert "canary" not in page.text
