"""The REST routes: health and models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from wireside.api.problems import Problem
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
