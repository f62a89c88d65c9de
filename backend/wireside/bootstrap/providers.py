"""Builds the provider and the catalogue of its models."""

from __future__ import annotations

import time
from collections.abc import Callable

from wireside.extension.chat import Chat
from wireside.openai_wire.reasoning_tags import ReasoningTags
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.ports.provider import Provider
from wireside.providers import weights
from wireside.providers.base_url import base_url_in
from wireside.providers.catalog import Catalog
from wireside.providers.local import LocalLimits, LocalProvider
from wireside.providers.openai import OpenAIProvider
from wireside.settings.model import Settings


def build_provider(
    settings: Settings,
    *,
    observer: Observer = NULL_OBSERVER,
    on_cannot_chat: Callable[[str], None] = lambda model: None,
) -> Provider:
    """Return the provider that the settings select.

    Args:
        settings: the settings.
        observer: counts failed and repeated requests.
        on_cannot_chat: called with the id of a model that refuses to chat.
    """
    tags = ReasoningTags(settings.reasoning_tags)

    def connect_openai(base_url: str | None, api_key: str | None) -> OpenAIProvider:
        return OpenAIProvider(
            api_key=api_key,
            base_url=base_url,
            silence_s=settings.silence_s,
            first_token_s=settings.first_token_s,
            max_connections=settings.streams,
            watcher=observer,
            on_cannot_chat=on_cannot_chat,
            tags=tags,
        )

    if settings.uses_openai:
        key = settings.openai_api_key
        return connect_openai(settings.openai_base_url, key.get_secret_value() if key else None)
    limits = LocalLimits(
        context_tokens=settings.local_context_tokens, parallel=settings.local_parallel
    )
    return LocalProvider(weights.path(settings.cache_dir), connect_openai, limits)


def build_catalog(settings: Settings, provider: Provider) -> Catalog:
    """Return the catalogue of the provider's models."""
    return Catalog(
        provider,
        default=settings.model,
        fallback=settings.model_fallback,
        clock=time.monotonic,
        vision_models=settings.vision_models,
    )


def settings_of(chat: Chat, settings: Settings) -> Settings:
    """Return the settings with the name and the starters of a chat, where they have none."""
    given = settings.model_fields_set
    changes: dict[str, object] = {}
    if chat.name and "name" not in given:
        changes["name"] = chat.name
    if chat.starters and "starters" not in given:
        changes["starters"] = tuple(chat.starters)
    return settings.model_copy(update=changes)


def configured_kind(settings: Settings) -> str:
    """Return the ``Provider.kind`` of the provider that the settings select."""
    return OpenAIProvider.kind if settings.uses_openai else LocalProvider.kind


def upstream_url(settings: Settings) -> str | None:
    """Return the effective base URL of the model service; None selects OpenAI's own."""
    try:
        return base_url_in(settings.openai_base_url).url if settings.openai_base_url else None
    except ValueError:  # reported by the first answer
        return None
