"""Builds the ASGI application: routes, WebSockets, pages and middleware."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from fastapi import APIRouter, FastAPI
from itsdangerous import TimestampSigner
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import UnknownRoute
from wireside.api.host_user import HostRules
from wireside.api.middleware.authentication import AuthenticationMiddleware, AuthenticationRules
from wireside.api.middleware.body_limits import BodyLimits
from wireside.api.middleware.open_sockets import RegisteredSockets
from wireside.api.middleware.request_ids import CallerIds
from wireside.api.middleware.stack import Guards
from wireside.api.middleware.static_cache import StaticFileCache
from wireside.api.openapi import DescribedAPI
from wireside.api.policy import API, policy_of
from wireside.api.routes.accounts import AccountRoutes
from wireside.api.routes.comments import CommentRoutes
from wireside.api.routes.conversations import ConversationRoutes
from wireside.api.routes.doctor import Doctor, DoctorRules
from wireside.api.routes.documents import add_documents
from wireside.api.routes.feedback import FeedbackRoutes
from wireside.api.routes.files import FileRoutes
from wireside.api.routes.folders import FolderRoutes
from wireside.api.routes.health import NOT_JOINED, Health, api_routes, health_routes
from wireside.api.routes.members import MemberRoutes
from wireside.api.routes.metrics import metrics_routes
from wireside.api.routes.presets import PresetRoutes
from wireside.api.routes.prompts import PromptRoutes
from wireside.api.routes.transcriptions import TranscriptionRoutes
from wireside.api.routes.usage import UsageRoutes
from wireside.api.websocket import ChatEndpoint, ChatSocket
from wireside.auth.cookies import CookieKey
from wireside.bootstrap.doors import add_doors
from wireside.bootstrap.parts import Parts
from wireside.bootstrap.telemetry import memory_mb
from wireside.limits.networks import TrustedNetworks
from wireside.limits.windows import AddressWindows
from wireside.protocol.connection import ConnectionLimits
from wireside.replicas.membership import Membership
from wireside.server.container import default_gateways
from wireside.settings.model import Settings
from wireside.telemetry.board import Board
from wireside.telemetry.fleet import list_servers
from wireside.telemetry.prometheus import Exposition
from wireside.version import __version__
from wireside_ui.mount import mount

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_asgi(
    settings: Settings, parts: Parts, lifespan: Lifespan, *, host: HostRules | None = None
) -> FastAPI:
    """Return the whole server as one ASGI application: REST API, WebSockets and pages.

    ``host`` is how a host application authenticates the users of a mounted chat.

    Raises:
        ValueError: a host or an origin in the settings is invalid; the text is a sentence.
    """
    app = DescribedAPI(
        title="Wireside",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page loads scripts from a CDN and fails without internet access
        redoc_url=None,
    )
    windows = AddressWindows(settings.messages_per_minute_address)
    chat_endpoint = _chat_endpoint(settings, parts, windows)
    _add_routes(app, settings, parts, chat_endpoint, windows)
    _add_pages(app, settings, parts)
    _add_middleware(app, settings, parts, chat_endpoint=chat_endpoint, host=host)
    return app


def _add_routes(
    app: FastAPI,
    settings: Settings,
    parts: Parts,
    chat_endpoint: ChatEndpoint,
    windows: AddressWindows,
) -> None:
    _add_router(
        app, health_routes(parts.chat, partial(_build_health, parts), partial(_query_store, parts))
    )
    _add_router(app, api_routes())
    add_documents(app, audience=settings.docs, max_message_chars=settings.max_message_chars)
    exposition = Exposition(parts.sample_state)
    token = settings.metrics_token
    _add_router(
        app, metrics_routes(exposition.render_metrics, token.get_secret_value() if token else None)
    )
    _add_router(app, ConversationRoutes(parts.render, time.time).build_router())
    _add_router(app, MemberRoutes().build_router())
    _add_router(app, CommentRoutes().build_router())
    _add_router(app, FileRoutes().build_router())
    _add_router(app, TranscriptionRoutes().build_router())
    _add_router(app, FolderRoutes().build_router())
    _add_router(app, PromptRoutes().build_router())
    _add_router(app, PresetRoutes().build_router())
    has_accounts = parts.auth.has_accounts
    _add_router(app, UsageRoutes(parts.auth.accounts if has_accounts else None).build_router())
    _add_router(app, FeedbackRoutes().build_router())
    accounts = AccountRoutes(parts.auth, parts.sharing, settings.public_url or "")
    _add_router(app, accounts.build_router())
    _add_router(app, accounts.build_page_router())
    # ChatSocket is faster, but paths with a prefix are routed here
    app.router.routes.append(WebSocketRoute("/ws/ai-chat", chat_endpoint))
    doctor = Doctor(
        DoctorRules(TrustedNetworks.parse_list(settings.trusted_proxies), settings.ping_interval_s),
        time.time,
        time.monotonic,
    )
    _add_router(app, doctor.build_router())
    app.router.routes.append(WebSocketRoute("/ws/doctor", doctor))
    add_doors(
        app,
        chat=parts.chat,
        windows=windows,
        counters=parts.telemetry,
        clock=time.monotonic,
        departure=parts.departure,
    )
    app.router.routes.append(Route("/api/{path:path}", UnknownRoute(app.openapi)))


def _add_router(app: FastAPI, router: APIRouter) -> None:
    """Add the routes of a router as they are.

    ``include_router`` would analyse them a second time when the application starts, which takes
    as long as to make them.
    """
    app.router.routes.extend(router.routes)


def _add_pages(app: FastAPI, settings: Settings, parts: Parts) -> None:
    mount(
        app,
        parts.chat,
        parts.look,
        pages=parts.pages,
        auth=parts.auth,
        sharing=parts.sharing,
        board=Board(parts.history, partial(list_servers, parts.membership)),
        base_url=settings.public_url or "",
        frame_ancestors=settings.csp_frame_ancestors,
        views=parts.views,
        own_pages=parts.own_pages,
        count_error=parts.telemetry.count_problem,
    )


def _add_middleware(
    app: FastAPI,
    settings: Settings,
    parts: Parts,
    *,
    chat_endpoint: ChatEndpoint,
    host: HostRules | None,
) -> None:
    """Add the middleware, innermost first."""
    door = settings.handshake_policy(is_mounted=host is not None)
    if parts.auth.gate.mode == "oidc":
        app.add_middleware(_SignInSession, key=parts.cookie_key, is_secure=settings.is_https)
    app.add_middleware(ChatSocket, endpoint=chat_endpoint)
    app.add_middleware(BodyLimits)  # after authentication
    app.add_middleware(CallerIds)  # wraps the handlers, which log; the caller is known here
    app.add_middleware(StaticFileCache)
    app.add_middleware(
        AuthenticationMiddleware,
        gate=parts.auth.gate,
        chat=parts.chat,
        door=door,
        quotas=parts.auth.quotas,
        rules=AuthenticationRules(
            shares_are_public=settings.sharing == "public",
            is_secure=settings.is_https,
            serves_others=settings.openness is not None,
            trusted_proxies=TrustedNetworks.parse_list(settings.trusted_proxies),
            gateways=TrustedNetworks.parse_list(default_gateways())
            if settings.loopback_published
            else None,
            host=host,
        ),
    )
    if parts.sockets is not None:
        app.add_middleware(RegisteredSockets, sockets=parts.sockets)
    app.add_middleware(
        Guards,
        settings=settings,
        door=door,
        image_hosts=parts.look.image_hosts,
        telemetry=parts.telemetry,
        routes=app.routes,
        declared={"/api/openapi.json": API},
    )


class _SignInSession(SessionMiddleware):
    """Session for a sign-in that waits for the OpenID provider's response.

    On all other paths the session is that of NiceGUI's pages, and must not be stored here as well.
    """

    def __init__(self, app: ASGIApp, *, key: CookieKey, is_secure: bool) -> None:
        super().__init__(
            app,
            secret_key="",  # the signer is set below: the key may not be known yet
            session_cookie="__Host-wireside_oidc" if is_secure else "wireside_oidc",
            max_age=600,
            https_only=is_secure,
        )
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, with a session on the sign-in paths only."""
        is_needed = scope["type"] == "http" and policy_of(scope).has_sign_in_session
        if is_needed:
            self.signer = TimestampSigner(self._key.value)
        await (super().__call__ if is_needed else self.app)(scope, receive, send)


def _chat_endpoint(settings: Settings, parts: Parts, windows: AddressWindows) -> ChatEndpoint:
    limits = ConnectionLimits(
        messages_per_minute=settings.messages_per_minute,
        streams=settings.streams_per_connection,
        waiting=settings.waiting_per_connection,
        max_message_chars=settings.max_message_chars,
    )
    return ChatEndpoint(
        chat=parts.chat,
        limits=limits,
        addresses=windows,
        counters=parts.telemetry,
        clock=time.monotonic,
        counts=parts.telemetry.frames,
        departure=parts.departure,
    )


def _build_health(parts: Parts) -> Health:
    return Health(
        is_draining=parts.is_draining,
        provider=parts.provider.kind,
        streams=parts.runner.live_count,
        behind_s=parts.saving.backlog.behind_s,
        memory_mb=memory_mb(),
        problem=parts.store.problem or _replica_problem(parts.membership),
        replica=parts.membership.name if parts.membership else None,
    )


def _replica_problem(membership: Membership | None) -> str | None:
    return None if membership is None or membership.is_joined else NOT_JOINED


async def _query_store(parts: Parts) -> None:
    """Make a small query to the store. Raises ``StoreError``."""
    await parts.store.conversation("")
