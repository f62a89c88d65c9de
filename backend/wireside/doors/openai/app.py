"""The door as an ASGI application: finds the endpoint of a path, and sends errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import headers_of, openai_body, openai_status_of
from wireside.api.middleware.root_path import route_path
from wireside.doors.door import Door
from wireside.doors.openai.completions import Completions
from wireside.doors.openai.models import ModelList
from wireside.doors.openai.responses import Responses
from wireside.doors.openai.retries import Retries
from wireside.errors import BadMessage, InternalError, NotFound, WiresideError
from wireside.openai_wire.fields import BadField

_log = structlog.get_logger(__name__)

PREFIX: Final = "/v1/"

Endpoint = Callable[[Scope, Receive], Awaitable[ASGIApp]]
"""Handles a request; returns its response. Raises ``WiresideError``."""


class WrongMethod(BadMessage):
    """The path takes other methods."""

    def __init__(self, path: str, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{path} does not take {method}.")
        self.allowed = allowed


def build_door(door: Door) -> ASGIApp:
    """Return the application; called on the first request."""
    return OpenAIDoor(door)


class OpenAIDoor:
    """Serves everything below ``/v1``."""

    def __init__(self, door: Door) -> None:
        self._door = door
        retries = Retries()
        models = ModelList(door)
        completions = Completions(door, retries)
        responses = Responses(door, retries)
        self._endpoints: dict[tuple[str, ...], dict[str, Endpoint]] = {
            ("chat", "completions"): {"POST": completions.create},
            ("responses",): {"POST": responses.create},
            ("responses", "*"): {"GET": responses.retrieve, "DELETE": responses.delete},
            ("responses", "*", "cancel"): {"POST": responses.cancel},
            ("responses", "*", "input_items"): {"GET": responses.input_items},
            ("models",): {"GET": models.list_all},
            ("models", "*"): {"GET": models.retrieve},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            response = await self._find_endpoint(scope)(scope, receive)
        except ClientDisconnect:
            return
        except WiresideError as error:
            self._door.count_error(error.code)
            response = error_response(error)
        except Exception:
            _log.exception("request_failed", path="/v1/…")
            self._door.count_error(InternalError.code)
            response = error_response(InternalError())
        await response(scope, receive, send)

    def _find_endpoint(self, scope: Scope) -> Endpoint:
        """Return the endpoint of a path and method. Raises ``NotFound``, ``WrongMethod``."""
        path, method = route_path(scope), scope["method"]
        words = tuple(path.removeprefix(PREFIX).strip("/").split("/"))
        if words[0] == "models" and len(words) > 1:
            words = ("models", "*")  # names of models have slashes
        elif words[0] == "responses" and len(words) > 1:
            words = ("responses", "*", *words[2:])
        if (methods := self._endpoints.get(words)) is None:
            raise NotFound(f"There is no {path[:200]}.")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            raise WrongMethod(path, method, tuple(methods))
        return endpoint


def error_response(error: WiresideError) -> JSONResponse:
    """Return an error in the shape of OpenAI's API."""
    status = 405 if isinstance(error, WrongMethod) else openai_status_of(error)
    param = error.param if isinstance(error, BadField) else None
    headers = headers_of(error, status)
    if isinstance(error, WrongMethod):
        headers["Allow"] = ", ".join(error.allowed)
    body = openai_body(str(error), status, code=error.code, param=param)
    return JSONResponse(body, status, headers)
