"""REST routes: health and models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from wireside.api.dependencies import CallerChat
from wireside.api.errors import PROBLEM
from wireside.api.policy import API, Access, with_policy
from wireside.chat.service import ChatService
from wireside.errors import WiresideError

STORE_TIMEOUT_S: Final = 2.0
"""Seconds after which a store that does not respond counts as unavailable."""

BEHIND_S: Final = 5.0
"""Seconds without a commit after which the server is not ready, so that others get the work.

Until then, answers continue from memory.
"""

HEALTH: Final = replace(API, access=Access.UNCHECKED, checks_host=False)
"""Probes send whatever ``Host`` they were configured with, and learn nothing secret."""

DRAINING: Final = "The server is shutting down."
NO_STORE: Final = "The store does not answer."
NOT_JOINED: Final = "The other servers on the database have removed this one; it joins them again."
BEHIND: Final = "Answers wait to be saved: the store does not take them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """State of the server, read without I/O.

    ``provider`` is ``Provider.kind``. ``behind_s``: seconds for which the store has accepted no
    writes. ``problem``: what the operator must do about a known problem.
    """

    is_draining: bool
    provider: str
    streams: int
    behind_s: float
    memory_mb: float | None
    problem: str | None = None
    replica: str | None = None
    """Name of the server among several on one database."""


class Live(BaseModel):
    """Liveness of the process."""

    status: Literal["ok"]


class Ready(BaseModel):
    """Readiness of the server. `reason` is a sentence if it is not ready.

    `replica` is its name, if it is one of several on one database.
    """

    status: Literal["ready", "draining", "unavailable"]
    provider: str
    streams: int
    memory_mb: float | None
    reason: str | None = None
    replica: str | None = None


class Model(BaseModel):
    """An available model. `icon` is the name of an icon, a short text or a `data:` URL.

    `options` is the JSON Schema of the model's own options.
    """

    id: str
    name: str
    owner: str | None = None
    provider: str = Field(
        "", description="Name of the provider that has the model; empty if there is one provider."
    )
    context_tokens: int | None = None
    can_see: bool | None = None
    can_chat: bool = True
    description: str = ""
    icon: str = ""
    starters: list[str] = []
    options: dict[str, Any] | None = None


class ModelList(BaseModel):
    """The models that the caller may use; the first one is the default."""

    models: list[Model]


def health_routes(
    chat: ChatService,
    look: Callable[[], Health],
    reach_store: Callable[[], Awaitable[None]],
    *,
    store_timeout_s: float = STORE_TIMEOUT_S,
) -> APIRouter:
    """Return the routes under ``/api/health``. ``reach_store`` raises a ``WiresideError``."""

    async def reach_store_in_time() -> None:
        async with asyncio.timeout(store_timeout_s):
            await reach_store()

    router = APIRouter(prefix="/api/health", tags=["health"])

    @router.get("/live")
    async def live() -> Live:
        """Return 200 while the process runs; checks nothing else."""
        return Live(status="ok")

    @router.get("/ready", responses={503: {"model": Ready}})
    async def is_ready(response: Response) -> Ready:
        """Return 200 when the server accepts work, else 503 with a reason.

        It is not ready while it is draining, its store can't be reached or accepts no writes, or no
        model is available.
        """
        health = look()
        reason = (
            DRAINING
            if health.is_draining
            else await _readiness_problem(chat, health, reach_store_in_time)
        )
        if reason is not None:
            response.status_code = 503
        return Ready(
            status="draining" if health.is_draining else "unavailable" if reason else "ready",
            provider=health.provider,
            streams=health.streams,
            memory_mb=health.memory_mb,
            reason=reason,
            replica=health.replica,
        )

    return with_policy(router, HEALTH)


async def _readiness_problem(
    chat: ChatService, health: Health, reach_store: Callable[[], Awaitable[None]]
) -> str | None:
    """Return why the server is not ready, as a sentence; None if it is."""
    if health.problem is not None:
        return health.problem
    if health.behind_s >= BEHIND_S:
        return BEHIND
    try:
        await reach_store()
    except (TimeoutError, WiresideError):
        return NO_STORE
    try:
        await chat.models()
    except WiresideError as error:
        return str(error)
    return None


def api_routes() -> APIRouter:
    """Return the routes under ``/api``."""
    router = APIRouter(prefix="/api")

    @router.get(
        "/models",
        tags=["models"],
        responses={401: PROBLEM, 429: PROBLEM, 503: PROBLEM},
    )
    async def models(chat: CallerChat) -> ModelList:
        """List the models that the caller may use; the first one is the default."""
        found = await chat.models()
        return ModelList(
            models=[
                Model(
                    id=m.id,
                    name=m.name,
                    owner=m.owner,
                    provider=m.provider,
                    context_tokens=m.context_tokens,
                    can_see=m.can_see,
                    can_chat=m.can_chat,
                    description=m.description,
                    icon=m.icon,
                    starters=list(m.starters),
                    options=json.loads(m.options) if m.options else None,
                )
                for m in found
            ]
        )

    return with_policy(router, API)
