"""The one mapping from an error to a response: its status, headers, JSON body or page.

Middlewares send the same for a request that never reaches a route (``middleware/refusals.py``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from wireside.api.policy import API, route_policy
from wireside.errors import (
    BadJson,
    BadMessage,
    Forbidden,
    InternalError,
    NameTaken,
    NotFound,
    NotStorable,
    Overloaded,
    SignInFailed,
    StoreError,
    Unauthorized,
    UnknownName,
    WiresideError,
)
from wireside.openai_wire.encode import error_body


class Problem(BaseModel):
    """An error: a sentence for the user and one of the protocol's codes."""

    message: str
    code: str


PROBLEM: Final = {
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
}
"""An error response of a route, for the OpenAPI document.

With ``{"model": Problem}``, FastAPI would analyse the model for each of hundreds of such responses,
which takes half of the time to make the application. ``DescribedAPI`` has the schema.
"""

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = dict.fromkeys(
    (400, 401, 403, 404, 413, 429, 500, 503), PROBLEM
)
"""Error responses of a route, for the OpenAPI document."""

_STATUS: Final = {
    "unauthorized": 401,
    "unknown_model": 404,
    "not_found": 404,
    "too_large": 413,
    "too_many": 429,
    "already_answered": 409,
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


REFRESH_S: Final = 5.0
"""Seconds after which a browser requests a page again that the server could not make at present."""


def status_of(error: WiresideError, *, is_page: bool = False) -> int:
    """Return the HTTP status of an error: by its class where its code is ambiguous, else by code.

    A page has 403 instead of 401, which requires a ``WWW-Authenticate`` challenge: a page offers a
    form instead.
    """
    match error:
        case NotStorable():
            return 500
        case StoreError():  # not a fault of the server: it works again when the store does
            return 503
        case SignInFailed(why="unreachable"):
            return 503
        case NameTaken():
            return 409
        case UnknownName():
            return 404
        case Forbidden() | SignInFailed():
            return 403
        case Unauthorized() if is_page:
            return 403
        case _:
            return _STATUS.get(error.code, 400)


def headers_of(error: WiresideError, status: int) -> dict[str, str]:
    """Return the header fields that an error adds to its response."""
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="wireside"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(whole_seconds(error.retry_after))
    return headers


def body_of(error: WiresideError) -> dict[str, str]:
    """Return the JSON object of an error: the fields of ``Problem``."""
    return {"message": str(error), "code": error.code}


def openai_body(
    message: str, status: int, *, code: str | None, param: str | None = None
) -> dict[str, Any]:
    """Return the JSON object of an error in the shape of OpenAI's API."""
    kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return error_body(message, kind=kind, code=_OPENAI_CODES.get(code or "", code), param=param)


def openai_status_of(error: WiresideError) -> int:
    """Return the status of an error in OpenAI's API, whose clients wait after a 429."""
    match error.code:
        case "provider_rate_limited":
            return 429
        case "expired":
            return 404
        case _:
            return status_of(error)


_OPENAI_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}

_OPENAI_CODES: Final = {
    "unknown_model": "model_not_found",
    "rate_limited": "rate_limit_exceeded",
    "context_too_long": "context_length_exceeded",
    "bad_message": None,
    "bad_json": None,
}
"""The codes of OpenAI's API where it has one; the others keep their names."""


def _json_text(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def whole_seconds(wait_s: float) -> int:
    """Round a wait up to whole seconds, at least 1, so that the client does not retry too early."""
    return max(1, math.ceil(wait_s))


def json_response(
    error: WiresideError, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error as JSON; ``status`` replaces the status of the mapping."""
    status = status or status_of(error)
    return JSONResponse(body_of(error), status, {**headers_of(error, status), **(headers or {})})


ErrorPage = Callable[[Request, WiresideError, int], Response | None]
"""Renders an error with its status as a page; returns None if the client is not a browser."""


def no_page(_: Request, __: WiresideError, ___: int) -> None:
    """Render no page, for applications without pages."""


class ErrorResponses:
    """The exception handlers of the application.

    ``count`` is called with the code of each error that a route raises.
    """

    def __init__(self, *, count: Callable[[str], None], page: ErrorPage = no_page) -> None:
        self._count = count
        self._page = page

    def register_handlers(self, app: FastAPI) -> None:
        """Register the handlers on ``app``."""
        app.add_exception_handler(WiresideError, self.handle_known)
        app.add_exception_handler(400, self.unreadable)
        app.add_exception_handler(RequestValidationError, self.invalid)
        app.add_exception_handler(ClientDisconnect, self.disconnected)
        app.add_exception_handler(Exception, self.handle_unexpected)

    def error_response(self, request: Request, error: WiresideError) -> Response:
        """Return an error as a page to browsers, else as JSON."""
        status = status_of(error, is_page=True)
        response = self._page(request, error, status)
        if response is None:
            return json_response(error)
        response.headers.update(headers_of(error, status))
        if status == 503 and error.retryable and request.method == "GET":
            response.headers["Refresh"] = str(whole_seconds(error.retry_after or REFRESH_S))
        return response

    async def handle_known(self, request: Request, error: Exception) -> Response:
        """Return the response for an error of the tree that a route raises."""
        if not isinstance(error, WiresideError):
            raise error
        self._count(error.code)
        return self.error_response(request, error)

    async def handle_unexpected(self, request: Request, error: Exception) -> Response:
        """Return the response for any exception, without details; the server logs them."""
        if isinstance(error, TimeoutError):
            error = Overloaded("This takes too long; try again in a moment.")
        known = error if isinstance(error, WiresideError) else InternalError()
        response = self.error_response(request, known)
        response.headers["Connection"] = "close"  # the server closes it on the exception
        return response

    async def handle_unknown_path(self, request: Request, _: Exception) -> Response:
        """Return the response for an unknown path."""
        return self.error_response(request, NotFound(f"There is no {request.url.path}."))

    async def unreadable(self, _: Request, __: Exception) -> Response:
        """Return the 400 for an unreadable body, which is detected before a route is called."""
        return json_response(BadJson("The request can't be read: its body is not JSON."))

    async def invalid(self, _: Request, error: Exception) -> Response:
        """Return the 422 for fields of the wrong kind, with their values where JSON has them."""
        errors = error.errors() if isinstance(error, RequestValidationError) else []
        try:
            text = _json_text({"detail": jsonable_encoder(errors)})
        except (ValueError, RecursionError):  # NaN, half of a surrogate pair, or nested too deeply
            fields = [{name: one[name] for name in ("type", "loc", "msg")} for one in errors]
            text = _json_text({"detail": fields})
        return Response(text, 422, media_type="application/json")

    async def disconnected(self, _: Request, __: Exception) -> Response:
        """Return a response for a client that disconnected during its request; it is not sent."""
        return Response(status_code=400)


@route_policy(API)
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
            error = BadMessage(f"{path} does not take {method}.")
            response = json_response(error, status=405, headers={"Allow": ", ".join(others)})
        else:
            response = json_response(NotFound(f"There is no {path}."))
        await response(scope, receive, send)

    def _methods_of(self, path: str) -> list[str]:
        """Return the methods of a path: a literal match first, else a template's."""
        described = self._describe()["paths"]
        template = (
            path
            if path in described
            else next((known for known in described if _fits_template(path, known)), None)
        )
        return [method.upper() for method in described.get(template, ())]


def _fits_template(path: str, template: str) -> bool:
    parts, wanted = path.split("/"), template.split("/")
    return len(parts) == len(wanted) and all(
        part == want or (want.startswith("{") and part)
        for part, want in zip(parts, wanted, strict=True)
    )
