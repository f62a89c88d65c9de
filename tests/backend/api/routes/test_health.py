"""The health endpoint: what makes a server not ready, each with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from fastapi import FastAPI

from wireside.api.routes import health
from wireside.api.routes.health import Health, health_routes
from wireside.chat.service import ChatService
from wireside.errors import ProviderUnavailable, StoreError
from wireside.providers.scripted import ScriptedProvider


async def fine() -> None:
    pass


async def asked(
    chat: ChatService,
    path: str = "ready",
    reach_store: Callable[[], Awaitable[None]] = fine,
    store_timeout_s: float = health.STORE_TIMEOUT_S,
    **more: Any,
) -> tuple[int, dict[str, Any]]:
    state = {"is_draining": False, "behind_s": 0.0, "streams": 3, "memory_mb": 1.0, **more}
    app = FastAPI()
    routes = health_routes(
        chat,
        lambda: Health(provider="openai", **state),
        reach_store,
        store_timeout_s=store_timeout_s,
    )
    app.include_router(routes)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get(f"/api/health/{path}")
        return response.status_code, response.json()


async def test_ready_says_what_it_is_ready_with(chat: ChatService) -> None:
    status, body = await asked(chat)
    assert (status, body["status"], body["reason"]) == (200, "ready", None)
    assert (body["provider"], body["streams"]) == ("openai", 3)


async def test_who_shuts_down_takes_no_work(chat: ChatService) -> None:
    status, body = await asked(chat, is_draining=True)
    assert (status, body["status"], body["reason"]) == (503, "draining", health.DRAINING)


async def test_a_store_that_fails(chat: ChatService) -> None:
    async def fail() -> None:
        raise StoreError

    status, body = await asked(chat, reach_store=fail)
    assert (status, body["status"], body["reason"]) == (503, "unavailable", health.NO_STORE)


async def test_a_store_that_says_nothing(chat: ChatService) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    status, body = await asked(chat, reach_store=wait, store_timeout_s=0.01)
    assert (status, body["reason"]) == (503, health.NO_STORE)


async def test_a_short_delay_of_the_store_is_no_reason_to_leave(chat: ChatService) -> None:
    assert (await asked(chat, behind_s=1.0))[0] == 200
    status, body = await asked(chat, behind_s=health.BEHIND_S)
    assert (status, body["status"], body["reason"]) == (503, "unavailable", health.BEHIND)


async def test_no_model_is_known(chat: ChatService, provider: ScriptedProvider) -> None:
    provider.listed = ProviderUnavailable("The model service can't be reached.")
    status, body = await asked(chat)
    assert (status, body["reason"]) == (503, "The model service can't be reached.")


async def test_whatever_is_wrong_the_process_lives(chat: ChatService) -> None:
    async def fail() -> None:
        raise StoreError

    assert await asked(chat, "live", fail, is_draining=True) == (200, {"status": "ok"})
