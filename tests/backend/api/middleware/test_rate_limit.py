"""Rate limits of an address, and the order in which pages are rendered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tests.backend.api.known_paths import guards, with_known_paths
from wireside.api.middleware.client_address import PeerAddress
from wireside.api.middleware.rate_limit import PAGES_AT_ONCE, SOCKET_COST, AddressRateLimit
from wireside.api.middleware.stack import Guards
from wireside.api.policy import PAGE_COST
from wireside.limits.token_buckets import TokenBuckets
from wireside.settings.model import Settings
from wireside.telemetry import Telemetry

Serve = Callable[..., Awaitable[Any]]
Connect = Callable[..., Awaitable[Any]]


class Pages:
    """An application whose pages are ready when the test says so."""

    def __init__(self) -> None:
        self.making = 0
        self.most = 0
        self.ready = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            return
        if not scope["path"].startswith("/api"):
            self.making += 1
            self.most = max(self.most, self.making)
            await self.ready.wait()
            self.making -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 10_000_000})


def guarded(app: Any, **settings: Any) -> Guards:
    return guards(app, Settings(**settings))


async def ask(client: Any, path: str) -> int:
    client.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    status: int = await client.status()
    return status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("/api/models", 1),
        ("/assets/logo.svg", 1),
        ("/", PAGE_COST),
        ("/no/such/page", PAGE_COST),
        ("/logo", 1),
        ("/logoX", PAGE_COST),
        ("/_nicegui/3/static/x.js", 1),
        ("/_niceguiX", PAGE_COST),
        ("/_nicegui_ws/socket.io/?EIO=4&transport=polling", PAGE_COST),
        ("/_nicegui_ws/socket.io/?EIO=4&transport=polling&sid=1", 1),
    ],
)
async def test_what_is_too_much_ends_the_connection(
    serve: Serve, connect: Connect, path: str, cost: int
) -> None:
    app = Pages()
    app.ready.set()
    served = await serve(guarded(app, requests_per_minute_address=4 * cost + 60 * (cost == 1)))
    for _ in range(4 + 60 * (cost == 1)):
        client = await connect(served.port)
        assert await ask(client, path) == 200
        client.abort()
    for _ in range(30):  # the allowance has refilled a little during slow requests
        client = await connect(served.port)
        if await ask(client, path) != 200:
            break
    assert client.head.startswith("HTTP/1.1 429")
    assert "retry-after: " in client.head.lower()
    # the body is sent to its end
    assert "WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS" in await client.message()


@pytest.mark.slow
async def test_handshakes_are_counted(serve: Serve, connect: Connect) -> None:
    served = await serve(guarded(Pages(), requests_per_minute_address=12 * SOCKET_COST))
    clients = [await connect(served.port) for _ in range(14)]
    found = [await client.upgrade() for client in clients]
    assert found[:12] == [101] * 12
    assert found[13] == 429


async def test_pages_are_made_a_few_at_a_time_and_slow_readers_hold_no_turn(
    serve: Serve, connect: Connect
) -> None:
    app = Pages()
    served = await serve(guarded(app))
    clients = [await connect(served.port, small_buffer=True) for _ in range(3 * PAGES_AT_ONCE)]
    asked = [asyncio.create_task(ask(client, "/")) for client in clients]
    while app.making < PAGES_AT_ONCE:
        await asyncio.sleep(0.01)
    quick = await connect(served.port)
    assert await ask(quick, "/api/models") == 200  # is not queued behind any page
    app.ready.set()  # 10 MB of unread data is on its way to each
    assert await asyncio.gather(*asked) == [200] * len(clients)
    assert app.most == PAGES_AT_ONCE


async def test_a_refusal_comes_late_so_that_a_flood_is_slow(serve: Serve, connect: Connect) -> None:
    """Refusals are delayed, which slows a flood down.

    Other clients are served meanwhile. Past a bound refusals are not delayed, because the delayed
    ones would be a flood of their own.
    """
    app = Pages()
    app.ready.set()
    limited = AddressRateLimit(
        app,
        allowances=TokenBuckets(PAGE_COST),
        refusals=Telemetry(),
        clock=time.monotonic,
        refuse_after_s=3600.0,
        max_delayed=2,
    )
    served = await serve(with_known_paths(PeerAddress(limited)))
    assert await ask(await connect(served.port), "/") == 200
    waiting = [asyncio.create_task(ask(await connect(served.port), "/")) for _ in range(2)]
    await asyncio.sleep(0.1)
    at_once = await connect(served.port)
    assert await ask(at_once, "/") == 429
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
