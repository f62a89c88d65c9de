"""How an error is told over HTTP: a sentence, one of the protocol's codes, a status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from wireside.api.limit_headers import seconds
from wireside.errors import Forbidden, StoreError, WiresideError


class Problem(BaseModel):
    """An error: a sentence for a person and one of the protocol's codes."""

    message: str
    code: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 401, 403, 404, 413, 429, 500, 503)
}
"""What a route may answer instead, for its description."""

_STATUS = {
    "unauthorized": 401,
    "unknown_model": 404,
    "not_found": 404,
    "too_large": 413,
    "too_many": 429,
    "expired": 410,
    "not_configured": 503,
    "overloaded": 503,
    "provider_unavailable": 503,
    "provider_timeout": 504,
    "provider_auth": 502,
    "provider_rate_limited": 503,
    "rate_limited": 429,
    "internal": 500,
}


ForPeople = Callable[[Request, WiresideError, int], Response | None]
"""Returns an error with its status as a page, if a person asked for one."""


class Problems:
    """Tells errors, to people as ``for_people`` does, and tells ``counted`` the code of each."""

    def __init__(self, counted: Callable[[str], None], for_people: ForPeople) -> None:
        self._counted = counted
        self._for_people = for_people

    async def __call__(self, request: Request, error: Exception) -> Response:
        """Tell a ``WiresideError`` over HTTP."""
        if not isinstance(error, WiresideError):
            raise error
        self._counted(error.code)
        status = _status_of(error)
        body = Problem(message=str(error), code=error.code)
        response = self._for_people(request, error, status)
        response = response or JSONResponse(body.model_dump(), status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(seconds(error.retry_after))
        return response


def _status_of(error: WiresideError) -> int:
    """Return the status: that of its code, where the code says enough."""
    match error:
        case Forbidden():
            return 403
        case StoreError():  # no fault of ours: it works again when the store does
            return 503
        case _:
            return _STATUS.get(error.code, 400)


async def malformed(_: Request, error: Exception) -> JSONResponse:
    """Tell that a body could not be read, which is seen before a route is asked."""
    body = Problem(message="The request can't be read: its body is not JSON.", code="bad_json")
    return JSONResponse(body.model_dump(), 400)


class NoRoute:
    """Answers what no route takes: 405 where the path takes other methods, else 404.

    ``describe`` returns the OpenAPI document of the routes. Without this, the page's mount would
    answer with a page, and hold a client's memory for it.
    """

    def __init__(self, describe: Callable[[], dict[str, Any]]) -> None:
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever the method."""
        method, path = scope["method"], scope["path"]
        if others := self._methods_of(path):
            body = Problem(message=f"{path} does not take {method}.", code="bad_message")
            headers = {"Allow": ", ".join(others)}
            response = JSONResponse(body.model_dump(), 405, headers)
        else:
            body = Problem(message=f"There is no {path}.", code="not_found")
            response = JSONResponse(body.model_dump(), 404)
        await response(scope, receive, send)

    def _methods_of(self, path: str) -> list[str]:
        """Return what the path takes: as it stands, or else with a part of it as a name."""
        described = self._describe()["paths"]
        template = (
            path
            if path in described
            else next((known for known in described if _fits(path, known)), None)
        )
        return [method.upper() for method in described.get(template, ())]


def _fits(path: str, template: str) -> bool:
    parts, wanted = path.split("/"), template.split("/")
    return len(parts) == len(wanted) and all(
        part == want or (want.startswith("{") and part)
        for part, want in zip(parts, wanted, strict=True)
    )


async def left(_: Request, __: Exception) -> Response:
    """Answer nobody: the client went away in the middle of its request, which is no fault here."""
    return Response(status_code=400)
