"""Error responses over HTTP: a sentence, a code of the protocol, and a status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from wireside.api.middleware.limit_headers import seconds
from wireside.errors import Forbidden, StoreError, WiresideError


class Problem(BaseModel):
    """An error: a sentence for the user and one of the protocol's codes."""

    message: str
    code: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 401, 403, 404, 413, 429, 500, 503)
}
"""Error responses of a route, for the OpenAPI document."""

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
"""Returns an error with its status as a page if the request accepts HTML, else None."""


class ErrorResponses:
    """Exception handler that renders errors as JSON or as a page.

    ``counted`` is called with the code of each error; ``for_people`` renders pages.
    """

    def __init__(self, counted: Callable[[str], None], for_people: ForPeople) -> None:
        self._counted = counted
        self._for_people = for_people

    async def __call__(self, request: Request, error: Exception) -> Response:
        """Return the response for a ``WiresideError``; raise any other error."""
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
    """Return the HTTP status of an error, by its class where the code is ambiguous."""
    match error:
        case Forbidden():
            return 403
        case StoreError():  # not a fault of the server: it works again when the store does
            return 503
        case _:
            return _STATUS.get(error.code, 400)


async def malformed(_: Request, error: Exception) -> JSONResponse:
    """Return the 400 for an unreadable body, which is detected before a route is called."""
    body = Problem(message="The request can't be read: its body is not JSON.", code="bad_json")
    return JSONResponse(body.model_dump(), 400)


class UnknownRoute:
    """Responds where no route matches: 405 if the path accepts other methods, else 404.

    ``describe`` returns the OpenAPI document of the routes. Without this class, the page's mount
    would respond with a page and hold a client's memory for it.
    """

    def __init__(self, describe: Callable[[], dict[str, Any]]) -> None:
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the 404 or 405, for any method."""
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
        """Return the methods of a path: a literal match first, else a template's."""
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
    """Return a response for a client that disconnected during its request; it is not sent."""
    return Response(status_code=400)
