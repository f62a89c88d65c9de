"""``/metrics``, for Prometheus: for who has the token, or for who sits on the same machine."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from wireside.api.guards import peer
from wireside.protocol.handshake import is_loopback

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Takes what the request accepts; returns a text and its type."""

_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""What a proxy adds: then the peer's address says nothing of who asks."""


def metrics_routes(render: Render, token: str | None) -> APIRouter:
    """Return the route. With ``token`` only a request that brings it is answered; without, only one
    from loopback that came through no proxy.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        if token is not None and not _brings(request, token):
            return JSONResponse(
                {
                    "message": "The token of WIRESIDE_METRICS_TOKEN is needed.",
                    "code": "unauthorized",
                },
                401,
                {"WWW-Authenticate": "Bearer"},
            )
        if token is None and not _is_from_here(request):
            return JSONResponse({"message": "There is no /metrics.", "code": "not_found"}, 404)
        text, content_type = await render(request.headers.get("accept", ""))
        return Response(text, media_type=content_type, headers={"Cache-Control": "no-store"})

    return router


def _brings(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    is_same = secrets.compare_digest(given.strip().encode("latin-1"), token.encode())
    return is_same and scheme.lower() == "bearer"


def _is_from_here(request: Request) -> bool:
    address = peer(request.scope)
    is_direct = not any(name in request.headers for name in _FORWARDED)
    return is_direct and bool(address) and is_loopback(address)
