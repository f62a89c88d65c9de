"""Builds the chat: the runner of answers, the chat service, and sharing."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from wireside.auth.auth import Auth
from wireside.chat.administration import Administration
from wireside.chat.context import ContextLimit
from wireside.chat.core import ChatCore
from wireside.chat.dependencies import (
    ChatDependencies,
    ChatRules,
    Handlers,
    NoOtherServers,
    OtherServers,
)
from wireside.chat.library import Retention
from wireside.chat.models import AccessRules
from wireside.chat.service import ChatService
from wireside.chat.usage import UsageRecorder
from wireside.extension.hooks import Hooks
from wireside.files.service import Files
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, RunnerLimits
from wireside.generation.tasks import Tasks
from wireside.identity import NOBODY
from wireside.ports.accounts import AccountStore
from wireside.ports.audit import NullAuditRecorder
from wireside.ports.observer import Observer
from wireside.ports.provider import Provider
from wireside.providers.catalog import Catalog
from wireside.providers.openai import OpenAIProvider
from wireside.settings.model import Settings
from wireside.store.store import SqlStore
from wireside.transfer.sharing import Sharing
from wireside_ui.markdown import incremental
from wireside_ui.markdown.dialect import Markup

Render = Callable[[str], str]
"""Renders Markdown to sanitised HTML."""


def build_runner(
    settings: Settings,
    provider: Provider,
    *,
    tasks: Tasks,
    saving: GroupCommit,
    observer: Observer,
) -> Runner:
    """Return the runner of answers."""
    limits = RunnerLimits(settings.streams, settings.resume_window_s, settings.resume_window_chars)
    return Runner(
        provider=provider,
        tasks=tasks,
        limits=limits,
        clock=time.monotonic,
        commits=saving,
        watcher=observer,
    )


def build_chat(
    settings: Settings,
    *,
    provider: Provider,
    catalog: Catalog,
    store: SqlStore,
    runner: Runner,
    saving: GroupCommit,
    files: Files,
    tasks: Tasks,
    auth: Auth,
    observer: Observer,
    model_access: AccessRules,
    handlers: Handlers,
    hooks: Hooks,
    usage: UsageRecorder,
    administration: Administration,
    others: OtherServers | None,
) -> ChatService:
    """Return the chat service, bound to no caller."""
    dependencies = ChatDependencies(
        runner=runner,
        models=catalog,
        provider=provider,
        store=store,
        saving=saving,
        files=files,
        folders=store.folders,
        comments=store.comments,
        prompts=store.prompts,
        presets=store.presets,
        tasks=tasks,
        wall_clock=time.time,
        accounts=store.accounts if auth.has_accounts else None,
        is_sharing=settings.share_with_users,
        quotas=auth.quotas,
        usage=usage,
        administration=administration,
        usage_store=store.usage,
        watcher=observer,
        model_access=model_access,
        handlers=handlers,
        hooks=hooks,
        witness=auth.audit if auth.has_accounts else NullAuditRecorder(),
        is_shared=settings.replicas,
        others=others or NoOtherServers(),
    )
    rules = ChatRules(
        history=ContextLimit(settings.history_messages, settings.history_chars),
        max_message_chars=settings.max_message_chars,
        system=settings.system,
        title_model=_title_model(settings, provider),
        compaction=settings.compaction,
        follow_ups=settings.follow_ups,
    )
    return ChatService(ChatCore(dependencies, rules), NOBODY)


def build_sharing(settings: Settings, store: AccountStore, auth: Auth, render: Render) -> Sharing:
    """Return the links to shared conversations."""
    return Sharing(
        store,
        render,
        time.time,
        audience=settings.sharing,
        witness=auth.audit if auth.has_accounts else None,
    )


def build_renderer(settings: Settings) -> Render:
    """Return the renderer of exported and shared conversations."""
    return partial(incremental.render, markup=Markup(frozenset(settings.image_hosts)))


def build_retention(settings: Settings) -> Retention:
    """Return which conversations the server removes by itself."""
    return Retention(settings.retention_days, settings.retention_count)


def _title_model(settings: Settings, provider: Provider) -> str | None:
    """Return the model that writes titles; "" is the one that answered, None disables titles.

    The embedded model is too small for that, and an application's own provider may have effects
    other than an answer: both write titles only if ``WIRESIDE_TITLE_MODEL`` names the model.
    """
    if settings.title_model == "off":
        return None
    return settings.title_model or ("" if provider.kind == OpenAIProvider.kind else None)
