"""How an error is told over HTTP: a sentence, one of the protocol's codes, a status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from wireside.errors import WiresideError


class Problem(BaseModel):
    """An error: a sentence for a person and one of the protocol's codes."""

    message: str
    code: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 404, 413, 429, 500, 503)
}
"""What a route may answer instead, for its description."""

_STATUS = {
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


class Problems:
    """Tells errors, and tells ``counted`` the code of each."""

    def __init__(self, counted: Callable[[str], None]) -> None:
        self._counted = counted

    async def __call__(self, request: Request, error: Exception) -> JSONResponse:
        """See ``problem``."""
        if isinstance(error, WiresideError):
            self._counted(error.code)
        return await problem(request, error)


async def problem(_: Request, error: Exception) -> JSONResponse:
    """Tell a ``WiresideError`` over HTTP."""
    if not isinstance(error, WiresideError):
        raise error
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    body = Problem(message=str(error), code=error.code)
    return JSONResponse(body.model_dump(), _STATUS.get(error.code, 400), headers)
