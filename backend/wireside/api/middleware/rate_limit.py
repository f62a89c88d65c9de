"""Rate-limits the requests of each address, and schedules them fairly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.errors import whole_seconds
from wireside.api.middleware.client_address import peer_address
from wireside.api.middleware.refusals import RefusalCounter, refuse_handshake
from wireside.api.policy import Kind, logged_path, policy_of
from wireside.limits.fair_queue import FairQueue, StartQueue
from wireside.limits.networks import network_of
from wireside.limits.token_buckets import TokenBuckets
from wireside.ports.clock import Clock
from wireside.protocol.handshake import Refuse

SOCKET_COST: Final = 5
"""Cost of a WebSocket handshake: 1 ms, including the connection's objects."""

PAGES_AT_ONCE: Final = 2
"""Pages rendered concurrently: other work waits for at most this many steps of 10 ms."""

STARTS_PER_TURN: Final = 6
"""Requests started in one turn of the event loop, at half a millisecond each."""

REFUSE_AFTER_S: Final = 1.0
"""Seconds before a 429 is sent; a refusal costs as much as an answer."""

MAX_DELAYED: Final = 256
"""Refusals delayed at once; further ones are sent without delay."""

_log = structlog.get_logger(__name__)


class AddressRateLimit:
    """Rate-limits the requests of each address and schedules them fairly.

    It starts few requests in each turn of the event loop and renders few pages at once. Refusals
    carry ``Retry-After``, are delayed, and close the connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowances: TokenBuckets,
        refusals: RefusalCounter,
        clock: Clock,
        refuse_after_s: float = REFUSE_AFTER_S,
        max_delayed: int = MAX_DELAYED,
    ) -> None:
        self.app = app
        self._refuse_after_s = refuse_after_s
        self._max_delayed = max_delayed
        self._allowances = allowances
        self._refusals = refusals
        self._clock = clock
        self._turns = FairQueue(PAGES_AT_ONCE)
        self._starts = StartQueue(STARTS_PER_TURN)
        self._delayed = 0

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, or refuse the request with a 429."""
        if scope["type"] not in ("http", "websocket"):
            return self.app(scope, receive, send)
        wait_s = self._allowances.take_tokens(
            peer_address(scope), _request_cost(scope), self._clock()
        )
        if wait_s:
            self._refusals.count_refusal()
            _log.info("too_many_requests", path=logged_path(scope), peer=peer_address(scope))
            return self._refuse_later(scope, receive, send, wait_s)
        if scope["type"] == "http" and policy_of(scope).kind is Kind.PAGE:
            return self._make_page(scope, receive, send)
        start = self._starts.wait_for_start(network_of(peer_address(scope)))
        if start is None:
            return self.app(scope, receive, send)
        return self._serve_after(start, scope, receive, send)

    async def _serve_after(
        self, start: Awaitable[None], scope: Scope, receive: Receive, send: Send
    ) -> None:
        await start
        await self.app(scope, receive, send)

    async def _refuse_later(
        self, scope: Scope, receive: Receive, send: Send, wait_s: float
    ) -> None:
        if self._delayed < self._max_delayed:
            self._delayed += 1
            try:
                await asyncio.sleep(self._refuse_after_s)
            finally:
                self._delayed -= 1
        await refuse_handshake(scope, receive, send, _refuse_too_many(wait_s), after_s=wait_s)

    async def _make_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._turns.acquire_slot(network_of(peer_address(scope)))
        is_made = False

        async def send_made(message: Message) -> None:
            nonlocal is_made
            if not is_made:  # a slow reader must not occupy the slot
                is_made = True
                self._turns.release_slot()
            await send(message)

        try:
            await self.app(scope, receive, send_made)
        finally:
            if not is_made:
                self._turns.release_slot()


def _request_cost(scope: Scope) -> int:
    if scope["type"] == "websocket":
        return SOCKET_COST
    policy = policy_of(scope)
    if policy.kind is Kind.PAGE_SOCKET and b"sid=" in scope["query_string"]:
        return 1  # continues polling; its first request costs more, as it allocates a session
    return policy.cost


def _refuse_too_many(wait_s: float) -> Refuse:
    return Refuse(
        429,
        "There were too many requests from this address (WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS);"
        f" come back in {whole_seconds(wait_s)} s.",
    )
