"""Policies of some paths, for tests of a middleware without the whole application."""

from __future__ import annotations

from dataclasses import replace

from starlette.types import ASGIApp

from wireside.api.middleware.route_policy import RoutePolicyLookup
from wireside.api.middleware.stack import Guards
from wireside.api.policy import (
    API,
    FILE,
    PAGE,
    PAGE_SOCKET,
    PUBLIC_PAGE,
    SOCKET,
    STATIC,
    RoutePolicies,
)
from wireside.api.routes.accounts import SNAPSHOT
from wireside.api.routes.health import HEALTH
from wireside.settings.model import Settings
from wireside.telemetry import Telemetry
from wireside_ui.mount import ASSETS

KNOWN = {
    "/": PAGE,
    "/c/{conversation_id}": PAGE,
    "/settings": PAGE,
    "/login": PUBLIC_PAGE,
    "/oidc/login": PUBLIC_PAGE,
    "/s/{secret:path}": SNAPSHOT,
    "/logo": FILE,
    "/api/health/{path:path}": HEALTH,
    "/api/conversations/import": replace(API, max_body_bytes=None),
    "/api/{path:path}": API,
    "/ws/ai-chat": SOCKET,
    "/ws/doctor": SOCKET,
    "/assets/{path:path}": ASSETS,
    "/_nicegui/{path:path}": STATIC,
    "/_nicegui_ws/{path:path}": PAGE_SOCKET,
    "/favicon.ico": FILE,
}


def guards(app: ASGIApp, settings: Settings) -> Guards:
    """Return ``app`` behind the middlewares in front of authentication."""
    return Guards(
        app,
        settings=settings,
        door=settings.handshake_policy(),
        image_hosts=settings.image_hosts,
        telemetry=Telemetry(),
        routes=(),
        declared=KNOWN,
    )


def with_known_paths(app: ASGIApp) -> RoutePolicyLookup:
    """Return ``app`` behind the lookup of policies."""
    return RoutePolicyLookup(app, RoutePolicies(declared=KNOWN))
