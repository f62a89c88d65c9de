"""Composition root: creates and connects all objects; the only module that names adapters."""

from __future__ import annotations

import asyncio
import gc
import mmap
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from wireside import __version__
from wireside.api.errors import ErrorResponses, UnknownRoute, left, malformed
from wireside.api.middleware.authentication import AuthenticationMiddleware, AuthenticationRules
from wireside.api.middleware.body_limits import BodyLimits
from wireside.api.middleware.request_ids import CallerIds
from wireside.api.middleware.stack import Guards, door_of
from wireside.api.middleware.static_cache import StaticFileCache
from wireside.api.routes.accounts import AccountRoutes
from wireside.api.routes.conversations import ConversationRoutes
from wireside.api.routes.doctor import Doctor, DoctorRules
from wireside.api.routes.health import Health, documents, health_routes, routes
from wireside.api.routes.metrics import metrics_routes
from wireside.api.websocket import ChatEndpoint, ChatSocket
from wireside.auth.accounts import Accounts
from wireside.auth.audit import Audit
from wireside.auth.auth import Auth
from wireside.auth.authenticator import Authenticator, ProxyRules, RolesByGroup
from wireside.auth.connections import LiveConnections
from wireside.auth.keys import Keys
from wireside.auth.limiter import Limiter, MemoryLimiter, RedisLimiter
from wireside.auth.login_throttle import LoginThrottle
from wireside.auth.passwords import Passwords
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.auth.sessions import BrowserSessions
from wireside.auth.tickets import Tickets
from wireside.chat.context import ContextLimit
from wireside.chat.library import Retention
from wireside.chat.service import ChatDependencies, ChatRules, ChatService
from wireside.errors import NotConfigured, StoreError, WiresideError, missing_extra
from wireside.generation import runner
from wireside.generation.commits import CommitTimes, GroupCommit
from wireside.generation.runner import Runner
from wireside.generation.tasks import Tasks
from wireside.identity import NOBODY
from wireside.limits.windows import AddressWindows, TrustedNetworks
from wireside.openai_wire.reasoning_tags import ReasoningTags
from wireside.ports.observer import Observer
from wireside.protocol import connection
from wireside.providers import weights
from wireside.providers.base_url import base_url_in
from wireside.providers.catalog import Catalog
from wireside.providers.local import LocalLimits, LocalProvider
from wireside.providers.openai import OpenAIProvider
from wireside.settings.model import Settings
from wireside.store.store import SqlStore
from wireside.telemetry import Telemetry
from wireside.telemetry.board import Board
from wireside.telemetry.history import History
from wireside.telemetry.prometheus import Exposition
from wireside.telemetry.state import State
from wireside.telemetry.tracing import Tracing
from wireside.transfer.sharing import Sharing
from wireside_ui import nicegui_socket
from wireside_ui.markdown import incremental
from wireside_ui.markdown.dialect import Markup
from wireside_ui.mount import mount
from wireside_ui.theme import Branding

if TYPE_CHECKING:
    from wireside.auth.oidc import OpenId

_log = structlog.get_logger(__name__)

HOUSEKEEPING_S = 5.0
"""Seconds between two checks for finished answers that have left the resume window."""

WARM_UP_S = 0.3
"""Seconds after the start in which the CPU is left to the first page."""

LAST_FRAMES_S = 0.4
"""Seconds of the shutdown reserved for sending the last frames of answers."""


class Application:
    """The objects of one running server, and the order in which they start and end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.is_draining = False
        self.tasks = Tasks()
        self.tracer = _tracer(settings)
        self.telemetry = Telemetry(
            interval_s=settings.log_interval_s,
            open_streams=lambda: self.runner.live,
            open_pages=nicegui_socket.open_pages,
            tracer=self.tracer,
        )
        self.provider = _provider(
            settings, self.telemetry, on_cannot_chat=lambda model: self.catalog.pass_over(model)
        )
        self.catalog = Catalog(
            self.provider,
            default=settings.model,
            fallback=settings.model_fallback,
            clock=time.monotonic,
        )
        self.store = SqlStore(
            database_url(settings), ballast_bytes=settings.ballast_mb * 1024 * 1024
        )
        self.saving = GroupCommit(
            self.store.write,
            time.monotonic,
            self.telemetry,
            times=CommitTimes(max_delay_s=settings.save_delay_s),
        )
        limits = _runner_limits(settings)
        self.runner = Runner(
            provider=self.provider,
            tasks=self.tasks,
            limits=limits,
            clock=time.monotonic,
            commits=self.saving,
            watcher=self.telemetry,
        )
        self.history = History(self.look, self.store.figures)
        self.limiter = _limiter(settings)
        self.auth = self._auth()
        parts = ChatDependencies(
            runner=self.runner,
            models=self.catalog,
            provider=self.provider,
            store=self.store,
            saving=self.saving,
            tasks=self.tasks,
            wall_clock=time.time,
            quotas=self.auth.quotas,
            watcher=self.telemetry,
        )
        self.chat = ChatService(parts, _rules(settings), NOBODY)
        render = partial(incremental.render, markup=Markup(frozenset(settings.image_hosts)))
        if self.auth.has_accounts:
            self.chat.library.witness = self.auth.audit
        self.render: Callable[[str], str] = render
        self.sharing = Sharing(
            self.store.accounts,
            render,
            time.time,
            audience=settings.sharing,
            witness=self.auth.audit if self.auth.has_accounts else None,
        )
        self.retention = Retention(settings.retention_days, settings.retention_count)

    def _auth(self) -> Auth:
        settings, store = self.settings, self.store.accounts
        passwords, presence = Passwords(), LiveConnections()
        audit = Audit(store, time.time)
        witness = audit if settings.auth != "none" else None
        tries = LoginThrottle(self.limiter, witness)
        accounts = Accounts(
            store=store,
            passwords=passwords,
            presence=presence,
            tries=tries,
            wall_clock=time.time,
            on_removed=lambda user_id: self.chat.library.forget_all_of(user_id),
            witness=witness,
            has_passwords=settings.auth in ("none", "password"),
        )
        sign_ins = BrowserSessions(
            store=store,
            passwords=passwords,
            presence=presence,
            tries=tries,
            wall_clock=time.time,
            secret=_secret(settings.data_dir),
            days=settings.session_days,
            witness=witness,
        )
        keys, tickets = Keys(store, presence, time.time, witness), Tickets(time.monotonic)
        gate = Authenticator(
            settings.auth,
            accounts=accounts,
            sign_ins=sign_ins,
            keys=keys,
            tickets=tickets,
            proxy=_proxy_rules(settings),
            presence=presence,
            store=store,
            wall_clock=time.time,
        )
        quotas = UserQuotas(self.limiter, _quota_limits(settings))
        open_id = _open_id(settings)
        return Auth(
            gate=gate,
            accounts=accounts,
            sign_ins=sign_ins,
            keys=keys,
            tickets=tickets,
            quotas=quotas,
            open_id=open_id,
            audit=audit,
            days=settings.session_days,
        )

    @asynccontextmanager
    async def run(self, app: FastAPI) -> AsyncIterator[None]:
        """Open and close all resources around the server's lifespan."""
        asyncio.get_running_loop().set_exception_handler(_tell_of_failure)
        await self.store.open()
        if self.settings.auth == "password":
            app.state.first_link = await self.auth.accounts.first_link()
        await self.chat.take_up()
        self.tasks.create_task(self.saving.run(), name="group commit")
        self.tasks.create_task(self.telemetry.run(), name="telemetry")
        self.tasks.create_task(self.telemetry.watch_loop(), name="lag of the event loop")
        await self.history.open()
        self.tasks.create_task(self.history.run(), name="history of figures")
        self.tasks.create_task(self._keep_house(), name="housekeeping")
        self.tasks.create_task(self._warm_up(), name="warm-up")
        if self.auth.has_accounts:
            self.tasks.create_task(self.auth.gate.watch(), name="who is here")
            self.tasks.create_task(self.auth.audit.run(), name="audit")
        try:
            yield
        finally:
            await self.drain()
            await self.tasks.aclose()
            await self.auth.audit.flush()
            await self.history.aclose()
            await self.provider.aclose()
            await self.limiter.aclose()
            await self.store.aclose()
            if self.tracer is not None:
                await self.tracer.aclose()

    async def drain(self) -> None:
        """Refuse new questions; give open answers ``shutdown_s``, then interrupt them."""
        self.is_draining = True
        await self.runner.drain(max(0.0, self.settings.shutdown_s - LAST_FRAMES_S))
        await asyncio.sleep(LAST_FRAMES_S / 4)  # lets the writer tasks run before sockets close

    def look(self) -> State:
        """Return the current state, for the metrics."""
        kept, kept_chars = self.runner.kept
        return State(
            telemetry=self.telemetry,
            open_pages=nicegui_socket.open_pages(),
            open_streams=self.runner.live,
            kept_streams=kept,
            kept_chars=kept_chars,
            lags=tuple(self.runner.lags()),
            backlog=self.saving.backlog,
            is_draining=self.is_draining,
            memory_mb=_memory_mb(),
        )

    def health(self) -> Health:
        """Return the state that readiness depends on."""
        return Health(
            is_draining=self.is_draining,
            provider="openai" if self.settings.uses_openai else "embedded",
            streams=self.runner.live,
            behind_s=self.saving.backlog.behind_s,
            memory_mb=_memory_mb(),
            problem=self.store.problem,
        )

    async def reach_store(self) -> None:
        """Make a small query to the store. Raises ``StoreError``."""
        await self.store.conversation("")

    async def _warm_up(self) -> None:
        """Run slow one-time work ahead of the first request: imports, a connection, the model."""
        await asyncio.sleep(WARM_UP_S)
        try:
            await self.provider.warm_up()
            with suppress(WiresideError):
                await self.catalog.models()
        finally:
            gc.enable()  # the command line disables it for the start
        gc.freeze()  # some 150,000 permanent objects: traversing them stops the process for 75 ms

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self.runner.expire()
            await self.store.look_after()
            try:
                await self.chat.library.clean_up(self.retention)
                if self.auth.has_accounts:
                    await self.auth.audit.forget(self.settings.audit_days)
            except StoreError:  # its cause has been logged by the store
                _log.warning("clean_up_failed")


def _tell_of_failure(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception that no task handles. asyncio would quote its text in the log line."""
    _log.error("unexpected", what=context["message"], exc_info=context.get("exception"))


def create_app(settings: Settings) -> FastAPI:
    """Return the whole server as one ASGI application: pages, WebSocket endpoint, REST API."""
    server = Application(settings)
    app = FastAPI(
        title="Wireside",
        version=__version__,
        lifespan=server.run,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page loads scripts from a CDN and fails without internet access
        redoc_url=None,
    )
    app.state.prepare = partial(server.store.open, wait_s=settings.wait_s)
    app.state.drain = server.drain
    app.include_router(health_routes(server.chat, server.health, server.reach_store))
    app.include_router(routes(server.chat))
    app.include_router(documents())
    token = settings.metrics_token
    exposition = Exposition(server.look)
    app.include_router(
        metrics_routes(exposition.render, token.get_secret_value() if token else None)
    )
    app.include_router(ConversationRoutes(server.render, time.time).router())
    accounts = AccountRoutes(server.auth, server.sharing, settings.public_url or "")
    app.include_router(accounts.router())
    app.include_router(accounts.pages())
    app.add_exception_handler(ClientDisconnect, left)
    endpoint = _endpoint(server)
    # ChatSocket is faster, but paths with a prefix are routed here
    app.router.routes.append(WebSocketRoute("/ws/ai-chat", endpoint))
    doctor = _doctor(settings)
    app.include_router(doctor.router())
    app.router.routes.append(WebSocketRoute("/ws/doctor", doctor))
    app.add_exception_handler(400, malformed)
    app.router.routes.append(Route("/api/{path:path}", UnknownRoute(app.openapi)))
    nowhere = mount(
        app,
        server.chat,
        _look(settings),
        storage_secret=_secret(settings.data_dir),
        auth=server.auth,
        sharing=server.sharing,
        board=Board(server.history),
        base_url=settings.public_url or "",
    )
    app.add_exception_handler(
        WiresideError, ErrorResponses(server.telemetry.problem, nowhere.shown)
    )
    if settings.auth == "oidc":
        app.add_middleware(
            _SignInSession,
            secret_key=_secret(settings.data_dir),
            session_cookie="__Host-wireside_oidc" if settings.is_https else "wireside_oidc",
            max_age=600,
            https_only=settings.is_https,
        )
    app.add_middleware(ChatSocket, endpoint=endpoint)
    app.add_middleware(BodyLimits)  # after authentication
    app.add_middleware(CallerIds)  # wraps the handlers, which log; the caller is known here
    app.add_middleware(StaticFileCache, prefixes=("/_nicegui/", "/assets/"))
    app.add_middleware(
        AuthenticationMiddleware,
        gate=server.auth.gate,
        chat=server.chat,
        door=door_of(settings),
        quotas=server.auth.quotas,
        rules=AuthenticationRules(
            shares_are_public=settings.sharing == "public",
            is_secure=settings.is_https,
            serves_others=settings.openness is not None,
            trusted_proxies=TrustedNetworks.of(settings.trusted_proxies),
        ),
    )
    app.add_middleware(Guards, settings=settings, telemetry=server.telemetry)
    return app


class _SignInSession(SessionMiddleware):
    """Session for a sign-in that waits for the OpenID provider's response.

    On all other paths the session is that of NiceGUI's pages, and must not be stored here as well.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, with a session on the sign-in paths only."""
        is_needed = scope["type"] == "http" and scope["path"].startswith("/oidc/")
        await (super().__call__ if is_needed else self.app)(scope, receive, send)


def _endpoint(server: Application) -> ChatEndpoint:
    settings = server.settings
    limits = connection.ConnectionLimits(
        messages_per_minute=settings.messages_per_minute,
        streams=settings.streams_per_connection,
        waiting=settings.waiting_per_connection,
        max_message_chars=settings.max_message_chars,
    )
    addresses = AddressWindows(settings.messages_per_minute_address)
    telemetry = server.telemetry
    return ChatEndpoint(
        chat=server.chat,
        limits=limits,
        addresses=addresses,
        counters=telemetry,
        clock=time.monotonic,
        counts=telemetry.frames,
    )


def _doctor(settings: Settings) -> Doctor:
    rules = DoctorRules(TrustedNetworks.of(settings.trusted_proxies), settings.ping_interval_s)
    return Doctor(rules, time.time, time.monotonic)


def _tracer(settings: Settings) -> Tracing | None:
    if not settings.otel:
        return None
    return Tracing(
        provider="openai" if settings.uses_openai else "embedded",
        base_url=_upstream(settings),
        has_content=settings.otel_content,
    )


def _upstream(settings: Settings) -> str | None:
    """Return the effective base URL of the model service; None selects OpenAI's own."""
    try:
        return base_url_in(settings.openai_base_url).url if settings.openai_base_url else None
    except ValueError:  # reported by the first answer
        return None


def _provider(
    settings: Settings, watcher: Observer, *, on_cannot_chat: Callable[[str], None]
) -> LocalProvider | OpenAIProvider:
    tags = ReasoningTags(settings.reasoning_tags)

    def connect(base_url: str | None, api_key: str | None) -> OpenAIProvider:
        return OpenAIProvider(
            api_key=api_key,
            base_url=base_url,
            silence_s=settings.silence_s,
            first_token_s=settings.first_token_s,
            max_connections=settings.streams,
            watcher=watcher,
            on_cannot_chat=on_cannot_chat,
            tags=tags,
        )

    if settings.uses_openai:
        key = settings.openai_api_key
        return connect(settings.openai_base_url, key.get_secret_value() if key else None)
    limits = LocalLimits(
        context_tokens=settings.local_context_tokens, parallel=settings.local_parallel
    )
    return LocalProvider(weights.path(settings.cache_dir), connect, limits)


def _look(settings: Settings) -> Branding:
    return Branding(
        name=settings.name,
        tagline=settings.tagline,
        logo=settings.logo,
        accent=settings.accent,
        starters=settings.starters,
        theme=settings.theme,
        image_hosts=settings.image_hosts,
    )


def _rules(settings: Settings) -> ChatRules:
    return ChatRules(
        history=ContextLimit(settings.history_messages, settings.history_chars),
        max_message_chars=settings.max_message_chars,
        system=settings.system,
        title_model=_title_model(settings),
    )


def _title_model(settings: Settings) -> str | None:
    """Return the model that writes titles; None if there is none.

    The embedded model is too small for that.
    """
    if settings.title_model == "off":
        return None
    return settings.title_model or ("" if settings.uses_openai else None)


def _roles(settings: Settings) -> RolesByGroup:
    return RolesByGroup(frozenset(settings.admin_groups), frozenset(settings.user_groups))


def _proxy_rules(settings: Settings) -> ProxyRules:
    return ProxyRules(
        settings.proxy_user_header.lower(), settings.proxy_groups_header.lower(), _roles(settings)
    )


def _limiter(settings: Settings) -> Limiter:
    if settings.redis_url is None:
        return MemoryLimiter(time.monotonic)
    return RedisLimiter(settings.redis_url.get_secret_value(), time.monotonic)


def _quota_limits(settings: Settings) -> QuotaLimits:
    return QuotaLimits(
        messages_per_minute=settings.user_messages_per_minute,
        messages_per_minute_address=settings.messages_per_minute_address,
        tokens_per_day=settings.user_tokens_per_day,
        streams=settings.user_streams,
        requests_per_minute=settings.requests_per_minute,
    )


def _open_id(settings: Settings) -> OpenId | None:
    if settings.auth != "oidc":
        return None
    try:
        from wireside.auth.oidc import OpenId, OpenIdRules  # a large import that few servers need
    except ImportError as error:
        raise missing_extra("WIRESIDE_AUTH=oidc", "oidc") from error

    secret = settings.oidc_client_secret
    return OpenId(
        OpenIdRules(
            issuer=settings.oidc_issuer or "",
            client_id=settings.oidc_client_id or "",
            client_secret=secret.get_secret_value() if secret else None,
            name=settings.oidc_name,
            groups_claim=settings.oidc_groups_claim,
            roles=_roles(settings),
        )
    )


def _runner_limits(settings: Settings) -> runner.RunnerLimits:
    return runner.RunnerLimits(
        settings.streams, settings.resume_window_s, settings.resume_window_chars
    )


def database_url(settings: Settings) -> str:
    """Return the URL of the database with the conversations."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{settings.data_dir / 'wireside.db'}"


def _secret(data_dir: Path) -> str:
    """Return the key that signs cookies; created at the first start, readable by its user only."""
    file = data_dir / "cookie.key"
    try:
        if file.exists() and (key := file.read_text()):  # a full disk may have left an empty file
            return key
        data_dir.mkdir(parents=True, exist_ok=True)
        key, new = secrets.token_urlsafe(32), file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(key)
        new.replace(file)
    except OSError as error:
        raise NotConfigured(
            f"The key that signs cookies can't be kept in {data_dir}: {error.strerror}."
            " Set WIRESIDE_DATA_DIR to a folder that can be written, with some room."
        ) from error
    return key


def _memory_mb() -> float | None:
    """Return the resident memory in MB; None if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return round(pages * mmap.PAGESIZE / 2**20, 1)
