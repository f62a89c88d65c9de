"""Errors of a request have one form, whichever layer raises them."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.routing import Route
from starlette.testclient import TestClient

from wireside.api.errors import ErrorResponses, UnknownRoute, malformed
from wireside.errors import InternalError, StoreError, WiresideError


class Note(BaseModel):
    text: str


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
        raise StoreError if kind == "store" else InternalError

    app.include_router(router)
    app.add_exception_handler(WiresideError, ErrorResponses(lambda _: None, lambda *_: None))
    app.add_exception_handler(400, malformed)
    app.router.routes.append(Route("/api/{path:path}", UnknownRoute(app.openapi)))
    return TestClient(app)


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
