"""Connects the parts of one application."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wireside.api.middleware.open_sockets import OpenSockets
from wireside.auth.auth import Auth
from wireside.auth.cookies import CookieKey
from wireside.auth.limiter import Limiter
from wireside.auth.stored_attempts import StoredAttempts
from wireside.auth.tickets import StoredTickets
from wireside.bootstrap.auth import build_auth, build_limiter
from wireside.bootstrap.chat import (
    Render,
    build_chat,
    build_renderer,
    build_retention,
    build_runner,
    build_sharing,
)
from wireside.bootstrap.look import look_of
from wireside.bootstrap.peers import (
    build_peers,
    build_slots,
    connect_auth,
    connect_chat,
    forget_removed,
)
from wireside.bootstrap.providers import (
    ModelRules,
    build_catalog,
    build_provider,
    build_transcriber,
    configured_kind,
)
from wireside.bootstrap.replicas import build_membership, end_when_fenced
from wireside.bootstrap.storage import build_cookie_key, build_files, build_saving, build_store
from wireside.bootstrap.telemetry import (
    build_telemetry,
    build_tracer,
    report_with_beats,
    sample_state,
)
from wireside.chat.administration import Administration
from wireside.chat.dependencies import NoHandlers, accepts_images
from wireside.chat.library import Retention
from wireside.chat.service import ChatService
from wireside.chat.usage import StoredUsage
from wireside.extension.chat import Chat
from wireside.extension.hooks import Hooks
from wireside.extension.pages import SidePage
from wireside.extension.provider import HANDLERS, HandlerProvider
from wireside.extension.views import ViewFunction
from wireside.files.service import Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner
from wireside.generation.tasks import Tasks
from wireside.ports.audit import NullAuditRecorder
from wireside.ports.provider import Provider
from wireside.providers.catalog import Catalog
from wireside.replicas.membership import Membership
from wireside.replicas.peers import Peers
from wireside.secret_box import SecretBox
from wireside.session.departure import Departure
from wireside.settings.model import Settings
from wireside.store.store import SqlStore
from wireside.telemetry import Telemetry
from wireside.telemetry.history import History
from wireside.telemetry.state import State
from wireside.telemetry.tracing import Tracing
from wireside.transfer.sharing import Sharing
from wireside_ui.application_pages import ApplicationPages
from wireside_ui.theme import Branding


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The objects of one application."""

    tasks: Tasks
    departure: Departure
    tracer: Tracing | None
    telemetry: Telemetry
    sample_state: Callable[[], State]
    history: History
    provider: Provider
    catalog: Catalog
    store: SqlStore
    membership: Membership | None
    """None if one server uses the database."""
    sockets: OpenSockets | None
    """The open WebSockets of one of several servers."""
    saving: GroupCommit
    files: Files
    runner: Runner
    peers: Peers | None
    """None if one server uses the database."""
    limiter: Limiter
    cookie_key: CookieKey
    auth: Auth
    usage: StoredUsage
    administration: Administration
    chat: ChatService
    sharing: Sharing
    render: Render
    look: Branding
    pages: ApplicationPages
    views: Mapping[str, ViewFunction[Any]]
    own_pages: Sequence[SidePage]
    retention: Retention

    @property
    def is_draining(self) -> bool:
        """Whether the server is shutting down: nothing new is begun."""
        return self.departure.is_announced or self.runner.is_draining


def build_parts(
    settings: Settings,
    *,
    provider: Provider | None = None,
    chat: Chat | None = None,
    look: Branding | None = None,
    has_host: bool = False,
) -> Parts:
    """Return the connected parts; nothing is opened or started yet.

    Args:
        settings: the settings.
        provider: the source of answers, instead of the one that the settings select.
        chat: handlers that answer, as models in front of those of the provider.
        look: name, logo and colours, instead of those of the settings.
        has_host: a host application authenticates the users.

    Raises:
        NotConfigured, ValueError: the settings can't be used; the text is a sentence.
    """
    tasks, departure = Tasks(), Departure()
    kind = HANDLERS if chat else provider.kind if provider else None
    kind = kind or configured_kind(settings)
    tracer = build_tracer(settings, kind)
    telemetry = build_telemetry(
        settings,
        tracer,
        open_streams=lambda: runner.live_count,
        open_pages=lambda: pages.count_connected(),
    )
    upstreams = None
    if provider is not None or chat is None or settings.uses_openai:
        provider = upstreams = build_provider(
            settings,
            main=provider,
            observer=telemetry,
            on_cannot_chat=lambda model: catalog.pass_over(model),
            on_changed=lambda: catalog.read_again(),
        )
    transcriber = build_transcriber(settings, provider)
    mcp_servers = settings.mcp_server_list

    async def sees(model: str) -> bool | None:
        return await accepts_images(catalog, model)

    handlers = None
    if chat is not None:
        handlers = chat.provider(provider, mcp_servers, can_see=sees)
    elif mcp_servers:
        handlers = HandlerProvider((), provider, mcp_servers=mcp_servers, can_see=sees)
    provider = handlers or provider
    assert provider is not None  # the settings, or the chat, have one
    catalog = build_catalog(settings, provider, upstreams)
    store = build_store(settings)
    usage = StoredUsage(store.usage, time.time)
    membership = build_membership(settings)
    saving = build_saving(settings, store, telemetry, membership)
    files = build_files(settings, store, transcriber)
    runner = build_runner(settings, provider, tasks=tasks, saving=saving, observer=telemetry)
    peers = build_peers(settings, store=store, runner=runner, saving=saving, tasks=tasks)
    limiter = build_limiter(settings)
    cookie_key = build_cookie_key(settings)
    auth = build_auth(
        settings,
        store.accounts,
        limiter,
        mode="host" if has_host else settings.auth,
        cookie_key=cookie_key,
        on_removed=lambda user_id: forget_removed(user_id, service, peers),
        tickets=StoredTickets(store.tickets) if peers else None,
        slots=build_slots(peers, store, tasks) if peers else None,
        attempts=StoredAttempts(store.attempts) if peers else None,
    )
    administration = Administration(
        store.administration,
        usage=store.usage,
        feedback=store.feedback,
        presets=store.presets,
        upstreams=upstreams,
        box=SecretBox(lambda: cookie_key.value),
        witness=auth.audit if auth.has_accounts else NullAuditRecorder(),
        wall_clock=time.time,
        is_shared=settings.replicas,
    )
    service = build_chat(
        settings,
        provider=provider,
        catalog=catalog,
        store=store,
        runner=runner,
        saving=saving,
        files=files,
        tasks=tasks,
        auth=auth,
        observer=telemetry,
        handlers=handlers or NoHandlers(),
        model_access=ModelRules(chat.access if chat else {}, upstreams, administration),
        hooks=chat.hooks if chat else Hooks(),
        usage=usage,
        administration=administration,
        others=peers,
    )
    if membership is not None and peers is not None:
        membership.call_when_joined(peers.join)
        connect_auth(peers, auth, service)
        connect_chat(peers, service)
    render = build_renderer(settings)
    look = look_of(settings, chat, given=look)
    pages = ApplicationPages(look.name, auth.gate.presence)
    sockets = None
    if membership is not None:
        sockets = OpenSockets()
        end_when_fenced(
            membership,
            saving=saving,
            runner=runner,
            core=service.core,
            sockets=sockets,
            pages=pages,
        )
        report_with_beats(membership, telemetry, runner, pages.count_connected, departure)
    sample = partial(
        sample_state,
        telemetry,
        runner,
        saving,
        pages.count_connected,
        departure,
        membership=membership,
        peers=peers,
    )
    return Parts(
        tasks=tasks,
        departure=departure,
        tracer=tracer,
        telemetry=telemetry,
        sample_state=sample,
        history=History(sample, store.figures, is_shared=membership is not None),
        provider=provider,
        catalog=catalog,
        store=store,
        membership=membership,
        sockets=sockets,
        saving=saving,
        files=files,
        runner=runner,
        peers=peers,
        limiter=limiter,
        cookie_key=cookie_key,
        auth=auth,
        usage=usage,
        administration=administration,
        chat=service,
        sharing=build_sharing(settings, store.accounts, auth, render),
        render=render,
        look=look,
        pages=pages,
        views=chat.views if chat else {},
        own_pages=chat.pages if chat else (),
        retention=build_retention(settings),
    )
