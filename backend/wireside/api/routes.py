"""The REST routes: health and models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from wireside.chat.service import ChatService
from wireside.errors import WiresideError


class Health(BaseModel):
    """Whether the process lives."""

    status: Literal["ok"]


class Ready(BaseModel):
    """Whether the server can answer. ``reason`` is a sentence where it can't."""

    status: Literal["ready", "draining", "unavailable"]
    provider: Literal["openai", "embedded"]
    streams: int
    memory_mb: float | None
    reason: str | None = None


class Model(BaseModel):
    """One model that can be asked for."""

    id: str
    name: str
    owner: str | None = None
    context_tokens: int | None = None


class ModelList(BaseModel):
    """The models on offer; the first one is the default."""

    models: list[Model]


class Problem(BaseModel):
    """An error: a sentence for a person and one of the protocol's codes."""

    message: str
    code: str


_STATUS = {
    "unknown_model": 404,
    "not_found": 404,
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


def routes(chat: ChatService, ready: Callable[[], Ready]) -> APIRouter:
    """Return the routes under ``/api``."""
    router = APIRouter(prefix="/api")

    @router.get("/health/live", tags=["health"])
    async def live() -> Health:
        """Return 200 while the process lives; touches nothing else."""
        return Health(status="ok")

    @router.get("/health/ready", tags=["health"], responses={503: {"model": Ready}})
    async def is_ready(response: Response) -> Ready:
        """Return 200 when the server takes work, 503 while it is draining or has no model."""
        state = ready()
        if state.status == "ready":
            try:
                await chat.models()
            except WiresideError as error:
                state = state.model_copy(update={"status": "unavailable", "reason": str(error)})
        if state.status != "ready":
            response.status_code = 503
        return state

    @router.get("/models", tags=["models"], responses={503: {"model": Problem}})
    async def models() -> ModelList:
        """List the models on offer; the first one is the default."""
        found = await chat.models()
        return ModelList(
            models=[
                Model(id=m.id, name=m.name, owner=m.owner, context_tokens=m.context_tokens)
                for m in found
            ]
        )

    return router


async def problem(_: Request, error: Exception) -> JSONResponse:
    """Tell a ``WiresideError`` over HTTP."""
    if not isinstance(error, WiresideError):
        raise error
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    body = Problem(message=str(error), code=error.code)
    return JSONResponse(body.model_dump(), _STATUS.get(error.code, 400), headers)
