"""Connects the parts of one application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wireside.auth.auth import Auth
from wireside.auth.limiter import Limiter
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
from wireside.bootstrap.providers import build_catalog, build_provider, configured_kind
from wireside.bootstrap.storage import build_files, build_saving, build_store
from wireside.bootstrap.telemetry import build_telemetry, build_tracer, sample_state
from wireside.chat.dependencies import accept_options, accepts_images
from wireside.chat.library import Retention
from wireside.chat.service import ChatService
from wireside.extension.chat import Chat
from wireside.extension.hooks import Hooks
from wireside.extension.pages import SidePage
from wireside.extension.provider import HANDLERS, HandlerProvider
from wireside.extension.views import ViewFunction
from wireside.files.service import Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner
from wireside.generation.tasks import Tasks
from wireside.ports.provider import Provider
from wireside.providers.catalog import Catalog
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
    tracer: Tracing | None
    telemetry: Telemetry
    sample_state: Callable[[], State]
    history: History
    provider: Provider
    catalog: Catalog
    store: SqlStore
    saving: GroupCommit
    files: Files
    runner: Runner
    limiter: Limiter
    auth: Auth
    chat: ChatService
    sharing: Sharing
    render: Render
    look: Branding
    pages: ApplicationPages
    views: Mapping[str, ViewFunction[Any]]
    own_pages: Sequence[SidePage]
    retention: Retention


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
    tasks = Tasks()
    kind = HANDLERS if chat else provider.kind if provider else None
    kind = kind or configured_kind(settings)
    tracer = build_tracer(settings, kind)
    telemetry = build_telemetry(
        settings,
        tracer,
        open_streams=lambda: runner.live_count,
        open_pages=lambda: pages.count_connected(),
    )
    if provider is None and (chat is None or settings.uses_openai):
        provider = build_provider(
            settings, observer=telemetry, on_cannot_chat=lambda model: catalog.pass_over(model)
        )
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
    catalog = build_catalog(settings, provider)
    store = build_store(settings)
    saving = build_saving(settings, store, telemetry)
    files = build_files(settings, store)
    runner = build_runner(settings, provider, tasks=tasks, saving=saving, observer=telemetry)
    limiter = build_limiter(settings)
    auth = build_auth(
        settings,
        store.accounts,
        limiter,
        mode="host" if has_host else settings.auth,
        on_removed=lambda user_id: service.library.forget_all_of(user_id),
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
        check_options=handlers.check_options if handlers else accept_options,
        model_access=chat.access if chat else {},
        hooks=chat.hooks if chat else Hooks(),
    )
    render = build_renderer(settings)
    look = look_of(settings, chat, given=look)
    pages = ApplicationPages(look.name, auth.gate.presence)
    sample = partial(sample_state, telemetry, runner, saving, pages.count_connected)
    return Parts(
        tasks=tasks,
        tracer=tracer,
        telemetry=telemetry,
        sample_state=sample,
        history=History(sample, store.figures),
        provider=provider,
        catalog=catalog,
        store=store,
        saving=saving,
        files=files,
        runner=runner,
        limiter=limiter,
        auth=auth,
        chat=service,
        sharing=build_sharing(settings, store.accounts, auth, render),
        render=render,
        look=look,
        pages=pages,
        views=chat.views if chat else {},
        own_pages=chat.pages if chat else (),
        retention=build_retention(settings),
    )
