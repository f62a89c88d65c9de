"""Limits the concurrent WebSockets of each address."""

from __future__ import annotations

from collections.abc import Awaitable

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.middleware.client_address import peer_address
from wireside.api.middleware.refusals import RefusalCounter, refuse_handshake
from wireside.limits.connections import ConnectionCounts
from wireside.limits.networks import network_of
from wireside.protocol.handshake import Refuse

_log = structlog.get_logger(__name__)


class ConnectionLimit:
    """Limits the WebSockets that each network has open."""

    def __init__(
        self, app: ASGIApp, *, connections_per_address: int, refusals: RefusalCounter
    ) -> None:
        self.app = app
        self._limit = connections_per_address
        self._refusals = refusals
        self._counts = ConnectionCounts(connections_per_address)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, or refuse the WebSocket with a 429."""
        if scope["type"] != "websocket":
            return self.app(scope, receive, send)
        return self._count_connection(scope, receive, send)

    async def _count_connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        network = self._counts.count_connection(peer_address(scope))
        if network is None:
            self._refusals.count_refusal()
            _log.warning(
                "too_many_connections", peer=network_of(peer_address(scope)), limit=self._limit
            )
            await refuse_handshake(
                scope,
                receive,
                send,
                Refuse(
                    429,
                    f"This address has {self._limit} connections open; close some first.",
                ),
            )
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self._counts.uncount_connection(network)
