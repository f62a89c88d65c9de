"""``/metrics`` for Prometheus, protected by a token or limited to direct loopback requests."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request, Response

from wireside.api.errors import json_response
from wireside.api.middleware.client_address import peer_address
from wireside.api.policy import Access, Kind, RoutePolicy, with_policy
from wireside.errors import NotFound, Unauthorized
from wireside.protocol.handshake import is_loopback

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Takes the request's ``Accept`` header; returns the body and its content type."""

METRICS: Final = RoutePolicy(access=Access.UNCHECKED, is_metered=False, kind=Kind.DATA, log_as=None)
"""The route authenticates requests itself."""

_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers that a proxy adds. With any of them, the peer's address is not the client's."""


def metrics_routes(render: Render, token: str | None) -> APIRouter:
    """Return the route.

    With ``token``, a request must carry it as a bearer token. Without, only requests from loopback
    that passed no proxy are answered.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        if token is not None and not _has_token(request, token):
            return json_response(Unauthorized("The token of WIRESIDE_METRICS_TOKEN is needed."))
        if token is None and not _is_from_here(request):
            return json_response(NotFound("There is no /metrics."))
        text, content_type = await render(request.headers.get("accept", ""))
        return Response(text, media_type=content_type, headers={"Cache-Control": "no-store"})

    return with_policy(router, METRICS)


def _has_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    is_same = secrets.compare_digest(given.strip().encode("latin-1"), token.encode())
    return is_same and scheme.lower() == "bearer"


def _is_from_here(request: Request) -> bool:
    address = peer_address(request.scope)
    is_direct = not any(name in request.headers for name in _FORWARDED)
    return is_direct and bool(address) and is_loopback(address)
